import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Gates, Hold } from "./gates.ts";
import { Pacer } from "./pacer.ts";

/** Of the window: so late may slots be. */
const latenessShare = 0.1;
const rates = [0.1, 0.5, 1, 1.5, 2, 3, 20, 200, 1_000, 25_000];

interface Started {
  readonly at: number;
  readonly hasWaited: boolean;
}

/** A limit's gates, with the books of what started on them. */
class Lane {
  readonly gates = new Gates(new Pacer());
  readonly starts: Started[] = [];
  readonly sends: number[] = [];
  readonly startsMax: number;
  readonly windowMs: number;
  readonly spacingMs: number;
  readonly #unsent: { hold: Hold; at: number }[] = [];

  constructor(startsPerSecond: number, guardMs = 0) {
    this.startsMax = Math.max(1, Math.floor(startsPerSecond));
    this.windowMs = (this.startsMax / startsPerSecond) * 1_000 + guardMs;
    this.spacingMs = this.windowMs / this.startsMax;
    this.gates.configure({ startsPerSecond, concurrencyMax: null, tokensPerMinute: null }, guardMs, 1);
  }

  /** Sends are as late as each call's connection. */
  sendUntil(now: number): void {
    this.#unsent.sort((a, b) => a.at - b.at);
    for (let next = this.#unsent[0]; next && next.at <= now; next = this.#unsent[0]) {
      this.#unsent.shift();
      next.hold.stamp(next.at);
      this.sends.push(next.at);
    }
  }

  get nextSendAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#unsent.map(({ at }) => at));
  }

  /** A call comes at `arrivedAt` and starts as soon as it may, when the timer is `lateMs` late. Returns when. */
  serve(arrivedAt: number, lateMs = 0, sendsAfterMs = 0): number {
    let now = Math.max(arrivedAt, this.starts.at(-1)?.at ?? 0);
    this.sendUntil(now);
    let hasWaited = now > arrivedAt;
    for (let at = this.gates.openAt(now, 0); at > now; at = this.gates.openAt(now, 0)) {
      hasWaited = true;
      now = Math.min(at, this.nextSendAt);
      if (now === at) now += lateMs;
      this.sendUntil(now);
    }
    const start = { tokens: 0, isDebt: false, hasWaited };
    this.#unsent.push({ hold: new Hold(this.gates, start, now), at: now + sendsAfterMs });
    this.starts.push({ at: now, hasWaited });
    this.sendUntil(now);
    return now;
  }
}

describe("a backlog", () => {
  for (const rate of rates) {
    it(`starts a window's calls at once and then one for each space, at ${rate}/s`, () => {
      const lane = new Lane(rate, 20);
      const { startsMax, windowMs, spacingMs } = lane;
      const count = startsMax + Math.min(2 * startsMax, 1_000) + 5;
      for (let index = 0; index < count; index++) {
        const dueMs = index < startsMax ? 0 : windowMs + (index - startsMax) * spacingMs;
        const at = lane.serve(0);
        assert.ok(Math.abs(at - dueMs) < 1e-6, `start ${index} came at ${at}, not at ${dueMs}`);
      }
    });
  }

  it("is spaced from the first call that had to wait on, however quickly one client calls again", () => {
    const lane = new Lane(20);
    let now = 0;
    for (let count = 0; count < 20; count++) now = lane.serve(now) + 10;
    const starts = Array.from({ length: 30 }, () => {
      const at = lane.serve(now);
      now = at + 10;
      return at;
    });
    assert.deepEqual(
      starts,
      starts.map((_, index) => 1_000 + index * 50),
    );
  });

  it("keeps its rate when timers are a little late, and owes nothing after a stall", () => {
    const lane = new Lane(20);
    for (let index = 0; index < 60; index++) lane.serve(0, index % 3);
    const before = lane.starts.at(-1)?.at ?? 0;
    assert.ok(before <= 2_000 + 39 * 50 + 60, `60 starts took ${before} ms`);
    const stalled = lane.serve(0, 5_000);
    const after = Array.from({ length: 10 }, () => lane.serve(0) - stalled);
    assert.ok((after[0] as number) >= 50 * 0.75 - 2, "closer together");
    assert.ok((after[9] as number) >= 10 * 50 - 100, "and no more than two ahead");
  });

  it("is followed by as many starts at once as there were unused spaces", () => {
    const lane = new Lane(20);
    for (let count = 0; count < 40; count++) lane.serve(0);
    const last = lane.starts.at(-1)?.at ?? 0;
    const idleUntil = last + 5 * 50;
    const atOnce = Array.from({ length: 8 }, () => lane.serve(idleUntil)).filter((at) => at === idleUntil);
    assert.equal(atOnce.length, 5);
  });
});

