// What becomes of a database that can't be read: a refusal that says so, with the cause for the log.

import { Refusal } from "../base/refusal.ts";
import { StoreError } from "../store/store.ts";

const retryAfterMs = 2_000;

/** Reading and pruning fail for one reason only. */
export async function fromStore<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal("store_unavailable", { retryAfterMs }, error);
  }
}

/** For who runs the machine, and may read why. */
export function explainToOperator(error: unknown): never {
  if (error instanceof StoreError) throw new Refusal("conflict", { detail: error.message }, error);
  throw error;
}
