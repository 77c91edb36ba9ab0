// glm-proxy demo: everything at work within seconds. A gateway in front of the simulator (or of the real GLM when a
// key is set), a login, one streamed chat, a burst that has to queue, and lines to go on with.

import { join } from "node:path";
import { parseEnv } from "node:util";
import { type App, createApp } from "../app.ts";
import { toHarmlessLines, toOneLine } from "../base/clean-text.ts";
import { createSecretMaker, loadConfig } from "../config/config.ts";
import { systemFiles } from "../config/files.ts";
import type { Settings } from "../config/settings.ts";
import { createLog } from "../observe/log.ts";
import { type Simulator, startSimulator } from "../simulator/simulator.ts";
import { describeNextSignal, listenForStop } from "./stop-signals.ts";
import { exitCodes, type World } from "./world.ts";

const user = { username: "demo", password: "demo-password" };
const burstCalls = 12;
const simulatorKey = "demo.simulated-secret";
const model = "glm-4.5-flash";
const isOver = "it is over";
/** How long stopping may take. */
const endMsMax = 5_000;

export async function demoCommand({ isOnce }: { isOnce: boolean }, world: World): Promise<number> {
  const stop = listenForStop(world);
  let simulator: Simulator | null = null;
  let app: App | null = null;

  async function show(): Promise<void> {
    if (!hasRealKey(world)) simulator = await startSimulator({ apiKeys: [simulatorKey], requestsPerSecond: 2 });
    const settings = loadDemoSettings(simulator, world);
    // The demonstration's own lines are the log.
    const log = createLog("warn", world.isTerminal, world.output, world.clock);
    app = await createApp(settings, world.version, log, world.clock);
    const url = `http://127.0.0.1:${await app.start()}`;
    if (stop.stopped.aborted) return;
    const token = await present(app, url, simulator, world);
    if (isOnce || stop.stopped.aborted) return;
    printLinesToTry(url, token, world);
    await stop.whenStopped();
  }

  async function end(): Promise<void> {
    await app?.stop();
    await simulator?.close();
  }

  let exitCode: number = exitCodes.fine;
  void stop.whenStopped().then((why) => {
    if (why !== isOver) world.print(`\nStopping; ${describeNextSignal(why)}.`);
    app?.abort();
  });
  try {
    await stop.settle(show(), endMsMax);
  } catch (error) {
    if (!stop.stopped.aborted) {
      world.printError(`The demonstration failed: ${toOneLine((error as Error).message)}`);
      exitCode = exitCodes.failure;
    }
  }
  stop.stop(isOver);
  await stop.settle(end(), endMsMax);
  return exitCode;
}

/** The seed's numbers, but for a longer queue timeout (so that the whole burst is served) and an hour's token. */
function loadDemoSettings(simulator: Simulator | null, world: World): Settings {
  const file = `
    [server]
    host = "127.0.0.1"
    port = 0
    [auth]
    token_ttl_seconds = 3600
    [[auth.users]]
    username = "${user.username}"
    password = "${user.password}"
    [glm]
    ${simulator ? `api_key = "${simulatorKey}"\nbase_url = "${simulator.baseUrl}"` : ""}
    [rate_limit]
    requests_per_second = 2
    queue_capacity = 20
    queue_timeout_seconds = 20
    send_guard_seconds = 0.05
    [store]
    url = "sqlite::memory:"
  `;
  const path = "/demo.toml";
  const env = simulator ? {} : world.env;
  const files = {
    ...systemFiles,
    readText: (name: string) => (name === path ? file : simulator ? null : systemFiles.readText(name)),
    readMode: () => null,
  };
  const mode = { createSecret: createSecretMaker(), mayStoreSecret: false };
  return loadConfig({ path, env, cwd: world.cwd, files }, mode).settings;
}

/** Whether a key of the real GLM is at hand, in the environment or in `.env`. */
function hasRealKey({ env, cwd }: World): boolean {
  const dotenv = systemFiles.readText(join(cwd, ".env"));
  const names = ["GLM_FLASH_API_KEY", "GLM_FLASH_API_KEY_FILE"];
  return [env, dotenv === null ? {} : parseEnv(dotenv)].some((source) => names.some((name) => source[name]));
}