describe("Pacer", () => {
  it("follows a new rate at once, from the last start on", () => {
    const pacer = new Pacer();
    pacer.configure(1, 10_000);
    pacer.take(0, true, 0);
    assert.equal(pacer.opensAt, 10_000);
    pacer.configure(10, 1_000);
    assert.equal(pacer.opensAt, 100);
    pacer.configure(1, 4_000);
    assert.equal(pacer.opensAt, 4_000);
    pacer.lift();
    assert.equal(pacer.opensAt, 0);
  });

  it("gives a slot back to the next call when nothing has started since, and only then", () => {
    const pacer = new Pacer();
    pacer.configure(4, 1_000);
    const take = (now: number) => {
      const before = pacer.slotAt;
      pacer.take(now, true, 0);
      return [pacer.slotAt, before] as const;
    };
    const [first, second] = [take(0), take(250)];
    pacer.giveBack(...first);
    assert.equal(pacer.opensAt, 500, "one has started since");
    pacer.giveBack(...second);
    assert.equal(pacer.opensAt, 250);
    pacer.giveBack(...second);
    assert.equal(pacer.opensAt, 250, "once");
  });
});

describe("the spacing, whatever comes", () => {
  const call = fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.nat(60), fc.nat(3_000)),
    lateMs: fc.oneof(fc.constant(0), fc.nat(9), fc.nat(300)),
    sendsAfterMs: fc.oneof(fc.constant(0), fc.nat(5), fc.nat(400)),
  });
  const calls = fc.array(call, { minLength: 20, maxLength: 150, size: "max" });
  const rate = fc.constantFrom(0.1, 0.5, 1, 1.5, 2, 3, 20, 200);
  const guard = fc.constantFrom(0, 20);

  it("lets no stretch of time hold more starts than its share and what may come at once, and no window too many", () => {
    const property = fc.property(rate, guard, calls, (given, guardMs, schedule) => {
      const lane = new Lane(given, guardMs);
      const { startsMax, windowMs, spacingMs, starts, sends } = lane;
      let arrivedAt = 0;
      for (const { afterMs, lateMs, sendsAfterMs } of schedule) {
        arrivedAt += afterMs;
        lane.serve(arrivedAt, lateMs, sendsAfterMs);
      }
      lane.sendUntil(Number.POSITIVE_INFINITY);
      for (const [index, from] of starts.entries()) {
        const atOnceMs = from.hasWaited ? windowMs * latenessShare : windowMs - spacingMs;
        for (let later = index + 1; later < starts.length; later++) {
          const stretchMs = (starts[later] as Started).at - from.at;
          assert.ok((later - index) * spacingMs <= stretchMs + atOnceMs + 1e-6, `${later - index} in ${stretchMs} ms`);
        }
      }
      for (let index = startsMax; index < sends.length; index++) {
        const lengthMs = (sends[index] as number) - (sends[index - startsMax] as number);
        assert.ok(lengthMs >= windowMs - 1e-6, `${startsMax + 1} sends in ${lengthMs} ms`);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it("makes nobody wait longer for it than one space after the last start", () => {
    const property = fc.property(rate, guard, calls, (given, guardMs, schedule) => {
      const lane = new Lane(given, guardMs);
      let arrivedAt = 0;
      for (const { afterMs, lateMs, sendsAfterMs } of schedule) {
        arrivedAt += afterMs;
        const startedAt = lane.serve(arrivedAt, lateMs, sendsAfterMs);
        assert.ok((lane.gates.pacer?.opensAt ?? 0) <= startedAt + lane.spacingMs + 1e-9);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it("never holds back calls that the window lets start as they come", () => {
    const property = fc.property(rate, guard, fc.array(fc.nat(400), { maxLength: 150 }), (given, guardMs, gaps) => {
      const lane = new Lane(given, guardMs);
      let now = 0;
      for (const gap of gaps) {
        // As long as nobody has had to wait.
        now = Math.max(now + gap, lane.gates.window?.freeAt(now + gap) ?? 0);
        assert.equal(lane.serve(now), now);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it("uses the rate in full while calls wait, though timers are late and sends take different times", () => {
    const delay = fc.record({ lateMs: fc.nat(2), sendsAfterMs: fc.nat(3) });
    const lateness = fc.array(delay, {
      minLength: 100,
      maxLength: 100,
    });
    const property = fc.property(fc.constantFrom(2, 5, 20), lateness, (given, delays) => {
      const lane = new Lane(given, 20);
      const { startsMax, windowMs, spacingMs } = lane;
      const count = 10 * startsMax + 1;
      let last = 0;
      for (let index = 0; index < count; index++) {
        const { lateMs, sendsAfterMs } = delays[index % delays.length] ?? { lateMs: 0, sendsAfterMs: 0 };
        last = lane.serve(0, lateMs, sendsAfterMs);
      }
      // The first window's at once, then nine windows; each is late by what its sends were late.
      const fullMs = windowMs + (count - 1 - startsMax) * spacingMs;
      assert.ok(last <= fullMs * 1.03, `${count} starts took ${last} ms instead of ${fullMs}`);
    });
    fc.assert(property, { numRuns: 100 });
  });
});
