// What a client can do wrong: leave, stall, read slowly, send too little or too much, at each stage of its call.

import assert from "node:assert/strict";
import { until } from "../support/gateway.ts";
import type { FaultCase } from "./cases.ts";
import { begun, chunk, event, frames, goodStream, goodTexts, goodWhole, silence, stream } from "./replies.ts";
import type { RawClient, Stand } from "./stand.ts";
import type { Reply, Step } from "./upstream.ts";

const alone = { rateLimit: { concurrencyMax: 1 } };
const aloneLimits = { startsPerSecond: 20, concurrencyMax: 1 };

/** So many events, a pause between two. */
function slowStream(count: number, waitMs: number): Reply {
  const steps = Array.from({ length: count }, (): Step[] => [{ say: chunk(event(frames[0] as string)) }, { waitMs }]);
  const [head] = goodStream.steps as readonly [Step];
  return { steps: [head, ...steps.flat(), { say: goodTexts.map(chunk).join("") }, { say: "0\r\n\r\n" }, "keep"] };
}

/** About so many bytes of content, as fast as they are taken. */
function largeStream(bytes: number): Reply {
  const content = event(`{"choices":[{"index":0,"delta":{"content":"${"x".repeat(16_000)}"}}]}`);
  const [head] = goodStream.steps as readonly [Step];
  const times = Math.ceil(bytes / content.length);
  return {
    steps: [head, { say: chunk(content), times }, { say: goodTexts.map(chunk).join("") }, { say: "0\r\n\r\n" }, "keep"],
  };
}

async function isAtUpstream(stand: Stand, marker: string): Promise<void> {
  await until("the upstream has it", async () => (await stand.visitsOf(marker)).length > 0);
}

const ways = {
  "with a FIN": ({ socket }: RawClient) => void socket.destroy(),
  "with a RST": ({ socket }: RawClient) => void socket.resetAndDestroy(),
} as const;

const leaving = Object.entries(ways).flatMap(([way, leave]): FaultCase[] => {
  const isShort = way === "with a FIN" ? { isShort: true as const } : {};
  /** The upstream is closed within 100 ms of the leave, by its own clock, and the call is recorded as cancelled. */
  const leaveWhile = (reply: Reply, isStream: boolean, hasBegun: (client: RawClient) => boolean) => {
    return async (stand: Stand) => {
      const { marker, text } = await stand.rawCall([reply], { isStream });
      const client = stand.connect();
      client.socket.write(text);
      await isAtUpstream(stand, marker);
      await until("it has begun", () => hasBegun(client));
      const leftAt = performance.now();
      leave(client);
      await until("the upstream was closed", async () => (await stand.visitsOf(marker))[0]?.endedAt !== null);
      assert.ok(performance.now() - leftAt < 400, `${performance.now() - leftAt} ms`);
      assert.equal((await stand.visitsOf(marker))[0]?.isAborted, true);
      await until("it is recorded", () => stand.rowOf(marker)?.state === "cancelled");
    };
  };
  return [
    {
      name: `leaves ${way} while it waits`,
      settings: alone,
      limits: aloneLimits,
      ...isShort,
      async run(stand) {
        const first = stand.call({ isStream: true, replies: [slowStream(5, 100)] });
        await until("the first runs", async () => (await stand.upstream.books()).visits.length === 1);
        const { marker, text } = await stand.rawCall([goodWhole]);
        const client = stand.connect();
        client.socket.write(text);
        await until("the second waits", () => stand.gateway.app.snapshot().waiting === 1);
        leave(client);
        await until("nobody waits", () => stand.gateway.app.snapshot().waiting === 0);
        assert.equal((await first).end, "whole");
        assert.equal((await stand.visitsOf(marker)).length, 0, "it was never sent");
        await until("it is recorded", () => stand.rowOf(marker)?.state === "cancelled");
        assert.equal(stand.rowOf(marker)?.requests, 0, "and not charged");
      },
    },
    { name: `leaves ${way} before the upstream's head`, run: leaveWhile(silence, false, () => true) },
    {
      name: `leaves ${way} within a stream`,
      ...isShort,
      run: leaveWhile(begun("stall"), true, ({ received }) => received.includes("how")),
    },
    {
      name: `leaves ${way} within its own request`,
      async run(stand) {
        const { marker, text } = await stand.rawCall([goodWhole]);
        const client = stand.connect();
        client.socket.write(text.slice(0, -10));
        await until("it is connected", () => client.socket.bytesWritten > 0);
        leave(client);
        await until("it is gone", () => client.isClosed);
        assert.equal((await stand.visitsOf(marker)).length, 0);
        assert.equal((await stand.call()).status, 200);
      },
    },
    {
      name: `leaves ${way} in the moment in which the answer ends`,
      async run(stand) {
        for (let count = 0; count < 15; count++) {
          const { marker, text } = await stand.rawCall([goodStream], { isStream: true });
          const client = stand.connect();
          client.socket.write(text);
          await isAtUpstream(stand, marker);
          if (count % 2 === 0) await until("it has begun", () => client.received.includes("data:"));
          leave(client);
          await until("it is recorded", () => !["open", undefined].includes(stand.rowOf(marker)?.state));
        }
      },
    },
  ];
});

