// Who is known, as identity asks for it: people by name, API keys by hash, sessions that were logged out. Answers come
// from memory, at once.

import type { Caller } from "../base/principal.ts";

export interface Directory {
  /** Undefined for whoever may not come in, disabled and expired ones included. */
  findUser(name: string): User | undefined;
  /** Of all users that have one, disabled ones included; the same array until somebody changes. */
  listSecrets(): readonly NamedSecret[];
  /** The caller that a key makes, by the key's hash; undefined for one that is not good (any more). Notes the use. */
  findKeyCaller(hash: string): Caller | undefined;
  isRevoked(sessionId: string): boolean;
  /** In effect at once. `until`: Unix milliseconds when its tokens are dead anyway. */
  revoke(sessionId: string, until: number): Promise<void>;
}

export interface User {
  /** But for what the session adds. */
  readonly caller: Omit<Caller, "flowId" | "keyId" | "models" | "keepsContent" | "cachesAnswers">;
  /** Null: no password will do. */
  readonly secret: PasswordSecret | null;
  /** Sessions logged in before this second (Unix time) are void: the password or the role was changed then. */
  readonly tokensValidFrom: number;
}

export interface NamedSecret {
  readonly name: string;
  readonly secret: PasswordSecret;
}

export type PasswordSecret = { readonly plain: string } | { readonly hash: string };
