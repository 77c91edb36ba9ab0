// Which of the keys that may start a call takes it: the least loaded for its weight, of equals the one that has had the
// fewest calls; or, among those that are not much fuller, the one that calls of the same kind went to before.

import { type Destination, hashText } from "./destination.ts";
import type { UpstreamKey } from "./upstream-key.ts";

/** An account without a limit is taken to have so many times the places of the largest with one, or at least so many. */
const unboundTimes = 4;
const unboundPlacesMin = 8;
/** A key is not much fuller than the best with so much more of its places taken. */
const fullerBy = 1 / 3;

export class KeyChoice {
  #unboundPlaces = unboundPlacesMin;
  /** The fewest turns that a key had when it was chosen: who could not be chosen has no claim to what it missed. */
  #turns = 0;

  configure(keys: readonly UpstreamKey[]): void {
    const largest = Math.max(0, ...keys.map(({ account }) => account.limits.concurrencyMax ?? 0));
    this.#unboundPlaces = Math.max(unboundPlacesMin, unboundTimes * largest);
    for (const key of keys) key.turns = Math.max(key.turns, this.#turns);
  }

  /** One of `keys`, which may all start the call now. Null: there are none. */
  pick(keys: readonly UpstreamKey[], { affinity }: Destination): UpstreamKey | null {
    let best: UpstreamKey | null = null;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const key of keys) {
      const load = this.#loadOf(key);
      if (best && (load > bestLoad || (load === bestLoad && this.#turnsOf(key) >= this.#turnsOf(best)))) continue;
      best = key;
      bestLoad = load;
    }
    if (affinity === null || keys.length < 2) return best;
    const roomy = keys.filter((key) => this.#loadOf(key) <= bestLoad + fullerBy);
    return findPreferred(roomy, hashText(affinity));
  }

  /** The key was chosen. */
  take(key: UpstreamKey): void {
    const turns = this.#turnsOf(key);
    this.#turns = turns;
    key.turns = turns + 1 / key.weight;
  }

  #turnsOf({ turns }: UpstreamKey): number {
    return Math.max(turns, this.#turns);
  }

  /** Share of its places that is taken, by weight. */
  #loadOf({ account }: UpstreamKey): number {
    const places = account.limits.concurrencyMax ?? this.#unboundPlaces;
    return account.gates.inFlight / (places * account.weight);
  }
}

/**
 * Weighted rendezvous hashing: each key draws a number for the affinity, and the highest wins. When a key comes or
 * goes, only those calls change their key that it takes or leaves.
 */
function findPreferred(keys: readonly UpstreamKey[], affinity: number): UpstreamKey | null {
  let preferred: UpstreamKey | null = null;
  let highest = Number.NEGATIVE_INFINITY;
  for (const key of keys) {
    const score = -key.weight / Math.log(drawUniform(affinity, key.hash));
    if (score <= highest) continue;
    preferred = key;
    highest = score;
  }
  return preferred;
}

/** Strictly between 0 and 1, the same for the same two numbers: the finalizer of MurmurHash3. */
function drawUniform(a: number, b: number): number {
  let hash = a ^ Math.imul(b, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}
