import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Expiry } from "./expiry.ts";

type Expiring = Parameters<Expiry<Call>["add"]>[0];
interface Call {
  readonly name: number;
  readonly deadlineAt: number;
  expiry: { item: Call; previous: Call["expiry"]; next: Call["expiry"] } | null;
  expiryGroup: object | null;
}

let callCount = 0;

function add(expiry: Expiry<Call>, now: number, waitMs: number): Expiring {
  const call: Call = { name: ++callCount, deadlineAt: now + waitMs, expiry: null, expiryGroup: null };
  expiry.add(call, waitMs);
  return call;
}

describe("Expiry", () => {
  it("has nothing due while nobody waits", () => {
    const expiry = new Expiry<Call>();
    assert.equal(expiry.nextAt, Number.POSITIVE_INFINITY);
    assert.equal(expiry.due(1e12), null);
    assert.deepEqual(expiry.nearest(3), []);
  });

  it("tells who is due from the deadline on, and until it is removed", () => {
    const expiry = new Expiry<Call>();
    const call = add(expiry, 0, 5_000);
    assert.equal(expiry.due(4_999), null);
    assert.equal(expiry.due(5_000), call);
    assert.equal(expiry.due(5_000), call, "asking changes nothing");
    expiry.remove(call);
    assert.equal(expiry.due(5_000), null);
    assert.equal(expiry.nextAt, Number.POSITIVE_INFINITY);
  });

  it("lets a late call with little time expire before an early one with more", () => {
    const expiry = new Expiry<Call>();
    const patient = add(expiry, 0, 5_000);
    const hasty = add(expiry, 100, 1_000);
    assert.equal(expiry.nextAt, 1_100);
    assert.equal(expiry.due(6_000), hasty);
    expiry.remove(hasty);
    assert.equal(expiry.due(6_000), patient);
  });

  it("takes no notice of a call that left before", () => {
    const expiry = new Expiry<Call>();
    const gone = add(expiry, 0, 1_000);
    const stays = add(expiry, 0, 1_000);
    expiry.remove(gone);
    expiry.remove(gone);
    assert.equal(expiry.due(1_000), stays);
  });

  it("names those nearest to their deadline, of all lengths of wait, and no more than asked for", () => {
    const expiry = new Expiry<Call>();
    const calls = [add(expiry, 0, 3_000), add(expiry, 10, 1_000), add(expiry, 20, 3_000), add(expiry, 30, 2_000)];
    assert.deepEqual(expiry.nearest(3), [calls[1], calls[3], calls[0]]);
    assert.equal(expiry.nearest(10).length, 4);
    assert.deepEqual(expiry.nearest(0), []);
  });

  it("agrees with a sorted list, whoever comes and leaves", () => {
    const step = fc.record({
      action: fc.constantFrom("add", "add", "remove", "expire"),
      gapMs: fc.nat(300),
      waitMs: fc.constantFrom(100, 500, 1_000),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
        const expiry = new Expiry<Call>();
        const model: Expiring[] = [];
        let now = 0;
        for (const { action, gapMs, waitMs, pick } of steps) {
          now += gapMs;
          const index = pick % Math.max(1, model.length);
          const picked = model[index];
          if (action === "add") {
            model.push(add(expiry, now, waitMs));
          } else if (action === "remove" && picked) {
            expiry.remove(picked);
            model.splice(index, 1);
          } else if (action === "expire") {
            for (let due = expiry.due(now); due; due = expiry.due(now)) {
              assert.ok(due.deadlineAt <= now);
              expiry.remove(due);
              model.splice(model.indexOf(due), 1);
            }
            assert.ok(model.every(({ deadlineAt }) => deadlineAt > now));
          }
          const deadlines = model.map(({ deadlineAt }) => deadlineAt).sort((a, b) => a - b);
          assert.equal(expiry.nextAt, deadlines[0] ?? Number.POSITIVE_INFINITY);
          assert.deepEqual(
            expiry.nearest(5).map(({ deadlineAt }) => deadlineAt),
            deadlines.slice(0, 5),
          );
        }
      }),
    );
  });
});