async function exchange(stand: Stand, text: string, isEnough: (received: string) => boolean): Promise<RawClient> {
  const client = stand.connect();
  client.socket.write(text);
  await until("the gateway has answered", () => isEnough(client.received) || client.isClosed, 8_000);
  return client;
}

const statusesOf = ({ received }: RawClient) =>
  Array.from(received.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => Number(status));

export const clientCases: readonly FaultCase[] = [
  ...leaving,
  {
    name: "reads slowly, but reads",
    async run(stand) {
      const seen = await stand.call({ isStream: true, replies: [largeStream(200_000)], readsPerSecond: 150_000 });
      assert.equal(seen.end, "whole");
      assert.match(seen.text, /\[DONE\]\n\n$/);
    },
  },
  {
    name: "reads slowly while its upstream is done, whose place is free then",
    settings: alone,
    limits: aloneLimits,
    async run(stand) {
      const slow = stand.call({ isStream: true, replies: [largeStream(400_000)], readsPerSecond: 200_000 });
      await until("the upstream is done", async () => {
        const { visits } = await stand.upstream.books();
        return visits.length === 1 && visits[0]?.endedAt !== null;
      });
      const other = await stand.call({ user: 1 });
      assert.equal(other.status, 200);
      assert.ok(
        stand.seen.every(({ marker }) => marker === other.marker),
        "the slow one still reads",
      );
      assert.equal((await slow).end, "whole");
    },
  },
  {
    name: "doesn't read at all",
    isShort: true,
    settings: { glm: { timeouts: { totalMs: 10_000, firstByteMs: 5_000, idleMs: 5_000 } } },
    async run(stand) {
      const { marker, text } = await stand.rawCall([largeStream(24 * 1024 * 1024)], { isStream: true });
      const client = stand.connect();
      client.socket.pause();
      client.socket.write(text);
      await isAtUpstream(stand, marker);
      await until(
        "the stalled client was cut",
        () => ["cut", "cancelled"].includes(stand.rowOf(marker)?.state ?? ""),
        8_000,
      );
      assert.ok(((await stand.visitsOf(marker))[0]?.bytesOut ?? 0) < 20 * 1024 * 1024, "the upstream was paused");
      client.socket.destroy();
    },
  },
  {
    name: "doesn't read and then leaves",
    settings: {
      glm: { timeouts: { totalMs: 10_000, firstByteMs: 5_000, idleMs: 5_000 } },
      server: { writeStallMs: 30_000 },
    },
    async run(stand) {
      const { marker, text } = await stand.rawCall([largeStream(24 * 1024 * 1024)], { isStream: true });
      const client = stand.connect();
      client.socket.pause();
      client.socket.write(text);
      await isAtUpstream(stand, marker);
      await until("the gateway holds bytes for it", async () =>
        /unsent_bytes [1-9]/.test(await stand.gateway.app.metrics.render()),
      );
      client.socket.resetAndDestroy();
      await until("it is recorded", () => stand.rowOf(marker)?.state === "cancelled");
    },
  },
  {
    name: "closes its side right after the request",
    async run(stand) {
      const { marker, text } = await stand.rawCall([goodWhole]);
      const client = stand.connect();
      client.socket.end(text);
      await until("its connection is closed", () => client.isClosed);
      const [visit] = await stand.visitsOf(marker);
      if (visit) await until("it is recorded", () => !["open", undefined].includes(stand.rowOf(marker)?.state));
    },
  },
  {
    name: "sends less than it says and closes",
    isShort: true,
    async run(stand) {
      const { marker, head, body } = await stand.rawCall([goodWhole]);
      const client = stand.connect();
      client.socket.end(`${head}content-length: ${body.length + 50}\r\n\r\n${body}`);
      await until("its connection is closed", () => client.isClosed);
      assert.equal((await stand.visitsOf(marker)).length, 0);
    },
  },
  {
    name: "sends more than it says",
    async run(stand) {
      const { text } = await stand.rawCall([goodWhole]);
      const client = await exchange(stand, `${text}garbage\r\n\r\n`, () => false);
      const statuses = statusesOf(client).join();
      assert.ok(["200", "200,400"].includes(statuses), statuses);
    },
  },
  {
    name: "expects to be asked for its body with a token that is none",
    async run(stand) {
      const text =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer none\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
      const client = await exchange(stand, text, (received) => received.includes("HTTP/1.1 401"));
      assert.deepEqual(statusesOf(client), [401], "no 100 before it");
      client.socket.destroy();
    },
  },
  {
    name: "expects something unknown",
    async run(stand) {
      const { text } = await stand.rawCall([goodWhole], { headers: "expect: cake\r\n" });
      const client = await exchange(stand, text, (received) => received.includes("HTTP/1.1 417"));
      assert.deepEqual(statusesOf(client), [417]);
      client.socket.destroy();
    },
  },
  {
    name: "sends a body beyond the limit",
    async run(stand) {
      const { marker, head } = await stand.rawCall([goodWhole]);
      const client = stand.connect();
      client.socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
      const piece = `10000\r\n${"x".repeat(65_536)}\r\n`;
      for (let count = 0; count < 40 && !client.isClosed; count++) client.socket.write(piece);
      await until("it was refused", () => client.received.includes("HTTP/1.1 413") || client.isClosed);
      await until("the connection is closed", () => client.isClosed);
      assert.equal((await stand.visitsOf(marker)).length, 0);
    },
  },
  {
    name: "sends several requests in one packet",
    isShort: true,
    async run(stand) {
      const calls = [];
      for (let count = 0; count < 5; count++) calls.push(await stand.rawCall([goodWhole]));
      const text = calls.map((call) => call.text).join("");
      const client = await exchange(stand, text, (received) => received.split("HTTP/1.1 200").length > 5);
      assert.deepEqual(statusesOf(client), [200, 200, 200, 200, 200]);
      const ids = Array.from(client.received.matchAll(/x-request-id: (\S+)/gi), ([, id]) => id);
      assert.deepEqual(
        ids,
        calls.map(({ marker }) => marker),
        "in their order",
      );
      client.socket.destroy();
    },
  },
  {
    name: "uses one connection with two users' tokens",
    async run(stand) {
      const [one, other] = [await stand.rawCall([goodWhole]), await stand.rawCall([goodWhole])];
      const text = one.text + other.text.replace(stand.token(0), stand.token(1));
      const client = await exchange(stand, text, (received) => received.split("HTTP/1.1 200").length > 2);
      assert.deepEqual(statusesOf(client), [200, 200]);
      await until("both are recorded", () => stand.rowOf(other.marker)?.state === "served");
      assert.deepEqual([stand.rowOf(one.marker)?.user_name, stand.rowOf(other.marker)?.user_name], ["user1", "user2"]);
      client.socket.destroy();
    },
  },
  {
    name: "uses another method than the path has",
    async run(stand) {
      for (const method of ["GET", "HEAD", "DELETE", "PUT", "PATCH"]) {
        const text = `${method} /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stand.token()}\r\nconnection: close\r\n\r\n`;
        const client = await exchange(stand, text, () => false);
        assert.deepEqual(statusesOf(client), [405], method);
        assert.match(client.received, /\r\nallow: .*POST/i);
      }
      assert.equal((await stand.upstream.books()).visits.length, 0);
    },
  },
  {
    name: "has a token that expires while it streams",
    settings: { auth: { tokenTtlSeconds: 1 }, glm: { timeouts: { totalMs: 10_000, firstByteMs: null, idleMs: null } } },
    async run(stand) {
      const token = await stand.gateway.logIn();
      const headers = { authorization: `Bearer ${token}` };
      const seen = await stand.call({ isStream: true, replies: [slowStream(11, 200)], headers });
      assert.match(seen.text, /\[DONE\]\n\n$/, "the stream goes on");
      assert.equal((await stand.call({ headers })).status, 401);
    },
  },
  {
    name: "floods the queue while another user calls",
    settings: { rateLimit: { concurrencyMax: 2, queueCapacity: 20 } },
    limits: { startsPerSecond: 20, concurrencyMax: 2 },
    async run(stand) {
      const slow = stream(
        goodTexts.slice(0, 1),
        { waitMs: 100 },
        { say: goodTexts.slice(1).map(chunk).join("") },
        { say: "0\r\n\r\n" },
        "keep",
      );
      const flood = Array.from({ length: 30 }, () => stand.call({ isStream: true, replies: [slow] }));
      await until("the queue is full", () => stand.gateway.app.snapshot().waiting >= 18);
      const other = await stand.call({ isStream: true, user: 1, replies: [slow] });
      assert.equal(other.status, 200);
      assert.ok(other.durationMs < 1_500, `${other.durationMs} ms`);
      const statuses = new Set((await Promise.all(flood)).map(({ status }) => status));
      for (const status of statuses) assert.ok([200, 408, 429].includes(status), String(status));
    },
  },
];
