// Which secret signs session tokens. One that is public, empty or short is never used: a random one is made once and
// kept in the data folder, so that tokens outlive a restart.

import { join } from "node:path";
import { ForeignFileError } from "../base/own-files.ts";
import { type ConfigFiles, explainFileError } from "./files.ts";
import { info, type Notice, warn } from "./notices.ts";
import type { Origin } from "./origins.ts";

export interface JwtSecretSources {
  /** undefined: not configured. */
  readonly configured: { readonly secret: string; readonly origin: Origin } | undefined;
  readonly dataFolder: string;
  readonly files: ConfigFiles;
  /** At least 32 random bytes as text; the same text at each call of one process. */
  readonly createSecret: () => string;
  /** False: nothing is written, as when a configuration is only checked. */
  readonly mayStore: boolean;
}

export interface JwtSecret {
  readonly secret: string;
  readonly origin: Origin;
  readonly notices: readonly Notice[];
}

const secretBytesMin = 32;
const advice = "set one of your own with at least 32 random bytes: openssl rand -base64 48";

/** Secrets that stand in manuals and starter projects, in lower case. Shorter ones are refused by their length. */
const publishedSecrets: ReadonlySet<string> = new Set([
  "your-secret-key-change-in-production",
  "your-secret-key-change-in-production-please",
  "your-secret-key",
  "changeit",
  "changeme",
  "secret",
  "secretkey",
  "supersecret",
  "keyboard cat",
  "change-this-32-character-key-now",
  "a-string-secret-at-least-256-bits-long",
  "your-256-bit-secret",
  "your-super-secret-jwt-token-with-at-least-32-characters-long",
  "super-secret-jwt-token-with-at-least-32-characters-long",
  "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
  "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
  "0123456789abcdef0123456789abcdef",
  "12345678901234567890123456789012",
  "abcdefghijklmnopqrstuvwxyz123456",
]);
/** How samples ask to be replaced. Nothing random looks like it. */
const samplePattern = /(change|replace)[-_ ]?(this|me|it|in[-_ ]?production)|^(your|my|some)[-_ ].*(secret|key)/i;
const oneCharacterPattern = /^(.)\1*$/;

type Weakness = "a published sample" | "empty" | "shorter than 32 bytes";

export function findWeakness(secret: string): Weakness | null {
  const text = secret.trim();
  if (text === "") return "empty";
  const isSample = publishedSecrets.has(text.toLowerCase()) || samplePattern.test(text);
  if (isSample || oneCharacterPattern.test(text)) return "a published sample";
  return Buffer.byteLength(text) < secretBytesMin ? "shorter than 32 bytes" : null;
}

/** Or the one line that says what stands where the secret would be kept: nothing of it is changed then. */
export function resolveJwtSecret(sources: JwtSecretSources): JwtSecret | { readonly problem: string } {
  const { configured } = sources;
  const weakness = configured ? findWeakness(configured.secret) : null;
  if (configured && !weakness) return { ...configured, notices: [] };
  const reason = configured ? `auth.jwt_secret (${configured.origin.text}) is ${weakness} and is not used` : null;
  return keepSecret(sources, reason);
}

function keepSecret(
  { dataFolder, files, createSecret, mayStore }: JwtSecretSources,
  reason: string | null,
): JwtSecret | { readonly problem: string } {
  const path = join(dataFolder, "jwt_secret");
  const toNotice = reason === null ? info : warn;
  const cause = reason ?? "auth.jwt_secret is not set";
  try {
    const kept = files.readText(path);
    const hasKept = kept !== null && isUsable(kept);
    const secret = hasKept ? kept : mayStore ? files.createSecret(path, createSecret(), isUsable) : createSecret();
    const verb = hasKept || mayStore ? "is kept" : "will be made at the start and kept";
    const message = `${cause}: a random one ${verb} in ${path}. To be rid of this notice, ${advice}`;
    const origin: Origin = { layer: "generated", text: `generated, ${path}` };
    return { secret: secret.trim(), origin, notices: [toNotice("jwt_secret_generated", message)] };
  } catch (error) {
    if (error instanceof ForeignFileError) {
      return {
        problem: `${path}: cannot keep the generated auth.jwt_secret there: ${error.message}; move it away, or ${advice}`,
      };
    }
    const message = `${cause}, and ${path} cannot be used (${explainFileError(error)}): a random one serves this process only, so all session tokens die at a restart. Make the data folder writable, or ${advice}`;
    const origin: Origin = { layer: "generated", text: "generated, for this process only" };
    return { secret: createSecret(), origin, notices: [warn("jwt_secret_volatile", message)] };
  }
}

/** One word: a text that has that name by chance is no secret. */
function isUsable(secret: string): boolean {
  return /^\S+$/.test(secret.trim()) && findWeakness(secret) === null;
}
