// The table of cases.ts over bare sockets, on each kind of route, in one piece and byte by byte; and what requests on one
// connection do to each other.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chat, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { bodyCases, type Framed, type FramingCase, headCases } from "./cases.ts";
import { openWire, type Wire } from "./wire.ts";

let gateway: TestGateway;
let token: string;

before(async () => {
  gateway = await startGateway({ rateLimit: { startsPerSecond: 10_000, concurrencyMax: 100 } });
  token = await gateway.logIn();
});
after(async () => {
  await until("nothing runs", () => gateway.app.snapshot().running === 0);
  await gateway.stop();
});

const json = "Content-Type: application/json\r\n";
const bearer = () => `Authorization: Bearer ${token}\r\n`;
const withoutBody: Record<string, () => Framed> = {
  "public route": () => ({ method: "GET", target: "/livez", fields: "", body: "" }),
  "identified route": () => ({ method: "GET", target: "/v1/models", fields: bearer(), body: "" }),
  "route of the control plane": () => ({ method: "GET", target: "/me", fields: bearer(), body: "" }),
  "public route of the control plane": () => ({ method: "GET", target: "/docs", fields: "", body: "" }),
};
const withBody: Record<string, () => Framed> = {
  "public route": () => {
    const body = JSON.stringify({ username: "user1", password: "pass123" });
    return { method: "POST", target: "/auth/login", fields: json, body };
  },
  call: () => ({
    method: "POST",
    target: "/v1/chat/completions",
    fields: `${bearer()}${json}`,
    body: JSON.stringify(chat()),
  }),
  "route of the control plane": () => {
    const body = JSON.stringify({ name: "a key" });
    return { method: "POST", target: "/me/keys", fields: `${bearer()}${json}`, body };
  },
};

const probe = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async function judge({ bytes, verdict, after, ends }: FramingCase, route: Framed, pieceBytes: number): Promise<void> {
  const wire = await openWire(gateway.port);
  try {
    await wire.send(bytes(route), pieceBytes);
    if (ends) wire.end();
    const answer = await wire.nextAnswer();
    const described = JSON.stringify(answer);
    if (verdict === "good") assert.ok(answer !== null && answer.status >= 200 && answer.status < 300, described);
    // What is wrong with a version shows only where all of the line came at once.
    else if (verdict === 505 && pieceBytes !== Number.POSITIVE_INFINITY) {
      assert.ok(answer?.status === 400 || answer?.status === 505, described);
    } else assert.equal(answer?.status, verdict, described);
    if (after === "open") {
      wire.send(probe);
      assert.equal((await wire.nextAnswer())?.status, 200, "another request is answered");
    } else if (answer !== null && !ends) assert.match(String(answer.headers.connection), /close/i);
    assert.equal(await wire.nextAnswer(), null, "and then the connection is closed");
  } finally {
    wire.destroy();
  }
}

function judgeAll(routes: Record<string, () => Framed>, cases: readonly FramingCase[]): void {
  for (const [name, route] of Object.entries(routes)) {
    describe(`a ${name}, as bytes`, () => {
      for (const framing of cases) {
        const expected = framing.verdict === "good" ? "takes" : `answers ${framing.verdict} to`;
        it(`${expected} ${framing.name}: ${framing.after}`, () => judge(framing, route(), Number.POSITIVE_INFINITY));
      }
    });
  }
}

judgeAll(withoutBody, headCases);
judgeAll(withBody, [...headCases, ...bodyCases]);

describe("a request in pieces", () => {
  for (const size of [1, 3, 7]) {
    it(`of ${size} bytes is the same request`, async () => {
      const route = (withBody.call as () => Framed)();
      const short = [...headCases, ...bodyCases].filter((framing) => framing.bytes(route).length < 1_000);
      assert.ok(short.length > 100);
      await Promise.all(
        short.map((framing) =>
          judge(framing, route, size).catch((error: Error) => {
            throw new Error(`${framing.name}: ${error.message}`, { cause: error });
          }),
        ),
      );
    });
  }
});

