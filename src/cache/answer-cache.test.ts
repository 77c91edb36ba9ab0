import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { createManualClock, type ManualClock, settle } from "../../test/support/manual-clock.ts";
import type { StreamedAnswer, WholeAnswer } from "../base/answer.ts";
import { createByteBudget } from "../base/byte-budget.ts";
import type { Client } from "../base/client.ts";
import { Refusal } from "../base/refusal.ts";
import { type AnswerCache, type CacheTurn, createAnswerCache, waitersMax } from "./answer-cache.ts";
import { entryBytes } from "./stored-answer.ts";

const settings = { isEnabled: true, bytesMax: 10 * entryBytes, entryBytesMax: 3 * entryBytes, ttlMs: 1_000 };
const wish = { scope: "ada", endpoint: "chat", model: "m", body: Buffer.from("{}"), refreshes: false };
const never = new AbortController().signal;

let clock: ManualClock;
let cache: AnswerCache;

beforeEach(() => {
  clock = createManualClock();
  cache = createAnswerCache({ settings, clock, unsentBudget: createByteBudget(1e9) });
});

/** A client that keeps what it gets. */
function createClient() {
  const got = { text: "", contentType: "", hasEnded: false };
  const client: Client = {
    sendWhole({ contentType, body }) {
      got.contentType = contentType;
      got.text += body.toString();
      got.hasEnded = true;
      return Promise.resolve();
    },
    openStream({ contentType }) {
      got.contentType = contentType;
    },
    write(bytes) {
      got.text += bytes.toString();
      return true;
    },
    unsentBytes: 0,
    onDrained() {},
    endStream() {
      got.hasEnded = true;
      return Promise.resolve();
    },
  };
  return { client, got };
}

const whole = (text: string) =>
  ({ kind: "whole", status: 200, contentType: "application/json", body: Buffer.from(text) }) as WholeAnswer;
const stream = { kind: "stream", status: 200, contentType: "text/event-stream", isEvents: true } as StreamedAnswer;

/** What the cache says of a call, and what its client has got. */
async function ask(turn: CacheTurn, signal = never) {
  const { client, got } = createClient();
  let state = "";
  const isServed = await turn.replay(client, signal, (one) => {
    state = one;
  });
  return { isServed, state, got, client };
}

/** Asks upstream, as the gateway does. */
async function answer(turn: CacheTurn, text: string): Promise<void> {
  await turn.record(createClient().client).sendWhole(whole(text));
  turn.keep();
  turn[Symbol.dispose]();
}

async function fill(text: string, more: Partial<typeof wish> = {}): Promise<void> {
  const turn = cache.open({ ...wish, ...more });
  assert.equal((await ask(turn)).state, "miss");
  await answer(turn, text);
}

describe("the cache", () => {
  it("answers the same call the same, whole or streamed, to the byte", async () => {
    await fill("answer");
    const { isServed, state, got } = await ask(cache.open(wish));
    assert.deepEqual([isServed, state, got.text, got.contentType], [true, "hit", "answer", "application/json"]);

    const streamed = { ...wish, body: Buffer.from('{"stream":true}') };
    const turn = cache.open(streamed);
    await ask(turn);
    const recorded = turn.record(createClient().client);
    recorded.openStream(stream);
    for (const piece of ["data: 1\n\n", "data: [DONE]\n\n"]) recorded.write(Buffer.from(piece));
    await recorded.endStream();
    turn.keep();
    turn[Symbol.dispose]();
    const again = await ask(cache.open(streamed));
    assert.deepEqual([again.got.text, again.got.contentType], ["data: 1\n\ndata: [DONE]\n\n", "text/event-stream"]);
  });

  it("answers nobody else's call, and none that differs in anything", async () => {
    await fill("answer");
    for (const other of [{ scope: "bob" }, { endpoint: "x" }, { model: "x" }, { body: Buffer.from("{ }") }]) {
      const turn = cache.open({ ...wish, ...other });
      assert.equal((await ask(turn)).state, "miss");
      turn[Symbol.dispose]();
    }
  });

  it("keeps an answer for its time, and not a moment longer", async () => {
    await fill("answer");
    clock.advance(999);
    assert.equal((await ask(cache.open(wish))).state, "hit");
    clock.advance(1);
    assert.equal((await ask(cache.open(wish))).state, "miss");
  });

  it("asks anew when that is wanted, and keeps the new answer", async () => {
    await fill("old");
    await fill("new", { refreshes: true });
    assert.equal((await ask(cache.open(wish))).got.text, "new");
  });

  it("keeps nothing that was not whole, or that nobody said is worth it", async () => {
    const turn = cache.open({ ...wish });
    await ask(turn);
    const recorded = turn.record(createClient().client);
    recorded.openStream(stream);
    recorded.write(Buffer.from("data: 1\n\n"));
    turn.keep();
    turn[Symbol.dispose]();
    const unkept = cache.open(wish);
    await ask(unkept);
    await unkept.record(createClient().client).sendWhole(whole("x"));
    unkept[Symbol.dispose]();
    assert.deepEqual([cache.gauges().entries, cache.gauges().bytes], [0, 0]);
  });

  it("does nothing while it is off, and forgets when it is switched off", async () => {
    await fill("answer");
    cache.configure({ ...settings, isEnabled: false });
    assert.equal(cache.gauges().bytes, 0);
    assert.deepEqual((await ask(cache.open(wish))).state, "");
    assert.deepEqual((await ask(cache.open(null))).isServed, false);
  });

  it("keeps an answer of exactly the bound, and none beyond it", async () => {
    await fill("x".repeat(2 * entryBytes));
    assert.equal(cache.gauges().entries, 1);
    await fill("x".repeat(2 * entryBytes + 1), { model: "larger" });
    assert.equal(cache.gauges().entries, 1);
  });

  it("refuses rather than hold more unsent bytes than there may be", async () => {
    const unsentBudget = createByteBudget(entryBytes);
    cache = createAnswerCache({ settings, clock, unsentBudget });
    await fill("answer");
    await assert.rejects(ask(cache.open(wish)), { reason: "memory_full" });
    assert.equal(unsentBudget.used, 0);
  });

  it("never holds more than its bound, whatever is asked, and never what it was not told", async () => {
    const step = fc.record({
      name: fc.nat(12),
      size: fc.nat(3 * entryBytes),
      keeps: fc.boolean(),
      waitMs: fc.nat(600),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
        clock = createManualClock();
        cache = createAnswerCache({ settings, clock, unsentBudget: createByteBudget(1e9) });
        const told = new Map<string, { text: string; at: number }>();
        for (const { name, size, keeps, waitMs } of steps) {
          const model = `m${name}`;
          const turn = cache.open({ ...wish, model });
          const { isServed, got } = await ask(turn);
          const known = told.get(model);
          if (isServed) assert.ok(known && known.text === got.text && clock.now() - known.at < settings.ttlMs);
          else if (keeps) {
            const text = `${clock.now()} ${"x".repeat(size)}`;
            await answer(turn, text);
            told.set(model, { text, at: clock.now() });
          }
          turn[Symbol.dispose]();
          assert.ok(cache.gauges().bytes <= settings.bytesMax && cache.gauges().bytes >= 0);
          clock.advance(waitMs);
        }
        cache.configure({ ...settings, isEnabled: false });
        assert.equal(cache.gauges().bytes, 0, "no byte is lost");
      }),
      { numRuns: 200 },
    );
  });
});

