// Sessions that were logged out, in memory and in the store, so that a restart forgets none. Each is kept until its
// tokens would have died by themselves.

import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";

export interface RevokedSessions {
  has(sessionId: string): boolean;
  /** In effect at once; durable when it resolves. */
  add(sessionId: string, until: number): Promise<void>;
  /** Takes what other processes have added. */
  load(): Promise<void>;
}

const sessionsMax = 100_000;

export async function createRevokedSessions({ db }: Store, clock: Clock): Promise<RevokedSessions> {
  /** Session id -> Unix milliseconds. */
  const sessions = new Map<string, number>();

  async function load(): Promise<void> {
    const now = clock.wallNow();
    await db.deleteFrom("revoked_sessions").where("until", "<=", now).execute();
    const rows = await db.selectFrom("revoked_sessions").selectAll().orderBy("until").limit(sessionsMax).execute();
    for (const { session_id: sessionId, until } of rows) sessions.set(sessionId, until);
    dropDead();
  }

  function dropDead(): void {
    const now = clock.wallNow();
    for (const [sessionId, until] of sessions) if (until <= now) sessions.delete(sessionId);
    // Those that end first are the least loss; the store has them all.
    const excess = sessions.size - sessionsMax;
    if (excess <= 0) return;
    const byEnd = [...sessions].sort(([, a], [, b]) => a - b);
    for (const [sessionId] of byEnd.slice(0, excess + sessionsMax / 10)) sessions.delete(sessionId);
  }

  await load();
  return {
    has(sessionId) {
      const until = sessions.get(sessionId);
      return until !== undefined && until > clock.wallNow();
    },
    async add(sessionId, until) {
      sessions.set(sessionId, until);
      if (sessions.size > sessionsMax) dropDead();
      await db
        .insertInto("revoked_sessions")
        .values({ session_id: sessionId, until: Math.ceil(until) })
        .onConflict((conflict) => conflict.column("session_id").doNothing())
        .execute();
    },
    load,
  };
}
