// The first administrator: a link that works once, as long as there is none. Only its hash is kept, in memory.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { Actor, UserView } from "./people.ts";
import type { PeopleService } from "./people-service.ts";

export interface Setup {
  /** The secret part of the link, or null while there is an administrator. Another one each time; the last one counts. */
  open(): string | null;
  /** Throws `invalid_token` for a token that is not good, and what creating a user throws. */
  complete(token: string, account: { readonly username: string; readonly password: string }, actor: Actor): Promise<UserView>;
}

const validMs = 24 * 3_600_000;

export function createSetup(people: PeopleService, clock: Clock): Setup {
  let open: { readonly hash: Buffer; readonly until: number } | null = null;
  return {
    open() {
      if (people.hasAdmin()) return null;
      const token = randomBytes(32).toString("base64url");
      open = { hash: hash(token), until: clock.now() + validMs };
      return token;
    },
    async complete(token, { username, password }, actor) {
      const offered = open;
      if (offered === null || people.hasAdmin() || clock.now() >= offered.until) throw new Refusal("invalid_token");
      if (!timingSafeEqual(hash(token), offered.hash)) throw new Refusal("invalid_token");
      // Taken before the first await: of two that come at once, one gets it.
      open = null;
      try {
        return await people.createUser({ name: username, password, role: "admin" }, actor);
      } catch (error) {
        open = offered;
        throw error;
      }
    },
  };
}

function hash(token: string): Buffer {
  return createHash("sha256").update(token, "utf8").digest();
}