describe("calls that come while the same is being asked", () => {
  it("are answered together, when the one that asks is", async () => {
    const leader = cache.open(wish);
    assert.equal((await ask(leader)).state, "miss");
    const others = [1, 2, 3].map(() => ask(cache.open(wish)));
    await answer(leader, "answer");
    for (const { state, got } of await Promise.all(others)) assert.deepEqual([state, got.text], ["joined", "answer"]);
    assert.deepEqual(cache.gauges().joined, 3);
  });

  it("take their turn, one after the other, when the one that asks has no answer", async () => {
    const leader = cache.open(wish);
    await ask(leader);
    const turns = [cache.open(wish), cache.open(wish), cache.open(wish)] as const;
    const asked = turns.map((turn) => ask(turn));
    leader[Symbol.dispose]();
    assert.equal((await asked[0])?.isServed, false);
    turns[0][Symbol.dispose]();
    assert.equal((await asked[1])?.isServed, false);
    await answer(turns[1], "at last");
    assert.equal((await asked[2])?.got.text, "at last");
    for (const turn of turns) turn[Symbol.dispose]();
  });

  it("leave without disturbing anybody", async () => {
    const leader = cache.open(wish);
    await ask(leader);
    const leaving = new AbortController();
    const gone = ask(cache.open(wish), leaving.signal);
    const staying = ask(cache.open(wish));
    leaving.abort(new Refusal("client_gone"));
    await assert.rejects(gone, { reason: "client_gone" });
    await answer(leader, "answer");
    assert.equal((await staying).got.text, "answer");
    await assert.rejects(
      ask(cache.open({ ...wish, model: "x" }), leaving.signal).then(() =>
        ask(cache.open({ ...wish, model: "x" }), leaving.signal),
      ),
      { reason: "client_gone" },
    );
  });

  it("pass their turn on when they leave just as it comes", async () => {
    const leader = cache.open(wish);
    await ask(leader);
    const leaving = new AbortController();
    const called = cache.open(wish);
    const asked = ask(called, leaving.signal);
    const next = cache.open(wish);
    const waits = ask(next);
    leader[Symbol.dispose]();
    leaving.abort(new Refusal("client_gone"));
    assert.equal((await asked).isServed, false);
    called[Symbol.dispose]();
    assert.equal((await waits).isServed, false, "the next has the turn");
    next[Symbol.dispose]();
    assert.equal((await ask(cache.open(wish))).state, "miss");
  });

  it("ask for themselves when too many wait already", async () => {
    const leader = cache.open(wish);
    await ask(leader);
    const waiting = Array.from({ length: waitersMax }, () => ask(cache.open(wish)));
    await settle();
    const beyond = cache.open(wish);
    assert.deepEqual((await ask(beyond)).state, "miss");
    beyond[Symbol.dispose]();
    await answer(leader, "answer");
    assert.ok((await Promise.all(waiting)).every(({ isServed }) => isServed));
  });
});
