// Clients that mean harm, over bare sockets, against a gateway in a process of its own: what they can take of its memory,
// its time and its connections, while somebody else is served.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, before, describe, it, type TestContext } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, type Sent, send, until } from "../support/gateway.ts";
import { createWorkspace, type Served, serve } from "../support/process.ts";

const megabyte = 1024 * 1024;
const perAddressMax = 60;
const stallSeconds = 2;
/** Generous, since tests run on busy machines: without the bounds, others wait ten times as long. */
const bystanderMsMax = 2_500;
/** What 18,000 calls leave for V8 to collect is part of it. Without the bounds it is 1,400. */
const moreMegabytesMax = 100;
const upstreamKey = "zkCANARYid0123456789.zkCANARYsecret9876";

const workspace = createWorkspace();
let simulator: Simulator;
let gateway: Served;
let token: string;

before(async () => {
  simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 5, tokenMs: 1 });
  workspace.write(
    "config.toml",
    `[server]
host = "127.0.0.1"
write_stall_seconds = ${stallSeconds}
connections_per_address = ${perAddressMax}
[auth]
token_ttl_seconds = 3600
${["user1", "user2"].map((name) => `[[auth.users]]\nusername = "${name}"\npassword = "pass123"`).join("\n")}
[glm]
api_key = "${upstreamKey}"
base_url = "${simulator.baseUrl}"
[rate_limit]
requests_per_second = 1000
queue_capacity = 1000
`,
  );
  gateway = await serve(["--config", workspace.path("config.toml")], workspace);
  token = await logIn("user1");
});

after(async () => {
  await gateway?.stop();
  await simulator?.close();
  workspace.remove();
});

async function logIn(username: string): Promise<string> {
  const { json } = await send(`${gateway.url}/auth/login`, { body: { username, password: "pass123" } });
  return (json as { token: string }).token;
}

/** Of another address than the bystander's, which is 127.0.0.1. */
function open(localAddress = "127.0.0.2"): Socket {
  const socket = connect({ port: gateway.port, host: "127.0.0.1", localAddress, noDelay: true });
  return socket.on("error", () => {});
}

function readRss(): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.child.pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** Asks again and again until `isOver`; the longest wait, and the most memory. */
async function watch(isOver: () => boolean, msMax: number): Promise<{ waitMs: number; rss: number }> {
  let waitMs = 0;
  let rss = 0;
  const startedAt = performance.now();
  while (!isOver() && performance.now() - startedAt < msMax) {
    const askedAt = performance.now();
    assert.equal((await send(`${gateway.url}/livez`)).status, 200);
    waitMs = Math.max(waitMs, performance.now() - askedAt);
    rss = Math.max(rss, readRss());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { waitMs, rss };
}

const bearer = () => `Authorization: Bearer ${token}\r\n`;
const get = (target: string, fields = "") => `GET ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
const post = (target: string, fields: string, length: number | null) =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\n${fields}${length === null ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`}\r\n\r\n`;
const json = "Content-Type: application/json\r\n";

/** As the system has them: whoever does not read does not hear of the end. */
function countOpen(address: "0200007F"): number {
  const own = `:${gateway.port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((row) => row.trim().split(/\s+/));
  return rows.filter(
    ([, local, remote, state]) => local?.endsWith(own) && remote?.startsWith(address) && state === "01",
  ).length;
}

describe("a stranger who sends many requests at once and reads no answer", {
  skip: process.platform !== "linux",
}, () => {
  const body = JSON.stringify(chat("x"));
  const large: Record<string, () => string> = {
    "for a document": () => get("/openapi.json"),
    "for a page": () => get("/docs"),
  };
  const small: Record<string, () => string> = {
    "for a public route": () => get("/livez"),
    "for what there is not": () => get("/nowhere"),
    "for the control plane, without a token": () => get("/me"),
    "for models": () => get("/v1/models", bearer()),
    "for calls, without a token": () => post("/v1/chat/completions", json, body.length) + body,
    "for calls": () => post("/v1/chat/completions", json + bearer(), body.length) + body,
  };
  for (const [name, request] of Object.entries({ ...large, ...small })) {
    it(`${name}, takes little memory and nobody's time`, async (t: TestContext) => {
      await send(`${gateway.url}/openapi.json`);
      const before = readRss();
      const sockets = Array.from({ length: 20 }, () => open().pause());
      for (const socket of sockets) socket.write(request().repeat(900));
      try {
        await until("they are connected", () => countOpen("0200007F") === sockets.length);
        // Small answers find room in the system's buffers, and take time only while they are made.
        const isCut = () => name in large && countOpen("0200007F") === 0;
        const { waitMs, rss } = await watch(isCut, name in large ? 20_000 : 1_500);
        const moreMegabytes = Math.round((rss - before) / megabyte);
        t.diagnostic(`a bystander waits ${Math.round(waitMs)} ms at most, ${moreMegabytes} MB more`);
        if (name in large) assert.equal(countOpen("0200007F"), 0, "they are cut");
        assert.ok(moreMegabytes <= moreMegabytesMax, `${moreMegabytes} MB more`);
        assert.ok(waitMs <= bystanderMsMax, `others wait ${waitMs} ms`);
      } finally {
        for (const socket of sockets) socket.destroy();
      }
      await until("they are gone", () => countOpen("0200007F") === 0);
    });
  }
});

