// What a change of people, groups and keys must be. Throws `invalid_field` with the field's name as the API spells it.

import { findLimitProblem, isLimitName, type Limits, limitNames } from "../base/limits.ts";
import { roles, trafficClasses } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import { mixesAlphabets, toSkeleton } from "./confusable-names.ts";
import { keyScopes } from "./people.ts";

/** No combining marks: a name can't be written in two Unicode forms. */
const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,127}$/u;
const oneLine = /^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u;
const modelPattern = /^[^\s\p{C}]{1,200}$/u;
const modelsMax = 100;
const passwordCharactersMin = 8;
const passwordCharactersMax = 128;
/** The end of the year 9999: what four digits can say. */
const expiryMax = Date.UTC(10_000, 0) - 1;
const overlapMsMax = 30 * 24 * 3_600_000;

/** Of a user or a group. */
export function checkName(name: string): void {
  if (namePattern.test(name)) return;
  throw bad("name", "it must be 1 to 128 letters, digits, and after the first also . _ @ + -");
}

/** Nobody shall be taken for somebody else. `others`: those of the same kind. */
export function requireDistinct(
  kind: "user" | "group",
  name: string,
  others: readonly { readonly name: string }[],
): void {
  if (mixesAlphabets(name)) throw bad("name", "it mixes letters of alphabets that look alike: use those of one");
  const skeleton = toSkeleton(name);
  const twin = others.find((other) => toSkeleton(other.name) === skeleton);
  if (twin) throw new Refusal("conflict", { detail: `its name looks like that of the ${kind} ${twin.name}` });
}

export function checkKeyName(name: string | undefined): void {
  if (name === undefined) return;
  if (!oneLine.test(name) || name.trim() === "") throw bad("name", "it must be 1 to 128 characters on one line");
}

/** Long rather than mixed: NIST SP 800-63B-4, ASVS 6.2. */
export function checkPassword(password: string, username: string): void {
  const count = [...password].length;
  if (count < passwordCharactersMin || count > passwordCharactersMax || !password.isWellFormed()) {
    throw bad("password", `it must have ${passwordCharactersMin} to ${passwordCharactersMax} characters`);
  }
  const plain = password.toLowerCase();
  if (plain === username.toLowerCase()) throw bad("password", "it must not be the user's name");
  if (/^(.)\1*$/su.test(plain) || "01234567890".includes(plain) || commonPasswords.has(plain)) {
    throw bad("password", "it is among the first that anybody would try");
  }
}

const commonPasswords: ReadonlySet<string> = new Set(
  `password password1 password123 passw0rd p@ssw0rd qwertyui qwerty123 qwertyuiop 1q2w3e4r 1qaz2wsx iloveyou
  admin123 administrator letmein1 welcome1 abc12345 abcd1234 changeme zaq12wsx a1b2c3d4 sunshine princess football
  baseball trustno1 superman 11223344 123123123 87654321 987654321 woaini1314 5201314520`.split(/\s+/),
);

export function checkRole(role: string | undefined): void {
  if (role !== undefined) requireOneOf("role", role, roles);
}

export function checkWeight(weight: number | null | undefined): void {
  if (weight === undefined || weight === null) return;
  if (!(weight >= 0.001 && weight <= 1_000)) throw bad("weight", "it must be a number from 0.001 to 1000");
}

export function checkClass(value: string | null | undefined): void {
  if (value !== undefined && value !== null) requireOneOf("class", value, trafficClasses);
}

export function checkScope(scope: string | undefined): void {
  if (scope !== undefined) requireOneOf("scope", scope, keyScopes);
}

/** Returns them in the order in which limits are listed everywhere. */
export function parseLimits(limits: Limits, field: "limits" | "member_limits" = "limits"): Limits {
  for (const [name, amount] of Object.entries(limits)) {
    if (!isLimitName(name)) throw bad(`${field}.${name}`, `known are ${limitNames.join(", ")}`);
    const problem = typeof amount === "number" ? findLimitProblem(name, amount) : "a number";
    if (problem !== null) throw bad(`${field}.${name}`, `it must be ${problem}`);
  }
  const named = limitNames.filter((name) => limits[name] !== undefined);
  return Object.fromEntries(named.map((name) => [name, limits[name]]));
}

export function checkModels(models: readonly string[] | null | undefined): void {
  if (models === undefined || models === null) return;
  if (models.length === 0 || models.length > modelsMax || !models.every((model) => modelPattern.test(model))) {
    const detail = `it must be 1 to ${modelsMax} names of 1 to 200 characters without spaces, * standing for anything`;
    throw bad("models", detail);
  }
}

export function checkExpiry(expiresAt: number | null | undefined, wallNowMs: number): void {
  if (expiresAt === undefined || expiresAt === null) return;
  if (!Number.isSafeInteger(expiresAt) || expiresAt <= wallNowMs || expiresAt > expiryMax) {
    throw bad("expires_at", "it must be a time in the future, before the year 10000");
  }
}

export function checkOverlap(overlapMs: number): void {
  if (!(overlapMs >= 0 && overlapMs <= overlapMsMax)) {
    throw bad("overlap_seconds", `it must be 0 to ${overlapMsMax / 1_000} (30 days)`);
  }
}

function requireOneOf(field: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw bad(field, `it must be one of ${allowed.join(", ")}`);
}

export function bad(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}
