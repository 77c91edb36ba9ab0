// What a call's record takes, from its intent, for which the call waits, to its end: 32 calls at once, as group commit
// likes them. Without a database, and with SQLite in a file, whose thread works beside.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock as clock } from "../../../src/base/clock.ts";
import { createGroupCommit } from "../../../src/ledger/group-commit.ts";
import type { Ledger } from "../../../src/ledger/ledger.ts";
import { openLedger } from "../../../src/ledger/open-ledger.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { arrive, estimate, serve } from "../../../test/support/call-records.ts";
import type { Case, Operation } from "../case.ts";

const callsAtOnce = 32;

function onAlarm({ text }: { readonly text: string }): void {
  throw new Error(text);
}

function toOperation(ledger: Ledger, close: () => Promise<void>): Operation {
  return {
    async run(count) {
      let left = count;
      async function live(): Promise<void> {
        while (left-- > 0) {
          const record = arrive(clock);
          await ledger.begin(record, estimate);
          ledger.settle(serve(record, clock));
        }
      }
      await Promise.all(Array.from({ length: callsAtOnce }, live));
    },
    close,
  };
}

export const ledger: Case[] = [
  {
    name: "ledger, nothing written",
    note: "intent and end of a record",
    bytes: null,
    prepare() {
      const sink = { write: () => Promise.resolve() };
      const written = createGroupCommit({ sink, instance: "bench", isStrict: true, clock, onAlarm });
      return toOperation(written, () => written.close(1_000));
    },
  },
  {
    name: "ledger, SQLite",
    note: "the same, durable in a file",
    bytes: null,
    async prepare() {
      const folder = mkdtempSync(join(tmpdir(), "glm-proxy-micro-"));
      const store = await openStore({ kind: "sqlite", file: join(folder, "store.sqlite") }, { mayMigrate: true });
      const options = { store, dataFolder: folder, isStrict: true, spoolBytesMax: 0, clock, onAlarm };
      const opened = await openLedger(options);
      return toOperation(opened.ledger, async () => {
        await opened.ledger.close(5_000);
        await store.close();
        rmSync(folder, { recursive: true, force: true });
      });
    },
  },
];
