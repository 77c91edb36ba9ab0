// The identity port: who makes this call, and logging in. The one place that puts users, passwords and tokens together.

import type { Clock } from "../base/clock.ts";
import type { Principal } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import { createLoginThrottle } from "./login-throttle.ts";
import type { PasswordChecker } from "./passwords.ts";
import type { IssuedToken, SessionTokens } from "./session-tokens.ts";
import type { UserDirectory } from "./user-directory.ts";

export interface Identity {
  /** Throws `invalid_token` or `token_expired`. `bearer` is what follows "Bearer " in Authorization, or null. */
  identify(bearer: string | null): Promise<Principal>;
  /** Throws `wrong_credentials`, `login_throttled` or `login_busy`. */
  logIn(attempt: LoginAttempt): Promise<IssuedToken>;
}

export interface LoginAttempt {
  readonly username: string;
  readonly password: string;
  /** The client's address, as far as it can be trusted. */
  readonly address: string;
}

export interface IdentityParts {
  readonly users: UserDirectory;
  readonly sessionTokens: SessionTokens;
  readonly passwords: PasswordChecker;
  readonly clock: Clock;
}

export function createIdentity({ users, sessionTokens, passwords, clock }: IdentityParts): Identity {
  const throttle = createLoginThrottle(clock);

  async function identify(bearer: string | null): Promise<Principal> {
    if (bearer === null) throw new Refusal("invalid_token");
    const { userId, issuedAt, tokenId } = await sessionTokens.verify(bearer);
    const user = users.find(userId);
    if (!user || issuedAt < user.tokensValidFrom) throw new Refusal("invalid_token");
    return { ...user.principal, flowId: tokenId };
  }

  async function logIn({ username, password, address }: LoginAttempt): Promise<IssuedToken> {
    const outcome = throttle.begin(username, address);
    const user = users.find(username);
    const isRight = await passwords.check(user?.secret ?? null, password).catch((error: unknown) => {
      outcome.withdraw();
      throw error;
    });
    // The password may have been changed, or the user removed, while it was checked.
    const isCurrent = user !== undefined && users.find(username)?.tokensValidFrom === user.tokensValidFrom;
    if (!isRight || !isCurrent) {
      outcome.fail();
      throw new Refusal("wrong_credentials");
    }
    outcome.succeed();
    return sessionTokens.issue(user.principal.userId, user.tokensValidFrom);
  }

  return { identify, logIn };
}
