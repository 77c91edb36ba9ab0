// The identity port: who makes this call, and the life of a session. The one place that puts people, passwords, session
// tokens and API keys together. Roles, rights and limits always come from the directory, never from a token.

import type { Clock } from "../base/clock.ts";
import type { Caller } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import { hashApiKey, looksLikeApiKey, parseApiKey } from "./api-keys.ts";
import type { Directory, User } from "./directory.ts";
import { createLoginThrottle } from "./login-throttle.ts";
import type { PasswordChecker } from "./passwords.ts";
import type { IssuedToken, SessionClaims, SessionTokens, TokenUse } from "./session-tokens.ts";
import { looksLikeSigningKey, looksSigned, type SigningKeys } from "./signing-keys.ts";
import { createUnknownNames } from "./unknown-names.ts";

export interface Identity {
  /**
   * Throws `invalid_token` or `token_expired`. `credential`: a session token or an API key, or null. Default for `use`:
   * "client".
   */
  identify(credential: string | null, use?: TokenUse): Promise<Caller>;
  /** Throws `wrong_credentials`, `login_throttled` or `login_busy`. */
  logIn(attempt: LoginAttempt, use?: TokenUse): Promise<IssuedToken>;
  /** A new token for the same session, as long as the session may last. Throws as `identify` does. */
  refresh(sessionToken: string | null, use?: TokenUse): Promise<IssuedToken>;
  /** Ends the session: all its tokens are void at once. Throws as `identify` does. */
  logOut(sessionToken: string | null): Promise<void>;
  /** What a good session token says of its session, for who renews cookies. Throws as `identify` does. */
  readSession(sessionToken: string | null): Promise<SessionClaims>;
}

export interface LoginAttempt {
  readonly username: string;
  readonly password: string;
  /** The client's address, as far as it can be trusted. */
  readonly address: string;
}

export interface IdentityParts {
  readonly directory: Directory;
  readonly sessionTokens: SessionTokens;
  readonly passwords: PasswordChecker;
  readonly signingKeys: SigningKeys;
  readonly clock: Clock;
}

const seenMax = 1_000;

export function createIdentity(parts: IdentityParts): Identity {
  const { directory, sessionTokens, passwords, signingKeys, clock } = parts;
  const throttle = createLoginThrottle(clock);
  const costOfUnknown = createUnknownNames(sessionTokens.markOf);
  const marks = new WeakMap<User, string>();
  /** What newer credentials look like: a token is decoded for it, 6 µs that most calls need not spend again. */
  const seen = new Map<string, boolean>();

  // Asynchronous also for what is known at once: a refusal must not overtake what the parser finds wrong in the same
  // bytes, or neither answer would reach the client.
  async function identify(credential: string | null, use: TokenUse = "client"): Promise<Caller> {
    if (credential === null) throw new Refusal("invalid_token");
    if (!isKey(credential)) return identifySession(credential, use);
    const hash = hashOf(credential);
    const caller = hash === null ? undefined : directory.findKeyCaller(hash);
    if (!caller) throw new Refusal("invalid_token");
    return caller;
  }

  function isKey(credential: string): boolean {
    if (looksLikeApiKey(credential)) return true;
    let isOne = seen.get(credential);
    if (isOne === undefined) {
      isOne = looksLikeSigningKey(credential) || looksSigned(credential);
      if (seen.size >= seenMax) seen.clear();
      seen.set(credential, isOne);
    }
    return isOne;
  }

  /** Of the key itself, or of the one that its client has signed with. */
  function hashOf(credential: string): string | null {
    if (looksLikeApiKey(credential)) return parseApiKey(credential);
    return looksLikeSigningKey(credential) ? hashApiKey(credential) : signingKeys.verify(credential, clock.wallNow());
  }

  async function identifySession(sessionToken: string, use: TokenUse): Promise<Caller> {
    const claims = await sessionTokens.verify(sessionToken);
    const { caller } = requireUser(claims);
    if (use === "console" && sessionTokens.isIdle(claims)) throw new Refusal("token_expired");
    return {
      ...caller,
      flowId: claims.sessionId,
      keyId: null,
      models: null,
      keepsContent: false,
      cachesAnswers: false,
    };
  }

  function requireUser({ userId, sessionId, mark, loggedInAt }: SessionClaims): User {
    const user = directory.findUser(userId);
    if (!user || loggedInAt < user.tokensValidFrom || directory.isRevoked(sessionId))
      throw new Refusal("invalid_token");
    // The password may have been changed while no process ran to see it, or the name may be somebody else's by now.
    if (mark !== markOf(user)) throw new Refusal("invalid_token");
    return user;
  }

  function markOf(user: User): string {
    const known = marks.get(user);
    if (known !== undefined) return known;
    const mark = sessionTokens.markOf(JSON.stringify([user.caller.userId, user.secret]));
    marks.set(user, mark);
    return mark;
  }

  async function logIn({ username, password, address }: LoginAttempt, use: TokenUse = "client"): Promise<IssuedToken> {
    const outcome = throttle.begin(username, address);
    const user = directory.findUser(username);
    const unknown = user ? undefined : costOfUnknown(username, directory.listSecrets());
    const isRight = await passwords.check(user?.secret ?? null, password, unknown).catch((error: unknown) => {
      outcome.withdraw();
      throw error;
    });
    // The password may have been changed, or the user removed, while it was checked.
    const current = directory.findUser(username);
    const isCurrent = user !== undefined && current !== undefined && markOf(current) === markOf(user);
    if (!isRight || !isCurrent) {
      outcome.fail();
      throw new Refusal("wrong_credentials");
    }
    outcome.succeed();
    return sessionTokens.issue(username, markOf(current), current.tokensValidFrom, use);
  }

  async function readSession(sessionToken: string | null): Promise<SessionClaims> {
    if (sessionToken === null || isKey(sessionToken)) throw new Refusal("invalid_token");
    const claims = await sessionTokens.verify(sessionToken);
    requireUser(claims);
    return claims;
  }

  async function refresh(sessionToken: string | null, use: TokenUse = "client"): Promise<IssuedToken> {
    const claims = await readSession(sessionToken);
    return sessionTokens.renew(claims, requireUser(claims).tokensValidFrom, use);
  }

  async function logOut(sessionToken: string | null): Promise<void> {
    const claims = await readSession(sessionToken);
    await directory.revoke(claims.sessionId, sessionTokens.endOf(claims) * 1_000);
  }

  return { identify, logIn, refresh, logOut, readSession };
}
