// How many people, groups and keys there may be: all of them are in memory.

import { Refusal } from "../base/refusal.ts";

export interface PeopleBounds {
  readonly usersMax: number;
  readonly groupsMax: number;
  readonly keysMax: number;
  /** Of one owner, so that nobody takes the others' room. */
  readonly keysPerOwnerMax: number;
}

export const defaultBounds: PeopleBounds = {
  usersMax: 100_000,
  groupsMax: 10_000,
  keysMax: 200_000,
  keysPerOwnerMax: 1_000,
};

export function requireRoom(count: number, max: number, noun: string): void {
  if (count < max) return;
  throw new Refusal("conflict", { detail: `there are ${count} ${noun} (limit ${max}): remove some first` });
}