describe("requests on one connection", () => {
  const get = (target: string, fields = "") => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
  const post = (target: string, body: string, fields = "") =>
    `POST ${target} HTTP/1.1\r\nHost: a\r\n${json}${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
  const call = () => post("/v1/chat/completions", JSON.stringify(chat()), bearer());

  async function ask(bytes: string, pieceBytes = Number.POSITIVE_INFINITY): Promise<[Wire, (number | null)[]]> {
    const wire = await openWire(gateway.port);
    void wire.send(bytes, pieceBytes);
    const statuses: (number | null)[] = [];
    for (let answer = await wire.nextAnswer(); answer !== null; answer = await wire.nextAnswer()) {
      statuses.push(answer.status);
    }
    return [wire, statuses];
  }

  const sequences: Record<string, [() => string, number[]]> = {
    "are answered in their order, of whatever kind": [
      () => call() + get("/me", bearer()) + get("/nowhere") + call() + get("/openapi.json") + get("/livez"),
      [200, 200, 404, 200, 200, 200],
    ],
    "are each judged alone": [
      () => get("/me") + get("/me", bearer()) + get("/v1/models") + get("/v1/models", bearer()) + get("/livez"),
      [401, 200, 401, 200, 200],
    ],
    "go on behind an upgrade that is not offered": [
      () => get("/livez", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + get("/readyz") + call(),
      [200, 200, 200],
    ],
    "go on behind an upgrade with a body": [
      () => post("/v1/chat/completions", "{}", "Connection: Upgrade\r\nUpgrade: x\r\n") + get("/livez"),
      [401, 200],
    ],
    "go on behind a refusal with its body": [
      () => post("/livez", "x".repeat(5_000)) + post("/nowhere", "y".repeat(5_000)) + get("/livez"),
      [405, 404, 200],
    ],
    "go on behind a refusal with a body of empty lines": [
      () => post("/livez", "\r\n\r\n".repeat(1_000)) + get("/livez"),
      [405, 200],
    ],
    "go on behind HEAD, whose answer has no body": [
      () => `HEAD /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n${get("/livez")}`,
      [200, 200],
    ],
    "end with the one that says so": [
      () => get("/livez") + get("/livez", "Connection: close\r\n") + get("/livez") + call(),
      [200, 200],
    ],
    "end with the first that is no HTTP": [
      () => `${get("/livez")}${get("/livez")}what?\r\n\r\n${get("/livez")}`,
      [200, 200, 400],
    ],
    "end with the first whose length is unclear": [
      () => `${get("/livez")}${post("/livez", "x", "Content-Length: 2\r\n")}${get("/livez")}`,
      [200, 400],
    ],
  };
  for (const [name, [bytes, expected]] of Object.entries(sequences)) {
    for (const [how, pieceBytes] of [
      ["at once", Number.POSITIVE_INFINITY],
      ["in pieces", 19],
    ] as const) {
      it(`${name}, sent ${how}`, async () => {
        const isLast = /\b(?:close|what|length: 2)/i.test(bytes());
        const [, statuses] = await ask(isLast ? bytes() : bytes() + probe, pieceBytes);
        assert.deepEqual(statuses, isLast ? expected : [...expected, 200]);
      });
    }
  }

  it("are a thousand at most, all answered", async () => {
    const [, statuses] = await ask(get("/livez").repeat(1_200));
    assert.deepEqual(statuses, Array(1_000).fill(200));
  });

  it("wait for the one at work, however many are sent", async () => {
    const queued = gateway.callLines().length;
    const [, statuses] = await ask(call().repeat(20) + probe);
    assert.deepEqual(statuses, Array(21).fill(200));
    assert.equal(gateway.callLines().length - queued, 20);
  });
});
