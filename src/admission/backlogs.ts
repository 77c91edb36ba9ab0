// Who has the most calls waiting, for their weight: when the queue is full, that user loses its newest call (longest
// queue drop), so that one who floods can't keep the others out. Who was let in before and comes back, because the
// upstream refused it, counts but stays.

import { Heap } from "./heap.ts";
import type { Backlog, Share } from "./share.ts";
import type { QueuedWaiter } from "./waiter.ts";

export class Backlogs {
  readonly #byLength = new Heap<Backlog>(isLonger);

  /** One more or less of its user's calls waits now. */
  update({ user, wasAdmitted }: QueuedWaiter, change: 1 | -1): void {
    user.backlog ??= { heapIndex: -1, share: user, evictableCount: 0 };
    const { backlog } = user;
    if (!wasAdmitted) backlog.evictableCount += change;
    if (backlog.evictableCount === 0) this.#byLength.remove(backlog);
    else if (backlog.heapIndex >= 0) this.#byLength.update(backlog);
    else this.#byLength.push(backlog);
  }

  /** Whose call must go for the newcomer, which counts as waiting already. Null: the newcomer itself. */
  findVictim(newcomer: QueuedWaiter): QueuedWaiter | null {
    const longest = this.#byLength.first?.share;
    const own = newcomer.user;
    // Who would have less than the newcomer then may keep it: that would only turn things around.
    if (!longest || longest === own || lengthWithoutNewest(longest) < own.waitingCount / weightOf(own)) return null;
    return newestOf(longest);
  }
}

/** By what would be left: one call of a user of little weight is not a long backlog. Among equals of a class, who began to wait last. */
function isLonger(a: Backlog, b: Backlog): boolean {
  const [aLength, bLength] = [lengthWithoutNewest(a.share), lengthWithoutNewest(b.share)];
  if (aLength !== bLength) return aLength > bLength;
  // Users of different classes have begun to wait in orders of their own.
  const [aClass, bClass] = [a.share.parent as Share, b.share.parent as Share];
  return aClass === bClass ? a.share.waitsSince > b.share.waitsSince : aClass.weight < bClass.weight;
}

function lengthWithoutNewest(user: Share): number {
  return (user.waitingCount - 1) / weightOf(user);
}

/** The class's weight included. */
function weightOf(user: Share): number {
  return user.weight * (user.parent?.weight ?? 1);
}

function newestOf(user: Share): QueuedWaiter | null {
  let newest: QueuedWaiter | null = null;
  for (const session of user.waitingChildren) {
    for (let position = session.firstPosition; position; position = position.nextOfShare) {
      const last = position.newestEvictable() as QueuedWaiter | null;
      if (last && (!newest || last.sequence > newest.sequence)) newest = last;
    }
  }
  return newest;
}
