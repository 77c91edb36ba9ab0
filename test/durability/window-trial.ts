// One trial: gateways one after the other over the same database, each stopped, killed or given new settings at a moment
// that chance chooses, under load all the time. Judged by what the upstream saw: its limits know of no restart.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Settings } from "../../src/config/settings.ts";
import { createRandom, type Random } from "../../src/simulator/random.ts";
import { chat, send, testSettings } from "../support/gateway.ts";
import { createWorkspace } from "../support/process.ts";
import { sleep } from "./gateway-process.ts";
import type { UpstreamBook, UpstreamPlan } from "./window-upstream.ts";

/** What the upstream bears. */
export interface WindowLimits {
  readonly startsPerSecond: number | null;
  readonly concurrencyMax: number | null;
  readonly tokensPerMinute: number | null;
}

export interface WindowTrial {
  readonly problems: readonly string[];
  readonly starts: number;
  readonly lives: readonly string[];
  /** From the end of one gateway to the first call that the next one sent. */
  readonly gapsMs: readonly number[];
  readonly seconds: number;
}

export interface WindowPlan {
  readonly seed: number;
  readonly limits: WindowLimits;
  readonly lives: number;
  readonly lifeMsMax: number;
  /** A gateway that sends nothing for so long is ended too. */
  readonly waitMsMax: number;
}

const clients = 12;
const answerMs = 30;
const tokensPerCall = 50;
/** The upstream notices late that a client is gone, and the gateway allows for it. */
const [noticeMs, lingerMs] = [300, 500];
/** Between a send and its arrival in the books, on a machine that does other things too. */
const guardMs = 150;
const upstreamKey = "simulated.0123456789abcdef";

