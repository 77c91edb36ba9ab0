// Where a call may go: by its model, by what it is bound to, and by what has failed it before. Of the pool's keys some
// are for it, and of those the ones that it has not tried go first.

import type { OfferedCall } from "./core.ts";
import type { Place } from "./scheduler.ts";

export interface Destination {
  readonly model: string;
  /** Only this key, or another of its account; null: any. */
  readonly upstreamKey: string | null;
  /** Only keys of this kind; null: any. */
  readonly keyKind: string | null;
  /** Calls with the same words are sent with the same key where there is a choice; null: no matter. */
  readonly affinity: string | null;
  /** Keys that failed the call. */
  readonly triedKeys: readonly string[];
  /** It can't wait for a key beyond that. */
  readonly deadlineAt: number;
}

/** More keys than that are not tried for one call. */
export const triedMax = 8;

/** With any key that serves the model, as most calls. */
export function anywhere(model: string): Destination {
  const deadlineAt = Number.POSITIVE_INFINITY;
  return { model, upstreamKey: null, keyKind: null, affinity: null, triedKeys: [], deadlineAt };
}

export function toDestination(call: OfferedCall, { triedKeys, deadlineAt }: Place): Destination {
  const { model, upstreamKey = null, keyKind = null, affinity = null } = call;
  return { model, upstreamKey, keyKind, affinity, triedKeys, deadlineAt };
}

/** Null: as all calls for its model. Else those with the same words may go to the same keys. */
export function nameRestriction({ upstreamKey, keyKind, triedKeys }: Destination): string | null {
  if (upstreamKey === null && keyKind === null && triedKeys.length === 0) return null;
  return JSON.stringify([upstreamKey, keyKind, triedKeys]);
}

/** FNV-1a, 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
