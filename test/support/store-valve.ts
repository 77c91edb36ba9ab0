// A real store that can be away for a while: every statement fails as if the database could not be reached.

import { type Store, StoreError } from "../../src/store/store.ts";

export interface StoreValve extends Store {
  isAway: boolean;
}

export function createStoreValve(store: Store): StoreValve {
  function requireThere(): void {
    if (valve.isAway) throw new StoreError("unavailable", "the test's database is away");
  }
  const plugin: Parameters<Store["db"]["withPlugin"]>[0] = {
    transformQuery({ node }) {
      requireThere();
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };
  const valve: StoreValve = {
    kind: store.kind,
    db: store.db.withPlugin(plugin),
    reads: store.reads.withPlugin(plugin),
    isAway: false,
    async writeBatch(statements) {
      requireThere();
      await store.writeBatch(statements);
    },
    backup: (file) => store.backup(file),
    close: () => store.close(),
  };
  return valve;
}
