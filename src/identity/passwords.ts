// argon2id password hashes in the PHC string format (RFC 9106), computed off the event loop: by Node's pool of threads, or
// in a running gateway on a thread of its own (hashing-thread.ts).
// Checking costs the same whether the user exists, is stored as plain text, or gave a wrong password.

import { type Argon2Parameters, argon2, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { Refusal } from "../base/refusal.ts";
import type { PasswordSecret } from "./directory.ts";

interface Cost {
  /** KiB */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** What a check of a password costs. */
export interface HashParameters extends Cost {
  readonly digestBytes: number;
}

interface ParsedHash extends HashParameters {
  readonly salt: Buffer;
  readonly digest: Buffer;
}

/** OWASP's first recommendation for argon2id. */
const defaultCost: Cost = { memory: 19_456, passes: 2, parallelism: 1 };
const digestBytes = 32;
/** Computes a hash. */
export type Derive = (parameters: Argon2Parameters) => Promise<Buffer>;

const argon2Async = promisify(argon2);
const deriveInPool: Derive = (parameters) => argon2Async("argon2id", parameters) as Promise<Buffer>;
/** Of the hashes made here, and of a check of a password in plain text. */
export const defaultParameters: HashParameters = { ...defaultCost, digestBytes };
const phcPattern =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,172})$/;

/** `$argon2id$v=19$m=…,t=…,p=…$salt$digest` with a fresh salt. */
export async function hashPassword(password: string, deriveKey = deriveInPool): Promise<string> {
  const salt = randomBytes(16);
  const digest = await deriveKey(toArgon2(password, salt, defaultParameters));
  const { memory, passes, parallelism } = defaultCost;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${toBase64(salt)}$${toBase64(digest)}`;
}

/** Null when it is not an argon2id hash that this gateway can check within sensible cost. */
export function parsePasswordHash(text: string): ParsedHash | null {
  const match = phcPattern.exec(text);
  if (!match) return null;
  const [, memory, passes, parallelism, salt, digest] = match as unknown as string[];
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  const isSensible =
    cost.memory >= 8 * cost.parallelism && cost.memory <= 1_048_576 && cost.passes >= 1 && cost.passes <= 64;
  if (!isSensible || cost.parallelism < 1 || cost.parallelism > 64) return null;
  const bytes = Buffer.from(digest as string, "base64");
  return { ...cost, salt: Buffer.from(salt as string, "base64"), digest: bytes, digestBytes: bytes.length };
}

/** What a check against the secret costs. */
export function parametersOf(secret: PasswordSecret): HashParameters {
  return ("hash" in secret ? parsePasswordHash(secret.hash) : null) ?? defaultParameters;
}

export interface PasswordChecker {
  /**
   * Null stands for an unknown user: always false, at the cost of `unknown`, those of the default when it is missing.
   * Refuses with `login_busy` when too many wait.
   */
  check(secret: PasswordSecret | null, password: string, unknown?: HashParameters): Promise<boolean>;
}

export interface PasswordCheckerLimits {
  /** Hashes computed at once; each takes a thread and about 19 MiB. */
  readonly runningMax: number;
  readonly waitingMax: number;
}

export function createPasswordChecker(limits: PasswordCheckerLimits, deriveKey = deriveInPool): PasswordChecker {
  const compareKey = randomBytes(32);
  const waiting: (() => void)[] = [];
  let running = 0;

  async function check(
    secret: PasswordSecret | null,
    password: string,
    unknown: HashParameters = defaultParameters,
  ): Promise<boolean> {
    const hash = secret && "hash" in secret ? parsePasswordHash(secret.hash) : null;
    const parameters = hash ?? (secret === null ? unknown : defaultParameters);
    const salt = hash?.salt ?? compareKey.subarray(0, 16);
    const digest = await takeTurn(() => deriveKey(toArgon2(password, salt, parameters)));
    if (hash) return timingSafeEqual(digest, hash.digest);
    const expected = secret && "plain" in secret ? secret.plain : randomBytes(16).toString("hex");
    const isEqual = timingSafeEqual(fingerprint(password), fingerprint(expected));
    return isEqual && secret !== null && "plain" in secret;
  }

  async function takeTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (running >= limits.runningMax) {
      if (waiting.length >= limits.waitingMax) throw new Refusal("login_busy", { retryAfterMs: 2_000 });
      // The turn is handed over, not given up: `running` stays as it is between two of them.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  }

  /** Fixed length, so that comparing tells nothing about either text. */
  function fingerprint(text: string): Buffer {
    return createHmac("sha256", compareKey).update(text, "utf8").digest();
  }

  return { check };
}

function toArgon2(password: string, salt: Buffer, parameters: HashParameters): Argon2Parameters {
  const { memory, passes, parallelism, digestBytes: tagLength } = parameters;
  return { message: password, nonce: salt, memory, passes, parallelism, tagLength };
}

function toBase64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
