// A look at the places of the gateway's files, before it makes the first of them.

import { controlSocketFile, requireSocketPlace } from "../http/control.ts";
import { spoolFile } from "../ledger/open-ledger.ts";
import { toStoreError, toThreadError } from "../store/sqlite-errors.ts";
import { requireOwnDatabase } from "../store/sqlite-file.ts";
import type { StoreTarget } from "../store/store.ts";

/**
 * Throws StoreError or ForeignFileError when something else stands where the gateway would keep its files. Changes nothing.
 * To be called by a process that has none of them open.
 */
export function requireOwnFiles(store: StoreTarget, dataFolder: string): void {
  const file = store.kind === "sqlite" ? store.file : spoolFile(dataFolder);
  if (file === ":memory:") return;
  try {
    requireOwnDatabase(file);
  } catch (error) {
    throw toStoreError(toThreadError(error), file);
  }
  requireSocketPlace(controlSocketFile(dataFolder));
}