/** Shows it all, and returns the token to go on with. */
async function present(app: App, url: string, simulator: Simulator | null, world: World): Promise<string> {
  world.print(`glm-proxy ${world.version} on Node ${process.versions.node}`);
  world.print(`  gateway    ${url}`);
  world.print(`  upstream   ${simulator ? `${simulator.baseUrl} (simulated: 2 calls a second)` : "the real GLM"}`);

  world.print(`\n1. Log in as "${user.username}"`);
  const token = await logIn(url);
  world.print(`  POST /auth/login -> a token, good for an hour: ${token.slice(0, 24)}…`);

  world.print("\n2. One chat, streamed as it arrives");
  world.write("  ");
  await chat(url, token, "用一句话介绍你自己。 Then say hello in English. [frames=40] [delay=25]", (text) =>
    world.write(toHarmlessLines(text).replaceAll("\n", "\n  ")),
  );

  world.print(`\n\n3. ${burstCalls} calls at once, where GLM takes 2 a second`);
  const served = await showBurst(app, url, token, world);
  const verdict = simulator ? ` GLM counted ${simulator.report().violations.length} violations of its limit.` : "";
  world.print(`  ${served} of ${burstCalls} served, none refused by GLM.${verdict}`);
  return token;
}

/** Runs the burst under a line that shows how it goes. Resolves with how many were served. */
async function showBurst(app: App, url: string, token: string, world: World): Promise<number> {
  let served = 0;
  let lastLine = "";
  const startedAt = world.clock.now();
  function show(): void {
    const { running, waiting } = app.snapshot();
    const line = `running ${running}   waiting ${String(waiting).padStart(2)}   served ${String(served).padStart(2)}`;
    if (line === lastLine) return;
    lastLine = line;
    const seconds = ((world.clock.now() - startedAt) / 1_000).toFixed(1).padStart(4);
    const bar = "█".repeat(served) + "▒".repeat(running) + "░".repeat(waiting);
    // On a terminal the line is drawn over; elsewhere each change is a line of its own.
    world.write(world.isTerminal ? `\r\x1b[2K  ${seconds} s  ${line}   ${bar}` : `  ${seconds} s  ${line}\n`);
  }
  let cancel = () => {};
  const tick = () => {
    show();
    cancel = world.clock.after(100, tick);
  };
  const calls = Array.from({ length: burstCalls }, async (_, index) => {
    await chat(url, token, `Count to ${index + 1}. [frames=12] [delay=30]`, () => {});
    served++;
  });
  tick();
  const outcomes = await Promise.allSettled(calls);
  cancel();
  show();
  if (world.isTerminal) world.print("");
  for (const outcome of outcomes) if (outcome.status === "rejected") world.print(`  ${String(outcome.reason)}`);
  return served;
}

async function logIn(url: string): Promise<string> {
  const response = await fetch(`${url}/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(user),
  });
  if (!response.ok) throw new Error(`login: ${await response.text()}`);
  return ((await response.json()) as { token: string }).token;
}

/** A streamed chat; `onText` gets each piece of what the model says. */
async function chat(url: string, token: string, content: string, onText: (text: string) => void): Promise<void> {
  const response = await fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({
      model,
      stream: true,
      thinking: { type: "disabled" },
      messages: [{ role: "user", content }],
    }),
  });
  if (!response.ok || !response.body) {
    const { error } = (await response.json()) as { error: { message: string } };
    throw new Error(error.message);
  }
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = event.replace(/^data: ?/, "");
      if (data.startsWith("[DONE]")) return;
      const { choices, error } = JSON.parse(data) as {
        choices?: { delta?: { content?: string } }[];
        error?: { message: string };
      };
      if (error) throw new Error(error.message);
      onText(choices?.[0]?.delta?.content ?? "");
    }
  }
}

function printLinesToTry(url: string, token: string, world: World): void {
  world.print(`
Now you. The gateway stays up until Ctrl-C.

curl:
  TOKEN=${token}
  curl -N ${url}/chat/completions -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\
    -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"你好"}]}'

Python, standard library:
  import json, urllib.request
  request = urllib.request.Request("${url}/chat/completions", method="POST",
      headers={"authorization": "Bearer ${token}", "content-type": "application/json"},
      data=json.dumps({"model": "${model}", "messages": [{"role": "user", "content": "你好"}]}).encode())
  print(json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"])

OpenAI SDK, in any language:
  base URL  ${url}/v1
  API key   ${token}
`);
}
