// Runs one suite on every store there is: SQLite in a file, and a real PostgreSQL.

import { after, before, describe } from "node:test";
import { openStore } from "../../src/store/open-store.ts";
import type { Store, StoreTarget } from "../../src/store/store.ts";
import { skipsPostgres, startPostgres, type TestPostgres } from "./postgres.ts";
import { createWorkspace } from "./process.ts";

export interface FreshStore {
  readonly target: StoreTarget;
  /** With its tables. Opened anew at each call; what was opened is closed at the end of the suite. */
  open(): Promise<Store>;
}

/** `suite` describes the tests; `fresh` makes a place with nothing in it, for one test. */
export function onEveryStore(name: string, suite: (fresh: () => Promise<FreshStore>) => void): void {
  describe(`${name} on SQLite`, () => {
    const workspace = createWorkspace();
    const opened: Store[] = [];
    let count = 0;
    after(async () => {
      await closeAll(opened);
      workspace.remove();
    });
    suite(async () => {
      count++;
      return toFresh({ kind: "sqlite", file: workspace.path(`${count}.sqlite`) }, opened);
    });
  });

  describe(`${name} on PostgreSQL`, { skip: skipsPostgres }, () => {
    const opened: Store[] = [];
    let postgres: TestPostgres | null = null;
    before(async () => {
      postgres = await startPostgres();
    });
    after(async () => {
      await closeAll(opened);
      await postgres?.stop();
    });
    suite(async () => {
      if (!postgres) throw new Error("PostgreSQL does not run");
      return toFresh({ kind: "postgres", url: await postgres.createDatabase() }, opened);
    });
  });
}

function toFresh(target: StoreTarget, opened: Store[]): FreshStore {
  return {
    target,
    async open() {
      const store = await openStore(target, { mayMigrate: true });
      opened.push(store);
      return store;
    },
  };
}

async function closeAll(opened: readonly Store[]): Promise<void> {
  for (const store of opened) await store.close().catch(() => {});
}
