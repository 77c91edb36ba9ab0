import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createObjectStore, objectBytesMax, objectsMax } from "./object-store.ts";

describe("what the simulated GLM keeps", () => {
  it("is there for its account and as its kind alone", () => {
    const store = createObjectStore(createManualClock());
    store.put("ada", "file", "1", { name: "a" });
    assert.deepEqual(store.find("ada", "file", "1")?.value, { name: "a" });
    assert.equal(store.find("bob", "file", "1"), null);
    assert.equal(store.find("ada", "task", "1"), null);
    assert.equal(store.remove("bob", "file", "1"), null);
    assert.deepEqual([store.list("ada", "file").length, store.list("bob", "file").length], [1, 0]);
    assert.equal(store.remove("ada", "file", "1")?.id, "1");
    assert.equal(store.find("ada", "file", "1"), null);
  });

  it("can be replaced, and keeps its place and age", async () => {
    const clock = createManualClock();
    const store = createObjectStore(clock);
    store.put("ada", "batch", "1", { status: "new" });
    await clock.advance(5);
    store.put("ada", "batch", "2", {});
    store.put("ada", "batch", "1", { status: "old" });
    assert.deepEqual(
      store.list("ada", "batch").map(({ id, createdAt }) => [id, createdAt]),
      [
        ["1", 0],
        ["2", 5],
      ],
    );
    assert.deepEqual(store.find("ada", "batch", "1")?.value, { status: "old" });
  });

  it("is 10,000 objects at most, of which the oldest go", () => {
    const store = createObjectStore(createManualClock());
    for (let id = 0; id < objectsMax; id++) store.put("ada", "task", String(id), {});
    assert.ok(store.find("ada", "task", "0"));
    store.put("bob", "task", "x", {});
    assert.equal(store.find("ada", "task", "0"), null);
    assert.ok(store.find("ada", "task", "1"));
    assert.ok(store.find("bob", "task", "x"));
  });

  it("is 160 MiB at most, and the newest stays", () => {
    const store = createObjectStore(createManualClock());
    const half = [Buffer.alloc(objectBytesMax / 2 - 2)];
    store.put("ada", "file", "1", {}, half);
    store.put("ada", "file", "2", {}, half);
    assert.ok(store.find("ada", "file", "1"), "exactly full");
    store.put("ada", "file", "3", {});
    assert.equal(store.find("ada", "file", "1"), null);
    assert.ok(store.find("ada", "file", "2"));
    store.put("ada", "file", "2", {}, [Buffer.alloc(objectBytesMax)]);
    assert.deepEqual(
      store.list("ada", "file").map(({ id }) => id),
      ["2"],
    );
  });
});
