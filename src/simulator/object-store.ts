// What the simulated GLM keeps for its accounts: files, tasks, batches and the like. Bounded in number and bytes; the
// oldest go first. What belongs to one account is not there for another.

import type { Clock } from "../base/clock.ts";

export interface KeptObject {
  readonly id: string;
  readonly kind: string;
  readonly account: string;
  /** Of the simulator's clock, not of the wall. */
  readonly createdAt: number;
  readonly value: Readonly<Record<string, unknown>>;
  /** A file's bytes. */
  readonly chunks: readonly Buffer[];
}

export interface ObjectStore {
  /** Replaces the one with the same id, at its place and with its age. */
  put(account: string, kind: string, id: string, value: KeptObject["value"], chunks?: readonly Buffer[]): KeptObject;
  find(account: string, kind: string, id: string): KeptObject | null;
  /** The oldest first. */
  list(account: string, kind: string): KeptObject[];
  remove(account: string, kind: string, id: string): KeptObject | null;
}

export const objectsMax = 10_000;
export const objectBytesMax = 160 * 1024 * 1024;

export function createObjectStore(clock: Clock): ObjectStore {
  const objects = new Map<string, KeptObject & { readonly bytes: number }>();
  let byteCount = 0;

  const toName = (account: string, kind: string, id: string): string => JSON.stringify([account, kind, id]);

  function forget(name: string): KeptObject | null {
    const object = objects.get(name);
    if (!object) return null;
    objects.delete(name);
    byteCount -= object.bytes;
    return object;
  }

  return {
    put(account, kind, id, value, chunks = []) {
      const name = toName(account, kind, id);
      const before = objects.get(name);
      const createdAt = before?.createdAt ?? clock.now();
      byteCount -= before?.bytes ?? 0;
      const bytes = chunks.reduce((sum, { length }) => sum + length, JSON.stringify(value).length);
      const object = { id, kind, account, createdAt, value, chunks, bytes };
      objects.set(name, object);
      byteCount += bytes;
      for (const oldest of objects.keys()) {
        if (objects.size <= objectsMax && byteCount <= objectBytesMax) break;
        if (oldest !== name) forget(oldest);
      }
      return object;
    },
    find: (account, kind, id) => objects.get(toName(account, kind, id)) ?? null,
    list: (account, kind) => [...objects.values()].filter((one) => one.account === account && one.kind === kind),
    remove: (account, kind, id) => forget(toName(account, kind, id)),
  };
}
