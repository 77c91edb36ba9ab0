// One trial: the real gateway as a process, load on it, the end of the process at a moment that chance chooses, a new
// start, and a look into the books. In some trials the new start is killed as well.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sumChargesSince } from "../../src/ledger/charge-sums.ts";
import { createRandom, type Random } from "../../src/simulator/random.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { openStore } from "../../src/store/open-store.ts";
import { send, until } from "../support/gateway.ts";
import { createWorkspace, run, type Served, serve, type Workspace } from "../support/process.ts";
import { type Balance, balance, type StoredCall } from "./balance.ts";
import { type Person, startLoad } from "./load.ts";

export interface Trial extends Balance {
  readonly seed: number;
  readonly calls: number;
  readonly killedAfterMs: number;
  readonly restartMs: number;
  readonly wasKilledTwice: boolean;
}

const upstreamKey = "simulated.0123456789abcdef";
const clients = 24;
const people = ["ada", "bob", "eve"];
const simulatorSeed = 1;

const config = (baseUrl: string) => `
[server]
host = "127.0.0.1"
[auth]
jwt_secret = "a-secret-for-the-kill-trials-of-more-than-32-bytes"
token_ttl_seconds = 3600
${people.map((name) => `[[auth.users]]\nusername = "${name}"\npassword = "pass-of-${name}"\n`).join("")}
[glm]
base_url = "${baseUrl}"
[rate_limit]
requests_per_second = 1000
max_concurrency = 16
queue_capacity = 100
[prices.models."glm-*"]
input = 2
output = 8
[log]
level = "info"
`;

export async function tryOnce(seed: number): Promise<Trial> {
  const random = createRandom(seed);
  const workspace = createWorkspace();
  const simulator = await startSimulator({ apiKeys: [upstreamKey], seed: simulatorSeed });
  try {
    workspace.write("config.toml", config(simulator.baseUrl));
    return await liveThrough(seed, random, workspace, simulator);
  } finally {
    await simulator.close();
    workspace.remove();
  }
}

async function liveThrough(seed: number, random: Random, workspace: Workspace, simulator: Simulator): Promise<Trial> {
  const env = { GLM_FLASH_API_KEY: upstreamKey, XDG_DATA_HOME: workspace.path("data") };
  const args = ["--config", workspace.path("config.toml")];
  const first = await serve(args, workspace, env);
  let load: ReturnType<typeof startLoad> | undefined;
  const killedAfterMs = 150 + random.below(1_350);
  try {
    const persons = await logIn(first);
    load = startLoad({ url: first.url, people: persons, random, prefix: `trial-${seed}`, clients });
    await new Promise((resolve) => setTimeout(resolve, killedAfterMs));
  } finally {
    first.child.kill("SIGKILL");
    await first.exit;
    await load?.stop();
  }
  await until("the upstream is idle", () => simulator.report().inFlight === 0);

  const wasKilledTwice = random.next() < 0.25;
  if (wasKilledTwice) await killWhileStarting(args, workspace, env, random.below(400));
  const restartedAt = performance.now();
  const second = await serve(args, workspace, env);
  const restartMs = performance.now() - restartedAt;
  const exitCode = await second.stop();

  const file = join(workspace.path("data"), "glm-proxy", "glm-proxy.sqlite");
  const { records, problems } = readBooks(file);
  if (exitCode !== 0) problems.push(`the new process ended with ${exitCode}: ${second.stderr()}`);
  problems.push(...(await compareCounters(file, records)));
  const { arrivals } = simulator.report();
  const balanced = balance(records, load.calls, arrivals, simulatorSeed);
  return {
    ...balanced,
    problems: [...problems, ...balanced.problems],
    seed,
    calls: load.calls.length,
    killedAfterMs,
    restartMs: Math.round(restartMs),
    wasKilledTwice,
  };
}

async function logIn({ url }: Served): Promise<Person[]> {
  return Promise.all(
    people.map(async (name) => {
      const { status, json } = await send(`${url}/auth/login`, {
        body: { username: name, password: `pass-of-${name}` },
      });
      if (status !== 200) throw new Error(`${name} could not log in: ${status}`);
      return { name, token: (json as { token: string }).token };
    }),
  );
}

async function killWhileStarting(
  args: readonly string[],
  workspace: Workspace,
  env: Record<string, string>,
  afterMs: number,
): Promise<void> {
  const started = run(["serve", "--port", "0", ...args], workspace, env);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  started.child.kill("SIGKILL");
  await started.exit;
}

function readBooks(file: string): { records: StoredCall[]; problems: string[] } {
  const database = new DatabaseSync(file, { readOnly: true });
  const integrity = database.prepare("pragma integrity_check").all() as { integrity_check: string }[];
  const records = database.prepare("select * from calls").all() as unknown as StoredCall[];
  database.close();
  const isWhole = integrity.length === 1 && integrity[0]?.integrity_check === "ok";
  return { records, problems: isWhole ? [] : [`integrity_check: ${JSON.stringify(integrity)}`] };
}

/** What quotas begin with after the start, against the records one by one. */
async function compareCounters(file: string, records: readonly StoredCall[]): Promise<string[]> {
  const store = await openStore({ kind: "sqlite", file }, { mayMigrate: false });
  const problems: string[] = [];
  try {
    const sums = await sumChargesSince(store, null, "UTC");
    for (const name of people) {
      const ofUser = sums.filter(({ user }) => user === name);
      const counted = [
        ofUser.reduce((sum, { requests }) => sum + requests, 0),
        ofUser.reduce((sum, { tokens }) => sum + tokens, 0),
        ofUser.reduce((sum, { costMicros }) => sum + costMicros, 0),
      ];
      const own = records.filter(({ user_name }) => user_name === name);
      const added = [
        own.reduce((sum, { requests }) => sum + requests, 0),
        own.reduce((sum, { prompt_tokens, completion_tokens }) => sum + prompt_tokens + completion_tokens, 0),
        own.reduce((sum, { cost_micros }) => sum + cost_micros, 0),
      ];
      if (counted.join() !== added.join())
        problems.push(`${name}: counters begin with ${counted}, records have ${added}`);
    }
  } finally {
    await store.close();
  }
  return problems;
}
