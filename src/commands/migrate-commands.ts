// glm-proxy migrate: the database's tables. The server brings them up to date at its start; this is for those who want to
// look first, or do it at a time of their own.

import { connectStore, listMigrations, type MigrationState, migrate } from "../store/open-store.ts";
import { type Store, StoreError } from "../store/store.ts";
import { probe, socketPath } from "./client/open-client.ts";
import { loadWithoutServing } from "./client/store-client.ts";
import type { Input, OptionSpec, Verb } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { formatOf, formatOptions, printJson, printRows } from "./output/report.ts";
import type { Column } from "./output/table.ts";
import { formatMoment } from "./output/times.ts";
import { exitCodes, type World } from "./world.ts";

const options: readonly OptionSpec[] = [
  ...formatOptions,
  { flags: "-c, --config <file>", description: "configuration file" },
  { flags: "--data <folder>", description: "the data folder, where it is not the usual one" },
];

interface MigrationJson {
  readonly name: string;
  readonly applied_at: string | null;
}

function toJson({ name, appliedAt }: MigrationState): MigrationJson {
  return { name, applied_at: appliedAt === null ? null : appliedAt.toISOString() };
}

const columns: readonly Column<MigrationJson>[] = [
  { title: "migration", text: ({ name }) => name },
  {
    title: "applied",
    text: ({ applied_at: at }) => (at === null ? "missing" : formatMoment(at)),
    style: ({ applied_at: at }) => (at === null ? "yellow" : null),
  },
];

const status: Verb = {
  name: "status",
  summary: "list migrations, and which are missing",
  details: "Exit code 1 when some are missing. The database must not be in use (PostgreSQL may).",
  options,
  examples: ["glm-proxy migrate status"],
  run: (input, world) =>
    withStore(input, world, async (store) => {
      const states = (await listMigrations(store)).map(toJson);
      printRows(input, world, states, columns, "There are no migrations.");
      return states.some(({ applied_at: at }) => at === null) ? exitCodes.failure : exitCodes.fine;
    }),
};

const up: Verb = {
  name: "up",
  summary: "apply what is missing; each migration is done wholly or not at all",
  details: "Make a backup first. The server does the same at its start.",
  options,
  examples: ["glm-proxy migrate up"],
  run: (input, world) =>
    withStore(input, world, async (store) => {
      const applied = await migrate(store);
      if (formatOf(input, world) === "json") printJson(world, { applied });
      else world.print(applied.length === 0 ? "The tables are up to date." : `Applied ${applied.join(", ")}.`);
      return exitCodes.fine;
    }),
};

export const migrateVerbs: readonly Verb[] = [status, up];

async function withStore(input: Input, world: World, use: (store: Store) => Promise<number>): Promise<number> {
  const { settings } = loadWithoutServing(input, world);
  let store: Store;
  try {
    store = await connectStore(settings.store);
  } catch (error) {
    const isLocked = error instanceof StoreError && error.kind === "locked";
    if (!isLocked || (await probe(socketPath(input, world))) !== "answers") throw error;
    throw new CommandError("Cannot open the database: the running gateway has it.", {
      exitCode: exitCodes.unavailable,
      advice: "Its tables are up to date, since it sees to that at its start. To look at them, stop it first.",
    });
  }
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