describe("a stranger who goes on sending, byte by byte, after the answer", () => {
  const long = 60_000;
  const refused: Record<string, [bytes: () => string, status: number]> = {
    "401 of a call": [() => post("/v1/chat/completions", json, long), 401],
    "401 of a call in chunks": [() => `${post("/v1/chat/completions", json, null)}ffff\r\n`, 401],
    "401 of an upload": [() => post("/v1/files", "Content-Type: multipart/form-data; boundary=b\r\n", long), 401],
    "401 of the control plane": [() => post("/me/keys", json, long), 401],
    "404": [() => post("/nowhere", json, long), 404],
    "404 of the control plane": [() => post("/admin/nowhere", json + bearer(), long), 404],
    "405": [() => post("/livez", json, long), 405],
    "405 of the control plane": [() => post("/me", json + bearer(), long), 405],
    "413 of a call": [() => post("/v1/chat/completions", json + bearer(), 99_999_999), 413],
    "413 of the control plane": [() => post("/me/keys", json + bearer(), 9_999_999), 413],
    "413 of a login": [() => post("/auth/login", json, long), 413],
    "415 of a call": [() => post("/v1/chat/completions", bearer(), long), 415],
    "415 of the control plane": [() => post("/me/keys", bearer(), long), 415],
    "417": [() => post("/livez", "Expect: x\r\n", long), 417],
    "400 of the guard": [() => post("/a/../b", json, long), 400],
    "200 of a public document": [() => `POST /docs HTTP/1.1\r\nHost: x\r\nContent-Length: ${long}\r\n\r\n`, 405],
    "408 of a call": [() => post("/v1/chat/completions", json + bearer(), long), 408],
    "408 of an upload": [
      () => post("/v1/files", `${bearer()}Content-Type: multipart/form-data; boundary=b\r\n`, long),
      408,
    ],
    "408 of a login": [() => post("/auth/login", json, 5_000), 408],
    "408 of the control plane": [() => post("/me/keys", json + bearer(), long), 408],
  };
  it("is cut within a few seconds of it, whatever the answer and the route", async () => {
    await Promise.all(
      Object.entries(refused).map(async ([name, [bytes, status]]) => {
        const socket = open("127.0.0.3");
        let received = "";
        let answeredAt = 0;
        let isClosed = false;
        socket.on("data", (chunk) => {
          received += chunk.toString("latin1");
          answeredAt ||= performance.now();
        });
        socket.once("close", () => {
          isClosed = true;
        });
        socket.write(bytes());
        const dripping = setInterval(() => socket.write("x"), 500);
        try {
          await until(`${name}: it is answered`, () => received.length > 0, 12_000);
          assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} `), name);
          await until(`${name}: it is closed`, () => isClosed, 10_000);
          assert.ok(
            performance.now() - answeredAt < 6_000,
            `${name}: closed after ${performance.now() - answeredAt} ms`,
          );
        } finally {
          clearInterval(dripping);
          socket.destroy();
        }
      }),
    );
  });
});

describe("a stranger who opens many connections", () => {
  it("has as many as an address may have, hears why, and nobody else is refused", async (t: TestContext) => {
    const answers: string[] = [];
    const sockets = Array.from({ length: 400 }, () => open("127.0.0.4"));
    let closed = 0;
    for (const socket of sockets) {
      socket.once("close", () => closed++).on("data", (chunk) => answers.push(chunk.toString("latin1")));
    }
    const { waitMs } = await watch(() => closed >= sockets.length - perAddressMax, 8_000);
    t.diagnostic(`bystander's longest wait ${Math.round(waitMs)} ms, ${answers.length} heard why`);
    assert.equal(closed, sockets.length - perAddressMax);
    assert.ok(answers.length > 0);
    for (const answer of answers) {
      assert.match(answer, /^HTTP\/1\.1 429 [\s\S]*"too_many_connections"[\s\S]*|server\.connections_per_address/);
    }
    assert.equal((await send(`${gateway.url}/v1/chat/completions`, { token, body: chat() })).status, 200);
    assert.ok(waitMs <= bystanderMsMax, `others wait ${waitMs} ms`);
    for (const socket of sockets) socket.destroy();
  });
});

describe("a user who withholds the ends of large bodies", () => {
  it("is refused beyond a part of the memory, and another's call is served", async () => {
    const other = await logIn("user2");
    const large = Buffer.alloc(10 * megabyte - 100, "x");
    const body = chat("x".repeat(100_000));
    /** What the holder of 25 bodies gets for one more, while others are served. */
    async function hold(): Promise<Sent> {
      const sockets = Array.from({ length: 25 }, () => open("127.0.0.5"));
      const statuses: string[] = [];
      for (const socket of sockets) {
        socket.on("data", (chunk) => statuses.push(chunk.toString("latin1").slice(9, 12)));
        socket.write(post("/v1/chat/completions", json + bearer(), 10 * megabyte));
        socket.write(large);
      }
      await until("most are refused", () => statuses.filter((status) => status === "503").length >= 20, 15_000);
      const own = await send(`${gateway.url}/v1/chat/completions`, { token, body: chat("x".repeat(8 * megabyte)) });
      assert.equal((await send(`${gateway.url}/v1/chat/completions`, { token: other, body })).status, 200);
      for (const socket of sockets) socket.destroy();
      return own;
    }
    let own = await hold();
    // Bodies that make no progress are given up after 5 s: on a slow machine before this call came.
    for (let count = 0; own.status !== 503 && count < 3; count++) own = await hold();
    assert.equal(own.status, 503, "the one who holds it");
    assert.match(JSON.stringify(own.json), /"memory_full"/);
    await until("its part is free again", async () => {
      const again = await send(`${gateway.url}/v1/chat/completions`, { token, body });
      return again.status === 200;
    });
  });
});
