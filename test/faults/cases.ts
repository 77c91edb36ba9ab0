// One case that is more than an answer: what it does, with a stand of its own.

import type { Overrides, Stand } from "./stand.ts";

export interface FaultCase {
  readonly name: string;
  readonly settings?: Overrides;
  /** Limits that the upstream's books are held against, where they are not the usual ones. */
  readonly limits?: Stand["limits"];
  readonly run: (stand: Stand) => Promise<void>;
  /** Also in the short form. */
  readonly isShort?: true;
}
