// What can happen to the gateway itself while calls run: limits that change, keys that change, a configuration that is
// bad, a process that is stopped, told to end, or killed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { chat, type Sent, send, until } from "../support/gateway.ts";
import { createWorkspace, type Served, serve, type Workspace } from "../support/process.ts";
import type { FaultCase } from "./cases.ts";
import { chunk, event, frames, goodStream, goodTexts, goodWhole } from "./replies.ts";
import { jitterMs } from "./stand.ts";
import { type BookedUpstream, countBusiest, type Reply, type Step } from "./upstream.ts";

const [streamHead] = goodStream.steps as readonly [Step];
/** A stream of about so long. */
function lasting(ms: number): Reply {
  const pause: Step = { waitMs: 50 };
  const steps = Array.from({ length: ms / 50 }, (): Step[] => [{ say: chunk(event(frames[0] as string)) }, pause]);
  return { steps: [streamHead, ...steps.flat(), { say: goodTexts.map(chunk).join("") }, { say: "0\r\n\r\n" }, "keep"] };
}

export const ownCases: readonly FaultCase[] = [
  {
    name: "a reload lowers the calls at once below those that run",
    isShort: true,
    async run(stand) {
      const { app, settings } = stand.gateway;
      const calls = Array.from({ length: 4 }, () => stand.call({ isStream: true, replies: [lasting(600)] }));
      await until("four run", () => app.snapshot().running === 4);
      const keys = settings.rateLimit.keys.map((key) => ({ ...key, concurrencyMax: 1 }));
      app.apply({ ...settings, rateLimit: { ...settings.rateLimit, keys } });
      const next = stand.call({ isStream: true, user: 1 });
      for (const { end } of await Promise.all(calls)) assert.equal(end, "whole", "nobody is cut");
      assert.equal((await next).status, 200);
    },
  },
  {
    name: "a reload brings another key: running calls end with the old one",
    async run(stand) {
      const { app, settings } = stand.gateway;
      const running = stand.call({ isStream: true, replies: [lasting(600)] });
      await until("it runs", () => app.snapshot().running === 1);
      const upstreams = settings.glm.upstreams.map((one) => ({ ...one, apiKey: "other0123456789.secret0123456789" }));
      app.apply({ ...settings, glm: { ...settings.glm, upstreams } });
      assert.equal((await stand.call({ user: 1 })).status, 200);
      assert.equal((await running).end, "whole");
    },
  },
  {
    name: "a reload takes the queue away while calls wait",
    settings: { rateLimit: { concurrencyMax: 1 } },
    limits: { startsPerSecond: 20, concurrencyMax: 1 },
    async run(stand) {
      const { app, settings } = stand.gateway;
      const calls = Array.from({ length: 4 }, () => stand.call({ isStream: true, replies: [lasting(200)] }));
      await until("three wait", () => app.snapshot().waiting === 3);
      app.apply({ ...settings, rateLimit: { ...settings.rateLimit, queueCapacity: 0 } });
      for (const { status } of await Promise.all(calls)) assert.equal(status, 200, "who waits stays");
      app.apply(settings);
    },
  },
  {
    name: "the gateway stops while calls run and wait",
    settings: { rateLimit: { concurrencyMax: 1 }, server: { shutdownGraceMs: 400 } },
    limits: { startsPerSecond: 20, concurrencyMax: 1 },
    async run(stand) {
      const running = stand.call({ isStream: true, replies: [lasting(1_400)] });
      await until("one runs", () => stand.gateway.app.snapshot().running === 1);
      const waiting = stand.call({ user: 1 });
      await until("one waits", () => stand.gateway.app.snapshot().waiting === 1);
      stand.hasStopped = true;
      await stand.gateway.app.stop();
      assert.equal((await waiting).status, 503);
      assert.match((await running).text, /"code":"shutting_down"/, "cut in words");
    },
  },
];

export interface ProcessCase {
  readonly name: string;
  readonly isShort?: true;
  readonly run: (scene: ProcessScene) => Promise<void>;
}

/** The gateway as a process of its own, in front of the same upstream, at 10 starts a second. */
export class ProcessScene {
  readonly upstream: BookedUpstream;
  readonly workspace: Workspace = createWorkspace();
  gateway!: Served;
  token = "";
  #count = 0;
  readonly #run = Math.floor(performance.now());

  constructor(upstream: BookedUpstream) {
    this.upstream = upstream;
    this.workspace.write("config.toml", this.config());
  }

  config(more = ""): string {
    return [
      '[server]\nhost = "127.0.0.1"\nshutdown_grace_seconds = 2',
      '[auth]\njwt_secret = "a-secret-of-faults-that-is-long-enough"\ntoken_ttl_seconds = 600',
      '[[auth.users]]\nusername = "ada"\npassword = "pass123"',
      `[glm]\napi_key = "process0123456789.secret0123456789"\nbase_url = "http://127.0.0.1:${this.upstream.port}/api/paas/v4"`,
      "[rate_limit]\nrequests_per_second = 10\nqueue_capacity = 100",
      `[store]\nurl = "sqlite:${this.workspace.path("store.sqlite")}"`,
      more,
    ].join("\n");
  }

