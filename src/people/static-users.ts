// The people of the configuration file. Always there, never changed but by a reload.

import type { TrafficClass } from "../base/principal.ts";
import type { PasswordSecret } from "../identity/directory.ts";
import type { UserView } from "./people.ts";
import { nextTokensValidFrom } from "./tokens-valid-from.ts";

/** A user as configured. Exactly one of the two secrets is set. */
export interface Account {
  readonly username: string;
  readonly password?: string;
  readonly passwordHash?: string;
  readonly role: "user" | "admin";
  readonly weight: number;
  readonly class: TrafficClass;
  /** A group of the store. */
  readonly group?: string;
}

export interface StaticUser {
  readonly view: UserView;
  readonly secret: PasswordSecret;
  /** Unix seconds, as of a user of the store. */
  readonly tokensValidFrom: number;
}

// A Map, not an object: a user may well be called "__proto__".
export type StaticUsers = ReadonlyMap<string, StaticUser>;

/**
 * `before`: those until now, null at the start, when sessions of the time before go on. Who has another password since
 * then, or administers no more, has to log in again. `newestBefore`: the newest `tokensValidFrom` that there has been.
 */
export function toStaticUsers(
  accounts: readonly Account[],
  before: StaticUsers | null,
  wallNowMs: number,
  newestBefore = 0,
): StaticUsers {
  const changedFrom = before === null ? 0 : nextTokensValidFrom(newestBefore, wallNowMs);
  return new Map(
    accounts.map((account): [string, StaticUser] => {
      const known = before?.get(account.username);
      const secret = toSecret(account);
      const isSame = known !== undefined && secretText(known.secret) === secretText(secret);
      const isLower = known?.view.role === "admin" && account.role !== "admin";
      const tokensValidFrom = isSame && !isLower ? known.tokensValidFrom : changedFrom;
      return [account.username, { view: toView(account), secret, tokensValidFrom }];
    }),
  );
}

function toView({ username, role, weight, class: trafficClass, group }: Account): UserView {
  return {
    name: username,
    source: "config",
    role,
    group: group ?? null,
    weight,
    class: trafficClass,
    limits: {},
    runsJobs: null,
    isEnabled: true,
    expiresAt: null,
    hasPassword: true,
    createdAt: null,
    updatedAt: null,
  };
}

function toSecret({ password, passwordHash }: Account): PasswordSecret {
  return passwordHash === undefined ? { plain: password ?? "" } : { hash: passwordHash };
}

function secretText(secret: PasswordSecret): string {
  return "plain" in secret ? `plain:${secret.plain}` : `hash:${secret.hash}`;
}
