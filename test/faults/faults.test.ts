// The matrix of faults against the second upstream: one row, one case; after each, all books agree. `npm run test:faults`
// runs all of it, `npm test` the rows that are marked as short.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "../support/gateway.ts";
import type { FaultCase } from "./cases.ts";
import { clientCases } from "./client-cases.ts";
import { type InputCase, inputCases } from "./input-cases.ts";
import { loadCases } from "./load-cases.ts";
import { ownCases, ProcessScene, processCases } from "./own-cases.ts";
import { goodStream, goodWhole } from "./replies.ts";
import { type Seen, Stand } from "./stand.ts";
import { type BookedUpstream, startBookedUpstream } from "./upstream.ts";
import { type Expected, type UpstreamCase, upstreamCases } from "./upstream-cases.ts";

const isWholeSuite = process.env.GLM_PROXY_TEST_FAULTS === "all";
const isChosen = ({ isShort }: { readonly isShort?: true }) => isWholeSuite || isShort === true;

let upstream: BookedUpstream;
before(async () => {
  upstream = await startBookedUpstream();
});
after(() => upstream.close());

describe("an upstream that", () => {
  for (const one of upstreamCases.filter(isChosen)) {
    for (const isStream of [false, true]) {
      const expected = isStream ? one.stream : one.whole;
      if (expected) it(`${one.name}${isStream ? ", streamed" : ""}`, () => meet(one, expected, isStream));
    }
  }
});

describe("a client that", () => {
  for (const one of clientCases.filter(isChosen)) it(one.name, () => live(one));
});

describe("a request that", () => {
  for (const one of inputCases.filter(isChosen)) {
    it(one.name, () => live({ name: one.name, run: (stand) => judge(stand, one) }));
  }
});

describe("while calls run", () => {
  for (const one of ownCases.filter(isChosen)) it(one.name, () => live(one));
});

describe("load:", () => {
  for (const one of loadCases.filter(isChosen)) it(one.name, () => live(one));
});

describe("the gateway's process", () => {
  for (const one of processCases.filter(isChosen)) {
    it(one.name, async () => {
      const scene = new ProcessScene(upstream);
      try {
        await one.run(scene);
        await scene.check();
      } finally {
        await scene.close();
      }
    });
  }
});

/** It is answered with one of its statuses or closed, and what is refused has not reached the upstream. */
async function judge(stand: Stand, { body, headers = "", raw, statuses }: InputCase): Promise<void> {
  const { marker, head } = await stand.rawCall([goodWhole]);
  const text = (bytes: string | Buffer) =>
    Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.replaceAll("MARKER", marker).replaceAll("TOKEN", stand.token()));
  const content = text(body ?? "");
  const start = Buffer.from(`${head}${headers}content-length: ${content.length}\r\n\r\n`, "latin1");
  const client = stand.connect();
  client.socket.write(raw === undefined ? Buffer.concat([start, content]) : text(raw));
  const statusOf = () => Number(/^HTTP\/1\.1 (\d{3})/.exec(client.received)?.[1] ?? 0);
  await until("it is answered or closed", () => statusOf() > 100 || client.isClosed, 8_000);
  assert.ok(statuses.includes(statusOf()), `${statusOf()}: ${client.received.slice(0, 600)}`);
  if (statusOf() !== 200) assert.equal((await stand.visitsOf(marker)).length, 0, "it has reached the upstream");
  if (statusOf() >= 400) assert.doesNotMatch(client.received, /<html|node:internal|\.ts:\d/i);
  assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
  client.socket.destroy();
  assert.equal((await stand.call()).status, 200, "the next request is served");
  for (const line of stand.gateway.logLines) JSON.parse(line);
  assert.ok(!stand.lines.includes(stand.token()), "the token is in the log");
}

async function live({ run, settings, limits }: FaultCase): Promise<void> {
  const stand = new Stand(upstream);
  if (limits) stand.limits = limits;
  await stand.open(settings);
  try {
    await run(stand);
    await stand.check();
  } finally {
    await stand.close();
  }
}

async function meet({ reply, next = reply, padding = 0 }: UpstreamCase, expected: Expected, isStream: boolean) {
  const stand = new Stand(upstream);
  await stand.open();
  try {
    if (reply.isEarly) await upstream.script("early", [reply]);
    const seen = await stand.call({ isStream, replies: [reply, next], padding });
    checkExpected(seen, expected);
    if (expected.isSame) assert.equal(seen.text, bodyOf(reply));
    const { visits } = await upstream.books();
    const sends = visits.filter(({ marker }) => marker === seen.marker).length;
    assert.equal(sends, expected.sends ?? 1, "times that the upstream was asked");
    // Another user meets a gateway as if nothing had happened, unless GLM has shut the key.
    await upstream.script("early", []);
    const other = await stand.call({ isStream: true, user: 1, replies: [goodStream] });
    if (other.status === 200) assert.match(other.text, /data: \[DONE\]\n\n$/);
    else assert.ok(expected.status >= 400, `the next call got ${other.status} ${other.text}`);
    await stand.check();
  } finally {
    await stand.close();
  }
}

function checkExpected({ status, text, headers }: Seen, { code, event, never, ...expected }: Expected): void {
  assert.equal(status, expected.status, text.slice(0, 500));
  if (code) assert.equal((JSON.parse(text) as { error: { code: string } }).error.code, code);
  if (event) assert.match(text.slice(-1_000), new RegExp(`"code":"${event}"`));
  if (event) assert.doesNotMatch(text, /\[DONE\]/);
  if (never) assert.doesNotMatch(text, never);
  for (const name of ["set-cookie", "location", "strict-transport-security", "clear-site-data", "server"])
    assert.equal(headers[name], undefined, `the upstream's ${name} came along`);
}

/** The bytes of a scripted stream without its chunks. */
function bodyOf({ steps }: UpstreamCase["reply"]): string {
  return steps
    .flatMap((step) => (typeof step === "object" && "say" in step ? [step.say] : []))
    .slice(1)
    .map((text) => (text === "0\r\n\r\n" ? "" : text.slice(text.indexOf("\r\n") + 2, -2)))
    .join("");
}
