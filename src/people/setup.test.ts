import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { createSigningKeys } from "../identity/signing-keys.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import type { Actor } from "./people.ts";
import { createPeople, type PeopleService } from "./people-service.ts";
import { createSetup, type Setup } from "./setup.ts";

const signingKeys = createSigningKeys("a-secret-of-a-gateway-in-a-test-32-bytes");

const account = { username: "ada", password: "correct horse battery" };
const visitor: Actor = { name: "setup", via: "setup_link", address: "192.0.2.1", requestId: "req-1" };

describe("createSetup()", () => {
  let clock: ManualClock;
  let store: Store;
  let people: PeopleService;
  let setup: Setup;

  beforeEach(async () => {
    clock = createManualClock();
    store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
    people = await createPeople({ store, signingKeys, staticUsers: [], clock, onStoreFailure: assert.ifError });
    setup = createSetup(people, clock);
  });
  afterEach(async () => {
    await people.close();
    await store.close();
  });

  const refused = (attempt: Promise<unknown>, reason: string) => assert.rejects(attempt, { reason });

  it("makes the first administrator, once", async () => {
    const token = setup.open() as string;
    assert.match(token, /^[A-Za-z0-9_-]{43}$/);
    const user = await setup.complete(token, account, visitor);
    assert.deepEqual([user.name, user.role, user.hasPassword], ["ada", "admin", true]);
    await refused(setup.complete(token, { ...account, username: "eve" }, visitor), "invalid_token");
    assert.equal(setup.open(), null);
    const [entry] = await people.listAudit({ limit: 1, beforeId: null });
    assert.deepEqual(
      [entry?.actor, entry?.via, entry?.action, entry?.target],
      ["setup", "setup_link", "user.create", "ada"],
    );
  });

  it("makes one of two that come at once", async () => {
    const token = setup.open() as string;
    const attempts = ["ada", "eve"].map((username) => setup.complete(token, { ...account, username }, visitor));
    const outcomes = await Promise.allSettled(attempts);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    assert.equal(people.listUsers().length, 1);
  });

  it("knows nothing but the last token that it gave, for a day", async () => {
    const [first, second] = [setup.open() as string, setup.open() as string];
    for (const token of ["", "x", first, `${second}x`, second.slice(1)]) {
      await refused(setup.complete(token, account, visitor), "invalid_token");
    }
    await clock.advance(24 * 3_600_000 - 1);
    await refused(setup.complete(second, { ...account, password: "short" }, visitor), "invalid_field");
    await clock.advance(1);
    await refused(setup.complete(second, account, visitor), "invalid_token");
    assert.deepEqual(people.listUsers(), []);
  });

  it("is over as soon as there is an administrator, of the configuration or by another way", async () => {
    const token = setup.open() as string;
    people.replaceStatic([{ username: "root", password: "x", role: "admin", weight: 1, class: "default" }]);
    await refused(setup.complete(token, account, visitor), "invalid_token");
    assert.equal(setup.open(), null);
    people.replaceStatic([]);
    await people.createUser({ name: "bob", password: null, role: "admin" }, visitor);
    await refused(setup.complete(token, account, visitor), "invalid_token");
  });

  it("gives nothing before it was opened, and lets a bad password be corrected", async () => {
    await refused(setup.complete("", account, visitor), "invalid_token");
    const token = setup.open() as string;
    await refused(setup.complete(token, { ...account, password: "ada" }, visitor), "invalid_field");
    await refused(setup.complete(token, { ...account, username: "a b" }, visitor), "invalid_field");
    await setup.complete(token, account, visitor);
  });
});
