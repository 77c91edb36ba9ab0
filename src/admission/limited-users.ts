// The limits of each user alone: starts, calls at once, tokens per minute. Whoever is over one waits, without holding
// up anybody else. Users are counted also while there are no limits, so that new limits know what runs.

import type { Alarm } from "./alarms.ts";
import { Gates } from "./gates.ts";
import type { GateLimits } from "./scheduler.ts";

export interface LimitedUser {
  readonly userId: string;
  readonly gates: Gates;
  /** Set while its calls are out of the order because of a limit of its own. */
  isBarred: boolean;
  /** Rings when they may come back; null: a running call's end tells. */
  alarm: Alarm | null;
}

export class LimitedUsers {
  #limits: GateLimits;
  readonly #users = new Map<string, LimitedUser>();
  /** Of everybody who is not known, because nothing of theirs counts. */
  readonly #unused = new Gates();

  constructor(limits: GateLimits) {
    this.#limits = limits;
    this.#unused.configure(limits, 0, 1);
  }

  get barred(): LimitedUser[] {
    return [...this.#users.values()].filter(({ isBarred }) => isBarred);
  }

  find(userId: string): LimitedUser | undefined {
    return this.#users.get(userId);
  }

  /** To be looked at only. */
  gatesOf(userId: string): Gates {
    return this.find(userId)?.gates ?? this.#unused;
  }

  take(userId: string): LimitedUser {
    let user = this.#users.get(userId);
    if (!user) {
      user = { userId, gates: new Gates(), isBarred: false, alarm: null };
      user.gates.configure(this.#limits, 0, 1);
      this.#users.set(userId, user);
    }
    return user;
  }

  configure(limits: GateLimits): void {
    this.#limits = limits;
    this.#unused.configure(limits, 0, 1);
    for (const { gates } of this.#users.values()) gates.configure(limits, 0, 1);
  }

  /** Forgets those of whom nothing counts any more. */
  sweep(now: number): void {
    for (const [userId, { gates, isBarred }] of this.#users) {
      if (!isBarred && gates.isIdle(now)) this.#users.delete(userId);
    }
  }
}
