// The control plane without a server: over the store itself, in this process, which holds the database's lock meanwhile.
// What it changes is in effect when the server starts.

import { existsSync } from "node:fs";
import { createControlPlane } from "../../admin/control-plane.ts";
import { createLiveFeed } from "../../admin/live-feed.ts";
import type { SchedulerSnapshot } from "../../admission/scheduler.ts";
import { Refusal } from "../../base/refusal.ts";
import { type BooksLog, openBooks } from "../../books.ts";
import { createSecretMaker, type LoadedConfig } from "../../config/config.ts";
import { listSettings } from "../../config/describe.ts";
import type { StoreTarget } from "../../store/store.ts";
import type { Input } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { loadFor } from "../load.ts";
import { exitCodes, type World } from "../world.ts";
import type { AdminClient } from "./admin-client.ts";
import { environmentOf } from "./environment.ts";

/** `mayBegin`: a database that is not there is made. Rejects with CommandError, ConfigError or StoreError. */
export async function openStoreClient(input: Input, world: World, mayBegin: boolean): Promise<AdminClient> {
  const loaded = loadWithoutServing(input, world);
  const { settings } = loaded;
  const isNew = requireDatabase(settings.store, mayBegin);
  const books = await openBooks(settings, world.clock, createQuietLog(world));
  if (isNew && settings.store.kind === "sqlite")
    world.printError(`No gateway runs here, and there was no database: made ${settings.store.file}.`);
  const queue = (): SchedulerSnapshot => ({
    waiting: 0,
    running: 0,
    queueCapacity: settings.rateLimit.queueCapacity,
    limits: settings.rateLimit,
    lanes: [],
    users: [],
    runningCalls: [],
    waitingCalls: [],
    nextStartInMs: null,
  });
  const refuse = () => Promise.reject(new Refusal("forbidden", { detail: "no server runs" }));
  const control = createControlPlane({
    ...books,
    identity: { identify: refuse, logIn: refuse, refresh: refuse, logOut: refuse, readSession: refuse },
    setUp: refuse,
    live: createLiveFeed({ clock: world.clock, queue, currency: books.currency }),
    queue,
    describeConfig: () => listSettings(loaded),
    onLogin() {},
    onFailure: (error) => world.printError(`error: ${error instanceof Error ? error.message : String(error)}`),
    clock: world.clock,
    version: world.version,
  });
  return {
    via: "store",
    url: null,
    request: (method, path, body) => control.request(method, path, body),
    events: () =>
      Promise.reject(
        new CommandError("There is nothing to follow: no gateway runs.", { exitCode: exitCodes.unavailable }),
      ),
    async close() {
      control.close();
      await books.close();
    },
  };
}

/** Whoever looks with another account or folder than the server's should hear of it, not see an empty list. Returns whether it will be made. */
function requireDatabase(store: StoreTarget, mayBegin: boolean): boolean {
  if (store.kind !== "sqlite") return false;
  if (store.file === ":memory:") {
    throw new CommandError("Cannot look into a database in memory: only the process that has it can.", {
      exitCode: exitCodes.unavailable,
    });
  }
  if (existsSync(store.file)) return false;
  if (mayBegin) return true;
  throw new CommandError(`No gateway runs here, and there is no database at ${store.file}.`, {
    exitCode: exitCodes.unavailable,
    advice:
      "Name another data folder with --data, run this as the account that runs the gateway, or begin with  glm-proxy user add NAME --admin",
  });
}

/** The configuration as far as it concerns what is stored. Nothing is sent to the upstream: its key may be missing. */
export function loadWithoutServing(input: Input, world: World): LoadedConfig {
  const env = { GLM_FLASH_API_KEY: "not-needed-here", ...environmentOf(input, world) };
  const config = input.text("config");
  return loadFor(
    config === undefined ? {} : { config },
    { ...world, env },
    { createSecret: createSecretMaker(), mayStoreSecret: false },
  );
}

/** Standard output is the command's answer; what goes wrong is said beside it. */
function createQuietLog(world: World): BooksLog {
  const tell = (fields: { err?: unknown }, message: string) => {
    const cause = fields.err instanceof Error ? `: ${fields.err.message}` : "";
    world.printError(`${message}${cause}`);
  };
  return { info() {}, warn: tell, error: tell } as unknown as BooksLog;
}
