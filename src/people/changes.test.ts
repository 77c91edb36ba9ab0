import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createStoreValve, type StoreValve } from "../../test/support/store-valve.ts";
import { openStore } from "../store/open-store.ts";
import { type Change, type Changes, createChanges } from "./changes.ts";
import type { Actor } from "./people.ts";
import { ensureRevisions, readRevisions } from "./revisions.ts";

const actor: Actor = { name: "root", via: "session", address: null, requestId: null };

describe("createChanges()", () => {
  let store: StoreValve;
  let loads: number;
  let failures: unknown[];

  beforeEach(async () => {
    store = createStoreValve(await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true }));
    await ensureRevisions(store.db);
    loads = 0;
    failures = [];
  });
  afterEach(() => store.close());

  async function load(): Promise<string> {
    loads++;
    return (await readRevisions(store.db)).directory;
  }
  function create(waitingMax = 64): Changes {
    const onStoreFailure = (error: unknown) => void failures.push(error);
    return createChanges({ store, clock: createManualClock(), load, revision: "0", onStoreFailure, waitingMax });
  }
  function toChange(target: string, more: Partial<Change<string>> = {}): Change<string> {
    const note = { action: "user.create", target, before: null, after: {} } as const;
    return { write: () => Promise.resolve(), note, apply: () => target, ...more };
  }
  const audited = async () => (await store.db.selectFrom("audit").select("target").execute()).map((row) => row.target);

  it("makes one after the other, each on what the one before has left", async () => {
    const changes = create();
    const seen: string[] = [];
    const make = (target: string) =>
      changes.make(actor, () => {
        seen.push(`plan ${target}`);
        return toChange(target, {
          apply() {
            seen.push(`apply ${target}`);
            return target;
          },
        });
      });
    assert.deepEqual(await Promise.all(["a", "b"].map(make)), ["a", "b"]);
    assert.deepEqual(seen, ["plan a", "apply a", "plan b", "apply b"]);
    assert.deepEqual([await audited(), loads], [["a", "b"], 0]);
  });

  it("writes nothing, applies nothing and audits nothing of a change that fails in its middle", async () => {
    const changes = create();
    let isApplied = false;
    const broken = toChange("a", {
      async write(db) {
        await db.insertInto("meta").values({ name: "half", value: "done" }).execute();
        await db.insertInto("meta").values({ name: "half", value: "again" }).execute();
      },
      apply() {
        isApplied = true;
        return "a";
      },
    });
    await assert.rejects(
      changes.make(actor, () => broken),
      /UNIQUE/,
    );
    const half = await store.db.selectFrom("meta").selectAll().where("name", "=", "half").execute();
    assert.deepEqual([half, await audited(), isApplied, failures.length], [[], [], false, 1]);
    assert.equal(await changes.make(actor, () => toChange("b")), "b");
  });

  it("plans anew, on what it has reloaded, when somebody else was faster", async () => {
    const [mine, others] = [create(), create()];
    await others.make(actor, () => toChange("theirs"));
    let plans = 0;
    await mine.make(actor, () => toChange(`mine ${++plans}`));
    assert.deepEqual([await audited(), loads], [["theirs", "mine 2"], 1]);
    await mine.make(actor, () => toChange("mine again"));
    assert.equal(loads, 1);
  });

  it("gives up with a conflict when others are always faster", async () => {
    const [mine, others] = [create(), create()];
    const plan = async () => {
      await others.make(actor, () => toChange("theirs"));
      return toChange("mine");
    };
    await assert.rejects(mine.make(actor, plan), { reason: "conflict" });
    assert.ok(!(await audited()).includes("mine"));
  });

  it("catches up only when there is something to catch up with", async () => {
    const [mine, others] = [create(), create()];
    await mine.catchUp();
    assert.equal(loads, 0);
    await others.make(actor, () => toChange("theirs"));
    await mine.catchUp();
    await mine.catchUp();
    assert.equal(loads, 1);
  });

  it("lets so many wait and refuses the next", async () => {
    const changes = create(2);
    const held = Promise.withResolvers<void>();
    const first = changes.make(actor, async () => {
      await held.promise;
      return toChange("a");
    });
    const second = changes.make(actor, () => toChange("b"));
    await assert.rejects(
      changes.make(actor, () => toChange("c")),
      { reason: "store_unavailable" },
    );
    held.resolve();
    assert.deepEqual(await Promise.all([first, second]), ["a", "b"]);
    assert.equal(await changes.make(actor, () => toChange("d")), "d");
  });

  it("finishes at close what was begun, and begins nothing more", async () => {
    const changes = create();
    const begun = changes.make(actor, () => toChange("a"));
    await changes.close();
    assert.equal(await begun, "a");
    await assert.rejects(
      changes.make(actor, () => toChange("b")),
      { reason: "store_unavailable" },
    );
  });

  it("says that the store is away, and goes on when it is back", async () => {
    const changes = create();
    store.isAway = true;
    await assert.rejects(
      changes.make(actor, () => toChange("a")),
      { reason: "store_unavailable" },
    );
    store.isAway = false;
    assert.equal(await changes.make(actor, () => toChange("a")), "a");
  });
});
