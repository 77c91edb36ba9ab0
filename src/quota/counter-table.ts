// The counters of everybody, by user, group and key. Everybody is counted, limited or not, so that a limit that is set
// later counts what was taken before; a counter is a few numbers.

import type { QuotaScope } from "../base/charge.ts";
import { type Amounts, add, Counters, nothing } from "./counters.ts";
import type { Windows } from "./windows.ts";

export type ScopeName = Pick<QuotaScope, "kind" | "id">;

/** What calls of one user with one key took together. */
export interface ScopeSum extends Amounts {
  readonly user: string;
  readonly group: string | null;
  readonly keyId: string | null;
}

export class CounterTable {
  readonly #countersMax: number;
  /** The one that took nothing for longest is first. */
  readonly #known = new Map<string, Counters>();

  constructor(countersMax: number) {
    this.#countersMax = countersMax;
  }

  get size(): number {
    return this.#known.size;
  }

  find(scope: ScopeName): Counters | undefined {
    return this.#known.get(toKey(scope));
  }

  /** Makes it the last to be forgotten. */
  open(scope: ScopeName): Counters {
    return this.#open(toKey(scope));
  }

  /** Forgets whom nobody can call as any more, and of the others what windows before the last had. */
  sweep(mayCall: (scope: ScopeName) => boolean, windows: Windows): void {
    for (const [key, counters] of this.#known) {
      if (counters.inFlight === 0 && !mayCall(fromKey(key))) this.#known.delete(key);
      else counters.forgetBefore(windows);
    }
  }

  /** All that are known, and all that the records tell of and may still call, each with what they tell. */
  *compare(
    sums: readonly ScopeSum[],
    mayCall: (scope: ScopeName) => boolean,
  ): Iterable<readonly [Counters | undefined, Amounts]> {
    const totals = sumByKey(sums, mayCall);
    for (const [key, counters] of this.#known) yield [counters, totals.get(key) ?? nothing];
    // Whoever was forgotten is known again with the next call: no counter is compared where none is.
    if (this.#known.size >= this.#countersMax) return;
    for (const [key, amounts] of totals) if (!this.#known.has(key)) yield [undefined, amounts];
  }

  /** Calls back for each scope that the sums tell of and that is chosen. */
  openAll(
    sums: readonly ScopeSum[],
    choose: (scope: ScopeName) => boolean,
    take: (counters: Counters, amounts: Amounts) => void,
  ): void {
    for (const [key, amounts] of sumByKey(sums, choose)) take(this.#open(key), amounts);
  }

  #open(key: string): Counters {
    const counters = this.#known.get(key) ?? new Counters();
    if (!this.#known.delete(key) && this.#known.size >= this.#countersMax) this.#forgetOne();
    this.#known.set(key, counters);
    return counters;
  }

  /** Not one whose calls run: they are bounded by the queue. */
  #forgetOne(): void {
    for (const [key, { inFlight }] of this.#known) {
      if (inFlight > 0) continue;
      this.#known.delete(key);
      return;
    }
  }
}

function toKey({ kind, id }: ScopeName): string {
  return `${kind} ${id}`;
}

function fromKey(key: string): ScopeName {
  const end = key.indexOf(" ");
  return { kind: key.slice(0, end) as ScopeName["kind"], id: key.slice(end + 1) };
}

/** Adds up by user, group and key what comes by all three, for those that are chosen. */
function sumByKey(sums: readonly ScopeSum[], choose: (scope: ScopeName) => boolean): Map<string, Amounts> {
  const totals = new Map<string, Amounts>();
  const addTo = (kind: QuotaScope["kind"], id: string, sum: ScopeSum) => {
    if (!choose({ kind, id })) return;
    const key = toKey({ kind, id });
    totals.set(key, add(totals.get(key) ?? nothing, sum));
  };
  for (const sum of sums) {
    addTo("user", sum.user, sum);
    if (sum.group !== null) addTo("group", sum.group, sum);
    if (sum.keyId !== null) addTo("key", sum.keyId, sum);
  }
  return totals;
}
