// The people of the configuration file, looked up by name. Knows nothing of tokens and of how passwords are checked.

import type { Principal, TrafficClass } from "../base/principal.ts";

export interface UserDirectory {
  find(username: string): User | undefined;
  /** Takes the new list. Whoever is not in it any more is unknown at once. */
  replace(accounts: readonly Account[], wallNowMs: number): void;
}

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

export interface User {
  /** But for what the session adds: which of the user's tools calls. */
  readonly principal: Omit<Principal, "flowId">;
  readonly secret: PasswordSecret;
  /** Tokens issued before this second (Unix time) are void: the password was changed then. */
  readonly tokensValidFrom: number;
}

export type PasswordSecret = { readonly plain: string } | { readonly hash: string };

export function createUserDirectory(accounts: readonly Account[]): UserDirectory {
  // A Map, not an object: a user may well be called "__proto__".
  let users = new Map(accounts.map((account) => [account.username, toUser(account, 0)]));
  return {
    find: (username) => users.get(username),
    replace(changed, wallNowMs) {
      const before = users;
      users = new Map();
      for (const account of changed) {
        const known = before.get(account.username);
        const isSameSecret = known !== undefined && secretText(known.secret) === secretText(toSecret(account));
        // Tokens are dated up to a second ahead; from the second after that on, they are of the new password.
        const validFrom = isSameSecret ? known.tokensValidFrom : Math.ceil(wallNowMs / 1_000) + 1;
        users.set(account.username, toUser(account, validFrom));
      }
    },
  };
}

function toUser(account: Account, tokensValidFrom: number): User {
  const { username, role, weight, class: trafficClass } = account;
  const principal = { userId: username, role, weight, class: trafficClass };
  return { principal, secret: toSecret(account), tokensValidFrom };
}

function toSecret({ password, passwordHash }: Account): PasswordSecret {
  return passwordHash === undefined ? { plain: password ?? "" } : { hash: passwordHash };
}

function secretText(secret: PasswordSecret): string {
  return "plain" in secret ? `plain:${secret.plain}` : `hash:${secret.hash}`;
}
