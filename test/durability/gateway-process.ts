// The gateway as a process over a simulated GLM, with people who may use it: sessions and API keys, in a group whose
// limits nobody reaches, so that everything is counted.

import { send } from "../support/gateway.ts";
import { run, type Served, type Workspace } from "../support/process.ts";
import { until } from "../support/until.ts";
import type { Person } from "./load.ts";

export const upstreamKey = "simulated.0123456789abcdef";
export const people = ["ada", "bob", "eve"] as const;
/** The simulator says the same to the same question; so it can be asked again what it has reported. */
export const simulatorSeed = 1;

const admin = "root";
const group = "lab";
const limits = { "requests/total": 1e9, "tokens/total": 1e12, "cost/total": 1e9 };
const readyMsMax = 20_000;

export interface GatewayOptions {
  readonly baseUrl: string;
  readonly concurrencyMax: number;
  /** TOML that comes behind. */
  readonly more?: string;
}

export function writeConfig(workspace: Workspace, { baseUrl, concurrencyMax, more = "" }: GatewayOptions): void {
  const toUser = (name: string, rest: string) =>
    `[[auth.users]]\nusername = "${name}"\npassword = "pass-of-${name}"\n${rest}\n`;
  workspace.write(
    "config.toml",
    `
[server]
host = "127.0.0.1"
[auth]
jwt_secret = "a-secret-for-these-trials-of-more-than-32-bytes"
token_ttl_seconds = 3600
${toUser(admin, 'role = "admin"')}${people.map((name) => toUser(name, `group = "${group}"`)).join("")}
[glm]
base_url = "${baseUrl}"
[rate_limit]
requests_per_second = 1000
max_concurrency = ${concurrencyMax}
queue_capacity = 100
[prices.models."glm-*"]
input = 2
output = 8
${more}`,
  );
}

const environment = (workspace: Workspace) => ({
  GLM_FLASH_API_KEY: upstreamKey,
  XDG_DATA_HOME: workspace.path("data"),
});
const verb = (workspace: Workspace) => ["serve", "--port", "0", "--config", workspace.path("config.toml")];

/** Resolves when it is ready. Whatever goes wrong, no process is left. */
export async function startProcess(workspace: Workspace): Promise<Served> {
  const started = run(verb(workspace), workspace, environment(workspace));
  const findReady = () => started.log().find(({ msg }) => msg === "ready");
  try {
    await until("it is ready", () => findReady() !== undefined || started.child.exitCode !== null, readyMsMax);
  } catch (error) {
    started.child.kill("SIGKILL");
    throw error;
  }
  const port = findReady()?.port;
  if (typeof port !== "number") throw new Error(`it did not start: ${started.stderr()}${started.stdout()}`);
  return {
    ...started,
    url: `http://127.0.0.1:${port}`,
    port,
    stop() {
      started.child.kill("SIGTERM");
      return started.exit;
    },
  };
}

export async function killWhileStarting(workspace: Workspace, afterMs: number): Promise<void> {
  const started = run(verb(workspace), workspace, environment(workspace));
  await sleep(afterMs);
  started.child.kill("SIGKILL");
  await started.exit;
}

/** Makes the group and a key for each of the people: who can call, twice each. */
export async function admitPeople({ url }: Served): Promise<Person[]> {
  const root = await logIn(url, admin);
  await ask(url, root.token, "POST", "/admin/groups", { name: group, limits, member_limits: limits }, 201);
  const sessions = await Promise.all(people.map((name) => logIn(url, name)));
  const keys = await Promise.all(
    sessions.map(async ({ name, token }) => {
      const made = await ask(url, token, "POST", "/me/keys", { name: "a tool", limits }, 201);
      return { name, token: (made as { secret: string }).secret };
    }),
  );
  return [...sessions, ...keys];
}

export async function logIn(url: string, name: string): Promise<Person> {
  const body = { username: name, password: `pass-of-${name}` };
  const answer = (await ask(url, null, "POST", "/auth/login", body, 200)) as { token: string };
  return { name, token: answer.token };
}

export interface Standing {
  readonly scope: "user" | "group" | "key";
  readonly id: string;
  readonly name: string;
  readonly used: number;
}

/** What quotas have counted of the calls of these people. */
export async function readStandings(url: string, persons: readonly Person[]): Promise<Standing[]> {
  const answers = await Promise.all(persons.map(({ token }) => ask(url, token, "GET", "/me", undefined, 200)));
  return answers.flatMap((answer) => (answer as { quotas: Standing[] }).quotas);
}

async function ask(
  url: string,
  token: string | null,
  method: string,
  path: string,
  body: object | undefined,
  expected: number,
): Promise<unknown> {
  const { status, json, text } = await send(url + path, {
    method,
    ...(body && { body }),
    ...(token !== null && { token }),
  });
  if (status !== expected) throw new Error(`${method} ${path}: ${status} ${text}`);
  return json;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