export async function tryWindows({ seed, limits, lives, lifeMsMax, waitMsMax }: WindowPlan): Promise<WindowTrial> {
  const random = createRandom(seed);
  const workspace = createWorkspace();
  const workerData: UpstreamPlan = { answerMs, tokensPerCall, noticeMs };
  const upstream = new Worker(new URL("window-upstream.ts", import.meta.url), { workerData });
  const children: ChildProcess[] = [];
  const load = { url: "", token: "", isOver: false };
  const startedAt = performance.now();
  const gapsMs: number[] = [];
  const told: string[] = [];
  let calling: Promise<unknown> = Promise.resolve();
  try {
    const [port] = (await once(upstream, "message")) as [number];
    const settings = (rateShare: number) => toSettings(workspace.folder, port, limits, rateShare);
    const read = () => readBook(upstream);
    for (let life = 0; life < lives; life++) {
      // The next one is loaded while this one serves.
      children.push(...Array.from({ length: life === 0 ? 2 : 1 }, prepare));
      const child = children[life] as ChildProcess;
      const before = (await read()).arrivals.length;
      const bornAt = performance.now();
      // Now and then a slower run, so that limits change from one run to the next.
      load.url = await start(child, settings(life > 0 && random.next() < 0.3 ? 0.5 : 1));
      if (life === 0) {
        load.token = await logIn(load.url);
        calling = Promise.all(Array.from({ length: clients }, () => keepCalling(load)));
      }
      const lifeMs = random.next() < 0.5 ? random.below(60) : random.below(lifeMsMax);
      const end = await live(child, { random, lifeMs, waitMsMax, before, read, settings });
      if (life > 0) gapsMs.push(Math.round(performance.now() - bornAt));
      told.push(`${end} after ${lifeMs} ms`);
    }
    const { arrivals, changes } = await read();
    const problems = judge(limits, arrivals, changes);
    return { problems, starts: arrivals.length, lives: told, gapsMs, seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    load.isOver = true;
    for (const child of children) child.kill("SIGKILL");
    await calling;
    await upstream.terminate();
    workspace.remove();
  }
}

interface Life {
  readonly random: Random;
  readonly lifeMs: number;
  readonly waitMsMax: number;
  /** Calls that the upstream saw before. */
  readonly before: number;
  read(): Promise<UpstreamBook>;
  settings(rateShare: number): Settings;
}

/** A life counts from its first send, or ends before there is one, if none comes in time. */
async function live(child: ChildProcess, { random, lifeMs, waitMsMax, before, read, settings }: Life): Promise<string> {
  const waitsUntil = performance.now() + (random.next() < 0.2 ? 0 : waitMsMax);
  while ((await read()).arrivals.length === before && performance.now() < waitsUntil) await sleep(2);
  const reloads = random.next() < 0.3;
  await sleep(reloads ? lifeMs / 2 : lifeMs);
  if (reloads) {
    child.send(settings(0.5));
    await sleep(5);
    child.send(settings(1));
    await sleep(lifeMs / 2);
  }
  const isKilled = random.next() < 0.6;
  child.kill(isKilled ? "SIGKILL" : "SIGTERM");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return `${reloads ? "reloaded, " : ""}${isKilled ? "killed" : "stopped"}`;
}

function prepare(): ChildProcess {
  return fork(new URL("window-child.ts", import.meta.url).pathname, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

async function start(child: ChildProcess, settings: Settings): Promise<string> {
  child.send(settings);
  const [port] = (await Promise.race([once(child, "message"), once(child, "exit")])) as [unknown];
  if (child.exitCode !== null) throw new Error(`a gateway ended with ${child.exitCode} while it started`);
  return `http://127.0.0.1:${port}`;
}

async function logIn(url: string): Promise<string> {
  const { json } = await send(`${url}/auth/login`, { body: { username: "user1", password: "pass123" } });
  return (json as { token: string }).token;
}

async function keepCalling(load: { readonly url: string; readonly token: string; readonly isOver: boolean }) {
  while (!load.isOver) {
    await send(`${load.url}/chat/completions`, { token: load.token, body: chat("hello") }).then(
      ({ status }) => (status === 200 ? undefined : sleep(10)),
      () => sleep(10),
    );
  }
}

async function readBook(upstream: Worker): Promise<UpstreamBook> {
  upstream.postMessage("read");
  const [book] = (await once(upstream, "message")) as [UpstreamBook];
  return book;
}

function toSettings(folder: string, port: number, limits: WindowLimits, rateShare: number): Settings {
  const baseUrl = `http://127.0.0.1:${port}`;
  const upstream = { name: "default", kind: "glm", apiKey: upstreamKey, baseUrl, anthropicBaseUrl: null } as const;
  const startsPerSecond = limits.startsPerSecond && limits.startsPerSecond * rateShare;
  return {
    ...testSettings,
    server: { ...testSettings.server, shutdownGraceMs: 20 },
    log: { level: "warn" },
    auth: { ...testSettings.auth, tokenTtlSeconds: 3_600 },
    glm: { ...testSettings.glm, apiKey: upstreamKey, baseUrl, upstreams: [upstream] },
    rateLimit: {
      ...testSettings.rateLimit,
      keys: [{ name: "default", models: null, ...limits, startsPerSecond }],
      queueTimeoutMs: 60_000,
      sendGuardMs: guardMs,
      abortLingerMs: lingerMs,
    },
    store: { kind: "sqlite", file: join(folder, "store.sqlite") },
    dataFolder: folder,
  };
}

export function judge(limits: WindowLimits, arrivals: readonly number[], changes: UpstreamBook["changes"]): string[] {
  const { startsPerSecond, concurrencyMax, tokensPerMinute } = limits;
  const problems: string[] = [];
  const findFull = (what: string, startsMax: number, windowMs: number) => {
    for (let index = startsMax; index < arrivals.length; index++) {
      const withinMs = (arrivals[index] as number) - (arrivals[index - startsMax] as number);
      if (withinMs >= windowMs) continue;
      problems.push(`${startsMax + 1} starts within ${withinMs.toFixed(0)} ms, ${what}`);
      return;
    }
  };
  if (startsPerSecond !== null) {
    const startsMax = Math.max(1, Math.floor(startsPerSecond));
    findFull(`at ${startsPerSecond} a second`, startsMax, (startsMax / startsPerSecond) * 1_000);
  }
  if (tokensPerMinute !== null) {
    findFull(
      `of ${tokensPerCall} tokens each, at ${tokensPerMinute} a minute`,
      tokensPerMinute / tokensPerCall,
      60_000,
    );
  }
  let [running, most] = [0, 0];
  for (const [, by] of changes.toSorted(([one, up], [other, down]) => one - other || up - down)) {
    running += by;
    most = Math.max(most, running);
  }
  if (concurrencyMax !== null && most > concurrencyMax) problems.push(`${most} calls at once, of ${concurrencyMax}`);
  return problems;
}