  async start(): Promise<void> {
    this.gateway = await serve(["--config", this.workspace.path("config.toml")], this.workspace, {
      XDG_DATA_HOME: this.workspace.folder,
    });
    const { json } = await send(`${this.gateway.url}/auth/login`, { body: { username: "ada", password: "pass123" } });
    this.token = (json as { token: string }).token;
  }

  /** Null: no whole answer came. */
  async call(replies: readonly Reply[] = [goodWhole], isStream = false): Promise<Sent | null> {
    const marker = `fault-${this.#run}-${++this.#count}`;
    await this.upstream.script(marker, replies);
    return send(`${this.gateway.url}/v1/chat/completions`, {
      token: this.token,
      body: chat(marker, { stream: isStream }),
      headers: { "x-request-id": marker },
    }).catch(() => null);
  }

  /** Each visit has exactly one row, in a final state, and the upstream's limit was kept. */
  async check(): Promise<void> {
    const { visits, ...books } = await this.upstream.books();
    const database = new DatabaseSync(this.workspace.path("store.sqlite"), { readOnly: true });
    const rows = database.prepare("select request_id, state from calls").all() as {
      request_id: string;
      state: string;
    }[];
    database.close();
    for (const { marker } of visits) {
      const ofVisit = rows.filter(({ request_id }) => request_id === marker);
      assert.equal(ofVisit.length, 1, `${marker}: ${ofVisit.length} rows`);
    }
    assert.ok(
      rows.every(({ state }) => state !== "open"),
      "each row has ended",
    );
    const busiest = countBusiest({ visits, ...books }, 1_000 - jitterMs);
    assert.ok(busiest <= 10, `${busiest} starts in a second`);
    assert.ok(!this.gateway.stdout().includes("secret0123456789"), "the key is in the log");
  }

  async close(): Promise<void> {
    if (this.gateway.child.exitCode === null) this.gateway.child.kill("SIGKILL");
    await this.gateway.exit;
    await this.upstream.clear();
    this.workspace.remove();
  }
}

export const processCases: readonly ProcessCase[] = [
  {
    name: "ends at once when it is told to and nothing runs",
    async run(scene) {
      await scene.start();
      assert.equal((await scene.call())?.status, 200);
      assert.equal(await scene.gateway.stop(), 0);
    },
  },
  {
    name: "lets calls end when it is told to end, and answers those that wait",
    isShort: true,
    async run(scene) {
      await scene.start();
      const calls = Array.from({ length: 20 }, () => scene.call([lasting(500)], true));
      await until("some run", async () => (await scene.upstream.books()).visits.length >= 5);
      assert.equal(await scene.gateway.stop(), 0);
      const seen = await Promise.all(calls);
      for (const sent of seen) {
        assert.ok(sent, "each is answered");
        assert.ok(
          sent.status === 503 || /\[DONE\]|"error":/.test(sent.text),
          `${sent.status} ${sent.text.slice(-200)}`,
        );
      }
      assert.ok(seen.some((sent) => sent?.text.includes("[DONE]")));
    },
  },
  {
    name: "is killed at any moment, and starts again with every call in its books",
    async run(scene) {
      for (let round = 0; round < 5; round++) {
        await scene.start();
        const calls = Array.from({ length: 12 }, (_, index) => scene.call([lasting(100 + 50 * (index % 4))], true));
        await until("some run", async () => (await scene.upstream.books()).visits.length > round * 3);
        await until("a moment", () => performance.now() % 97 < 20);
        scene.gateway.child.kill("SIGKILL");
        await scene.gateway.exit;
        await Promise.all(calls);
      }
      await scene.start();
      assert.equal((await scene.call())?.status, 200);
      assert.equal(await scene.gateway.stop(), 0);
    },
  },
  {
    name: "stands still for two seconds, and starts no more afterwards than the limit allows",
    async run(scene) {
      await scene.start();
      const calls = Array.from({ length: 40 }, () => scene.call());
      await until("some were sent", async () => (await scene.upstream.books()).visits.length >= 3);
      scene.gateway.child.kill("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      scene.gateway.child.kill("SIGCONT");
      for (const sent of await Promise.all(calls))
        assert.ok([200, 408].includes(sent?.status ?? 0), String(sent?.status));
      assert.equal(await scene.gateway.stop(), 0);
    },
  },
  {
    name: "keeps its configuration when it is told to read a bad one",
    async run(scene) {
      await scene.start();
      scene.workspace.write("config.toml", scene.config("[rate_limit.nonsense]\nx = 1\n[glm]\n"));
      scene.gateway.child.kill("SIGHUP");
      await until("it says so", () => /reload|config/i.test(scene.gateway.stdout().split('"ready"')[1] ?? ""));
      assert.equal((await scene.call())?.status, 200);
      assert.equal(await scene.gateway.stop(), 0);
      assert.match(readFileSync(scene.workspace.path("config.toml"), "utf8"), /nonsense/);
    },
  },
];
