// API keys: `glmp_`, 32 random bytes in base62, and a checksum, so that a mistyped one is known as such without a
// look-up and scanners of leaked secrets know it when they see it. Only a key's hash is ever kept.

import { hash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

export interface MadeKey {
  /** Shown once. */
  readonly secret: string;
  /** The 8 characters after "glmp_", to tell keys apart. */
  readonly prefix: string;
  readonly hash: string;
}

const start = "glmp_";
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 62^43 > 2^256, 62^6 > 2^32. */
const randomCharacters = 43;
const checksumCharacters = 6;
const keyPattern = /^glmp_[0-9A-Za-z]{49}$/;

export function makeApiKey(): MadeKey {
  const body = toBase62(randomBytes(32));
  const secret = `${start}${body}${checksumOf(`${start}${body}`)}`;
  return { secret, prefix: body.slice(0, 8), hash: hashApiKey(secret) };
}

/** Whether a credential says of itself that it is an API key; it need not be a good one. */
export function looksLikeApiKey(credential: string): boolean {
  return credential.startsWith(start);
}

/** The hash to look a key up by, or null for a text that can't be one of ours. */
export function parseApiKey(credential: string): string | null {
  if (!keyPattern.test(credential)) return null;
  const body = credential.slice(0, -checksumCharacters);
  return checksumOf(body) === credential.slice(-checksumCharacters) ? hashApiKey(credential) : null;
}

/** SHA-256, hexadecimal: a slow hash adds nothing to 256 random bits. */
export function hashApiKey(secret: string): string {
  return hash("sha256", secret, "hex");
}

/** CRC-32: no single wrong character, and no two that were swapped, go unnoticed. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let checksum = "";
  while (checksum.length < checksumCharacters) {
    checksum = (digits[rest % 62] as string) + checksum;
    rest = Math.floor(rest / 62);
  }
  return checksum;
}

function toBase62(bytes: Buffer): string {
  let rest = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  while (text.length < randomCharacters) {
    text = (digits[Number(rest % 62n)] as string) + text;
    rest /= 62n;
  }
  return text;
}
