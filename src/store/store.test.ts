import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { storeContract } from "../../test/contracts/store.contract.ts";
import { onEveryStore } from "../../test/support/stores.ts";
import { openStore } from "./open-store.ts";
import type { Store, StoreTarget } from "./store.ts";

onEveryStore("a store", (fresh) => storeContract(fresh, { isKept: true }));

describe("a store in memory", () => {
  const target: StoreTarget = { kind: "sqlite", file: ":memory:" };
  const opened: Store[] = [];
  after(() => Promise.all(opened.map((store) => store.close())));

  async function open(): Promise<Store> {
    const store = await openStore(target, { mayMigrate: true });
    opened.push(store);
    return store;
  }

  storeContract(() => Promise.resolve({ target, open }), { isKept: false });

  it("belongs to its opener alone, and locks nobody out", async () => {
    const stores = [await open(), await open()];
    for (const [index, store] of stores.entries()) {
      await store.db
        .insertInto("meta")
        .values({ name: String(index), value: "" })
        .execute();
      const rows = await store.reads.selectFrom("meta").select("name").execute();
      assert.deepEqual(rows, [{ name: String(index) }]);
    }
  });
});
