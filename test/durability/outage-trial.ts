// One trial: the real gateway as a process over a real PostgreSQL, load on it, PostgreSQL killed for a while and started
// again. Logins go on all the time. In the end every call has its record, once. In some trials the gateway is killed
// as well, while PostgreSQL is away.

import type { Arrival } from "../../src/simulator/observations.ts";
import { createRandom } from "../../src/simulator/random.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { openStore } from "../../src/store/open-store.ts";
import { send, until } from "../support/gateway.ts";
import { createWorkspace, type Served, type Workspace } from "../support/process.ts";
import { type Balance, balance, type StoredCall } from "./balance.ts";
import {
  admitPeople,
  logIn,
  people,
  simulatorSeed,
  sleep,
  startProcess,
  upstreamKey,
  writeConfig,
} from "./gateway-process.ts";
import { startLoad } from "./load.ts";

/** A server that can be taken away. */
export interface Outage {
  /** Of a database of its own, empty. */
  readonly url: string;
  /** At once, as if its machine had lost power. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface OutageOptions {
  readonly seed: number;
  readonly outageMs: number;
  /** Whether the gateway is killed in the middle of it. */
  readonly killsGateway: boolean;
}

export interface OutageTrial extends Balance {
  readonly calls: number;
  readonly logins: number;
  readonly loginsRefused: number;
  /** From the server's start to the last record in it. */
  readonly deliveredAfterMs: number;
  readonly spooledMax: number;
}

const clients = 16;
const concurrencyMax = 12;
/** Load before the outage and after it. */
const calmMs = 500;

export async function tryOutage(outage: Outage, options: OutageOptions): Promise<OutageTrial> {
  const workspace = createWorkspace();
  const simulator = await startSimulator({ apiKeys: [upstreamKey], seed: simulatorSeed });
  try {
    const more = `[store]\nurl = "${outage.url}"\n`;
    writeConfig(workspace, { baseUrl: simulator.baseUrl, concurrencyMax, more });
    return await liveThrough(outage, options, workspace, simulator);
  } finally {
    await simulator.close();
    workspace.remove();
  }
}

async function liveThrough(
  outage: Outage,
  { seed, outageMs, killsGateway }: OutageOptions,
  workspace: Workspace,
  simulator: Simulator,
): Promise<OutageTrial> {
  const random = createRandom(seed);
  let served = await startProcess(workspace);
  const problems: string[] = [];
  const logins = { count: 0, refused: 0 };
  // The simulator remembers the newest ten thousand only.
  const arrivals = new Set<Arrival>();
  const noteArrivals = () => {
    for (const arrival of simulator.report().arrivals) arrivals.add(arrival);
  };
  let load: ReturnType<typeof startLoad> | undefined;
  let spooledMax = 0;
  let exitCode: number | string;
  let deliveredAfterMs: number;
  try {
    const persons = await admitPeople(served);
    load = startLoad({ url: served.url, people: persons, random, prefix: `outage-${seed}`, clients });
    await sleep(calmMs);
    await outage.kill();
    const endsAt = performance.now() + outageMs;
    while (performance.now() < endsAt) {
      logins.count++;
      await logIn(served.url, random.pick(people)).catch(() => logins.refused++);
      noteArrivals();
      spooledMax = Math.max(spooledMax, await readSpooled(served));
      await sleep(Math.min(100, outageMs / 10));
    }
    if (killsGateway) {
      served.child.kill("SIGKILL");
      await served.exit;
      await load.stop();
    }
    await outage.start();
    const startedAt = performance.now();
    if (killsGateway) served = await startProcess(workspace);
    else {
      await sleep(calmMs);
      await load.stop();
    }
    const isDelivered = async () => (await readSpooled(served)) === 0;
    await until("all is delivered", isDelivered, 60_000);
    deliveredAfterMs = Math.round(performance.now() - startedAt);
  } catch (error) {
    throw new Error(`the gateway said: ${served.stderr()}${served.stdout().slice(-2_000)}`, { cause: error });
  } finally {
    await load?.stop();
    exitCode = await served.stop();
  }
  if (exitCode !== 0) problems.push(`the gateway ended with ${exitCode}: ${served.stderr()}`);
  if (logins.refused > 0) problems.push(`${logins.refused} of ${logins.count} logins were refused`);
  noteArrivals();
  const balanced = balance(await readCalls(outage.url), load.calls, [...arrivals], simulatorSeed);
  if (!killsGateway) {
    if (balanced.byState.unknown) problems.push(`${balanced.byState.unknown} records are unknown`);
    const refused = load.calls.filter(({ outcome }) => outcome === "refused" || outcome === "broken");
    if (refused.length > 0)
      problems.push(`${refused.length} calls failed, such as ${refused[0]?.mark} (${refused[0]?.status})`);
  }
  return {
    ...balanced,
    problems: [...problems, ...balanced.problems],
    calls: load.calls.length,
    logins: logins.count,
    loginsRefused: logins.refused,
    deliveredAfterMs,
    spooledMax,
  };
}

/** Records that wait for PostgreSQL, as the metrics have it. */
async function readSpooled({ url }: Served): Promise<number> {
  const { text } = await send(`${url}/metrics`);
  return Number(/^glm_proxy_ledger_spooled\S* (\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

async function readCalls(url: string): Promise<StoredCall[]> {
  const store = await openStore({ kind: "postgres", url }, { mayMigrate: false });
  try {
    return await store.db.selectFrom("calls").selectAll().execute();
  } finally {
    await store.close();
  }
}
