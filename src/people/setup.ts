// The first administrator: a link that works once, as long as there is none. Only its hash is kept, in memory.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { Actor, UserView } from "./people.ts";
import type { PeopleService } from "./people-service.ts";

export interface Setup {
  /** The secret part of the link, or null while there is an administrator. Another one each time; the last one counts. */
  open(): string | null;
  /** Throws `invalid_token` for a token that is not good (any more), and what creating a user throws. */
  complete(token: string, account: FirstAccount, actor: Actor): Promise<UserView>;
}

export interface FirstAccount {
  readonly username: string;
  readonly password: string;
}

const validMs = 24 * 3_600_000;

export function createSetup(people: Pick<PeopleService, "hasAdmin" | "createFirstAdmin">, clock: Clock): Setup {
  let offer: { readonly hash: Buffer; readonly until: number } | null = null;
  return {
    open() {
      if (people.hasAdmin()) return null;
      const token = randomBytes(32).toString("base64url");
      offer = { hash: hash(token), until: clock.now() + validMs };
      return token;
    },
    async complete(token, { username, password }, actor) {
      if (offer === null || people.hasAdmin() || clock.now() >= offer.until) throw new Refusal("invalid_token");
      if (!timingSafeEqual(hash(token), offer.hash)) throw new Refusal("invalid_token");
      // Of two that come at once the second finds an administrator. A name or password that won't do may be corrected.
      const user = await people.createFirstAdmin({ name: username, password }, actor);
      offer = null;
      return user;
    },
  };
}

function hash(token: string): Buffer {
  return createHash("sha256").update(token, "utf8").digest();
}
