import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { arrive, estimate, serve } from "../test/support/call-records.ts";
import { testSettings } from "../test/support/gateway.ts";
import { createManualClock, type ManualClock, settle } from "../test/support/manual-clock.ts";
import { until } from "../test/support/until.ts";
import type { QuotaScope } from "./base/charge.ts";
import { type Books, openBooks } from "./books.ts";
import { noteCaller } from "./ledger/record.ts";
import type { Actor } from "./people/people.ts";

const actor: Actor = { name: "root", via: "session", address: null, requestId: null };
const limits = { "requests/total": 10, "requests/minute": 10 };
const scopeOf = (kind: QuotaScope["kind"], id: string): QuotaScope => ({ kind, id, limits });

describe("what quotas have counted", () => {
  let clock: ManualClock;
  let books: Books;

  before(async () => {
    clock = createManualClock(0, Date.UTC(2026, 10, 23, 12));
    const log = { info() {}, warn: assert.ifError, error: assert.ifError };
    books = await openBooks({ ...testSettings, store: { kind: "sqlite", file: ":memory:" } }, clock, log as never);
  });
  after(() => books.close());

  const used = (kind: QuotaScope["kind"], id: string) =>
    books.quotas.look([scopeOf(kind, id)]).map((standing) => standing.used);

  /** A call of the user with a key of its own, from its beginning to its record. */
  async function call(userId: string, keyId: string, groupId: string | null): Promise<void> {
    const record = arrive(clock);
    const caller = { userId, keyId, groupId, scopes: [] } as never;
    noteCaller(record, caller);
    const wish = { model: "glm-4.6", inputBytes: 10, outputTokensMax: 10 };
    record.reservation = books.quotas.reserve(caller, wish);
    await books.ledger.begin(record, estimate);
    books.settle(serve(record, clock));
    await until("it is written", async () => {
      await clock.advance(20);
      return books.ledger.gauges().waiting === 0;
    });
  }

  it("leaves with the user, group and key, and is there again for another of that name", async () => {
    const { people } = books;
    await people.createGroup({ name: "lab" }, actor);
    for (const name of ["ada", "bob"]) await people.createUser({ name, password: null, group: "lab" }, actor);
    const keys = await Promise.all(
      ["ada", "bob"].map((owner) => people.createKey({ owner, name: "tool" }, actor).then(({ key }) => key.id)),
    );
    const [ofAda = "", ofBob = ""] = keys;
    for (let count = 0; count < 3; count++) await call("ada", ofAda, "lab");
    await call("bob", ofBob, "lab");
    assert.deepEqual(
      [used("user", "ada"), used("key", ofAda), used("group", "lab")],
      [
        [3, 3],
        [3, 3],
        [4, 4],
      ],
    );

    await people.removeUser("ada", actor);
    await people.revokeKey(ofBob, actor);
    await clock.advance(60_000);
    assert.deepEqual(
      [used("user", "ada"), used("key", ofAda), used("key", ofBob)],
      [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
    );
    assert.deepEqual(
      [used("user", "bob"), used("group", "lab")],
      [
        [1, 0],
        [4, 0],
      ],
    );
    assert.equal(await books.findQuotaDrift(), 0, "records of who is gone are no drift");

    await people.createUser({ name: "ada", password: null }, actor);
    assert.deepEqual(used("user", "ada"), [3, 0], "a name brings with it what it took");
    await people.changeUser("bob", { group: null }, actor);
    await people.removeGroup("lab", actor);
    await clock.advance(60_000);
    assert.deepEqual(used("group", "lab"), [0, 0]);
    await people.createGroup({ name: "lab" }, actor);
    assert.deepEqual(used("group", "lab"), [4, 0]);
    assert.equal(await books.findQuotaDrift(), 0);
  });

  it("is there for a user whom a new configuration names", async () => {
    const { people } = books;
    await people.removeUser("ada", actor);
    await clock.advance(60_000);
    const [first] = testSettings.auth.users;
    assert.ok(first);
    const users = [...testSettings.auth.users, { ...first, username: "ada" }];
    books.apply({ ...testSettings, auth: { ...testSettings.auth, users } });
    await until("she is in", () => people.findUser("ada") !== undefined);
    assert.deepEqual(used("user", "ada"), [3, 0]);
    await settle();
  });
});
