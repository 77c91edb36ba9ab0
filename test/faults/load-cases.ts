// More than there is room for: connections, waiting calls, streams, slow readers, calls beyond the rate. A bystander is
// served all the while.

import assert from "node:assert/strict";
import { until } from "../support/gateway.ts";
import type { FaultCase } from "./cases.ts";
import { chunk, event, frames, goodStream, goodTexts, goodWhole } from "./replies.ts";
import type { Stand } from "./stand.ts";
import type { Reply, Step } from "./upstream.ts";

const unlimited = { startsPerSecond: null, concurrencyMax: null };
const wide = {
  rateLimit: { startsPerSecond: 5_000, concurrencyMax: null, queueCapacity: 2_000, userQueueCapacity: null },
};
const [head] = goodStream.steps as readonly [Step];
const end: readonly Step[] = [{ say: goodTexts.map(chunk).join("") }, { say: "0\r\n\r\n" }, "keep"];

/** Calls of another user every 200 ms, as long as the work goes on: each is served. */
async function beside(stand: Stand, work: Promise<unknown>, waitMsMax: number): Promise<void> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const { status, durationMs } = await stand.call({ user: 1 });
    assert.equal(status, 200, "the bystander is served");
    assert.ok(durationMs < waitMsMax, `the bystander waited ${durationMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await done;
}

export const loadCases: readonly FaultCase[] = [
  {
    name: "1,000 connections that say nothing",
    async run(stand) {
      const clients = Array.from({ length: 1_000 }, () => stand.connect());
      await beside(stand, new Promise((resolve) => setTimeout(resolve, 1_500)), 2_000);
      for (const { socket } of clients) socket.destroy();
    },
  },
  {
    name: "20 times more calls than the rate allows",
    isShort: true,
    settings: { rateLimit: { queueCapacity: 20, queueTimeoutMs: 2_000 } },
    async run(stand) {
      const calls = [];
      for (let count = 0; count < 120; count++) {
        calls.push(stand.call({ replies: [goodWhole], user: count % 4 === 0 ? 1 : 0 }));
        if (count % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 150));
      }
      const seen = await Promise.all(calls);
      for (const { status, headers } of seen) {
        assert.ok([200, 408, 429].includes(status), String(status));
        if (status !== 200) assert.ok(Number(headers["retry-after"]) >= 1, "it says when to come back");
      }
      assert.ok(seen.filter(({ status }) => status === 200).length >= 25);
    },
  },
  {
    name: "200 calls that wait until their time is up",
    settings: { rateLimit: { concurrencyMax: 1, queueCapacity: 300, queueTimeoutMs: 1_500, startsPerSecond: 20 } },
    limits: { startsPerSecond: 20, concurrencyMax: 1 },
    async run(stand) {
      const slow: Reply = { steps: [{ waitMs: 1_000 }, ...goodWhole.steps] };
      const seen = await Promise.all(Array.from({ length: 200 }, () => stand.call({ replies: [slow] })));
      const late = seen.filter(({ status }) => status === 408);
      assert.ok(late.length >= 190, String(late.length));
      for (const { durationMs } of late) assert.ok(durationMs >= 1_400 && durationMs < 4_000, `${durationMs} ms`);
    },
  },
  {
    name: "300 streams at once",
    settings: { ...wide, glm: { timeouts: { totalMs: 30_000, firstByteMs: null, idleMs: null } } },
    limits: unlimited,
    async run(stand) {
      const events = Array.from({ length: 15 }, (): Step[] => [
        { say: chunk(event(frames[0] as string)) },
        { waitMs: 100 },
      ]);
      const reply: Reply = { steps: [head, ...events.flat(), ...end] };
      const streams = Array.from({ length: 300 }, () => stand.call({ isStream: true, replies: [reply] }));
      await beside(stand, Promise.all(streams), 4_000);
      for (const { text } of await Promise.all(streams)) assert.match(text, /\[DONE\]\n\n$/);
    },
  },
  {
    name: "30 readers that are slow",
    settings: {
      ...wide,
      server: { writeStallMs: 10_000 },
      glm: { timeouts: { totalMs: 60_000, firstByteMs: null, idleMs: null } },
    },
    limits: unlimited,
    async run(stand) {
      const content = event(`{"choices":[{"index":0,"delta":{"content":"${"x".repeat(16_000)}"}}]}`);
      const reply: Reply = { steps: [head, { say: chunk(content), times: 20 }, ...end] };
      const readers = Array.from({ length: 30 }, () =>
        stand.call({ isStream: true, replies: [reply], readsPerSecond: 150_000 }),
      );
      await beside(stand, Promise.all(readers), 3_000);
      for (const { end, text } of await Promise.all(readers)) assert.ok(end === "whole" && text.endsWith("[DONE]\n\n"));
    },
  },
  {
    name: "clients that repeat at once whatever is refused",
    settings: { rateLimit: { queueCapacity: 5, queueTimeoutMs: 500 } },
    async run(stand) {
      let isOver = false;
      const storm = Array.from({ length: 12 }, async () => {
        while (!isOver) await stand.call();
      });
      await until("it has stormed", async () => (await stand.upstream.books()).visits.length >= 40, 8_000);
      const { status, durationMs } = await stand.call({ user: 1 });
      isOver = true;
      await Promise.all(storm);
      assert.equal(status, 200);
      assert.ok(durationMs < 1_500, `${durationMs} ms`);
    },
  },
  {
    name: "a key pool of which one key is dead",
    isShort: true,
    async run(stand) {
      const { app, settings } = stand.gateway;
      const [target] = settings.glm.upstreams as [(typeof settings.glm.upstreams)[number]];
      const upstreams = ["one", "two", "dead"].map((name) => ({
        ...target,
        name,
        ...(name === "dead" && { baseUrl: "http://127.0.0.1:1/api/paas/v4" }),
      }));
      const [key] = settings.rateLimit.keys as [(typeof settings.rateLimit.keys)[number]];
      const keys = upstreams.map(({ name }) => ({ ...key, name, startsPerSecond: 5, concurrencyMax: 2 }));
      app.apply({ ...settings, glm: { ...settings.glm, upstreams }, rateLimit: { ...settings.rateLimit, keys } });
      const seen = await Promise.all(Array.from({ length: 20 }, () => stand.call()));
      for (const { status, text } of seen) assert.equal(status, 200, text);
    },
  },
  {
    name: "an upstream that closes its connection after each answer without saying so",
    async run(stand) {
      const reply: Reply = { steps: [...goodWhole.steps.slice(0, 1), "fin"] };
      for (let count = 0; count < 40; count++) assert.equal((await stand.call({ replies: [reply] })).status, 200);
      const { visits } = await stand.upstream.books();
      assert.equal(new Set(visits.map(({ socketId }) => socketId)).size, 40);
    },
  },
  {
    name: "an upstream that closes an idle connection in the moment of the next call",
    settings: { ...wide },
    limits: unlimited,
    async run(stand) {
      for (let count = 0; count < 60; count++) {
        const idle: Reply = { steps: [...goodWhole.steps.slice(0, 1), { waitMs: count % 12 }, "fin"] };
        const { marker, status, text } = await stand.call({ replies: [idle] });
        // It may have been executed, for all that can be known: then it is not sent again.
        if (status !== 200) assert.match(text, /"code":"upstream_reset"/);
        assert.ok((await stand.visitsOf(marker)).length <= 1, "it was sent twice");
      }
    },
  },
  {
    name: "an upstream that fails every second call",
    async run(stand) {
      let failed = 0;
      for (let count = 0; count < 20; count++) {
        const reply = count % 2 === 0 ? goodWhole : ({ steps: ["reset"] } satisfies Reply);
        const { status } = await stand.call({ replies: [reply], user: count % 2 === 0 ? 0 : 1 });
        if (status !== 200) failed++;
      }
      assert.equal(failed, 10, "each bad answer is one client's, and no good one is lost");
    },
  },
];
