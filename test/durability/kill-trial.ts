// One trial: the real gateway as a process, load on it, the end of the process at a moment that chance chooses, a new
// start, and a look into the books. In some trials the disk stalls shortly before, and in some the new start is killed
// as well.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createRandom, type Random } from "../../src/simulator/random.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { until } from "../support/gateway.ts";
import { createWorkspace, type Served, type Workspace } from "../support/process.ts";
import { type Balance, balance, compareStandings, type StoredCall } from "./balance.ts";
import {
  admitPeople,
  killWhileStarting,
  readStandings,
  simulatorSeed,
  sleep,
  startProcess,
  upstreamKey,
  writeConfig,
} from "./gateway-process.ts";
import { type Load, type Person, startLoad } from "./load.ts";

export interface Trial extends Balance {
  readonly seed: number;
  readonly calls: number;
  readonly killedAfterMs: number;
  readonly restartMs: number;
  readonly wasKilledTwice: boolean;
  /** How long the database took no write when the process was killed; 0: it took them all the time. */
  readonly stalledMs: number;
}

const clients = 24;
const concurrencyMax = 16;

export async function tryKill(seed: number): Promise<Trial> {
  const workspace = createWorkspace();
  const simulator = await startSimulator({ apiKeys: [upstreamKey], seed: simulatorSeed });
  try {
    writeConfig(workspace, { baseUrl: simulator.baseUrl, concurrencyMax });
    return await liveThrough(seed, workspace, simulator);
  } finally {
    await simulator.close();
    workspace.remove();
  }
}

async function liveThrough(seed: number, workspace: Workspace, simulator: Simulator): Promise<Trial> {
  const random = createRandom(seed);
  const file = databaseFile(workspace);
  const plan = {
    killedAfterMs: 150 + random.below(1_350),
    stalledMs: random.next() < 0.3 ? 20 + random.below(130) : 0,
    wasKilledTwice: random.next() < 0.25,
  };
  const served = await startProcess(workspace);
  const { load, persons } = await killUnderLoad(served, simulator, file, `trial-${seed}`, plan, random);
  await until("the upstream is idle", () => simulator.report().inFlight === 0);

  if (plan.wasKilledTwice) await killWhileStarting(workspace, random.below(400));
  const restartedAt = performance.now();
  const restarted = await startProcess(workspace);
  const restartMs = Math.round(performance.now() - restartedAt);
  const standings = await readStandings(restarted.url, persons);
  const exitCode = await restarted.stop();

  const { records, problems } = readBooks(file);
  if (exitCode !== 0) problems.push(`the new process ended with ${exitCode}: ${restarted.stderr()}`);
  problems.push(...compareStandings(standings, records));
  const balanced = balance(records, load.calls, simulator.report().arrivals, simulatorSeed);
  return {
    ...balanced,
    ...plan,
    problems: [...problems, ...balanced.problems],
    seed,
    calls: load.calls.length,
    restartMs,
  };
}

export function databaseFile(workspace: Workspace): string {
  return join(workspace.path("data"), "glm-proxy", "glm-proxy.sqlite");
}

/** The time until the end counts from the first call that the upstream sees: however slow the machine, there is one. */
async function killUnderLoad(
  served: Served,
  simulator: Simulator,
  file: string,
  prefix: string,
  { killedAfterMs, stalledMs }: Pick<Trial, "killedAfterMs" | "stalledMs">,
  random: Random,
): Promise<{ load: Load; persons: readonly Person[] }> {
  let load: Load | undefined;
  let endStall = () => {};
  try {
    const persons = await admitPeople(served);
    load = startLoad({ url: served.url, people: persons, random, prefix, clients });
    await until("the upstream sees a call", () => simulator.report().arrivals.length > 0);
    await sleep(killedAfterMs - stalledMs);
    if (stalledMs > 0) endStall = stallWrites(file);
    await sleep(stalledMs);
    return { load, persons };
  } finally {
    served.child.kill("SIGKILL");
    await served.exit;
    endStall();
    await load?.stop();
  }
}

/** Nobody else can write to the database until the returned function is called. */
function stallWrites(file: string): () => void {
  const database = new DatabaseSync(file, { timeout: 1_000 });
  database.exec("begin immediate");
  return () => database.close();
}

export function readBooks(file: string): { records: StoredCall[]; problems: string[] } {
  const database = new DatabaseSync(file, { readOnly: true });
  const integrity = database.prepare("pragma integrity_check").all() as { integrity_check: string }[];
  const records = database.prepare("select * from calls").all() as unknown as StoredCall[];
  database.close();
  const isWhole = integrity.length === 1 && integrity[0]?.integrity_check === "ok";
  return { records, problems: isWhole ? [] : [`integrity_check: ${JSON.stringify(integrity)}`] };
}
