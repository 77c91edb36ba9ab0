// What a change of people, groups and keys must be. Throws `invalid_field` with the field's name as the API spells it.

import { findLimitProblem, isLimitName, type Limits, limitNames } from "../base/limits.ts";
import { trafficClasses } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,127}$/u;
const oneLine = /^[^\p{C}]{1,128}$/u;
const modelPattern = /^[^\s\p{C}]{1,200}$/u;
const patternsMax = 100;
const passwordCharactersMin = 8;
const passwordBytesMax = 1_024;

export function checkName(name: string): void {
  if (!namePattern.test(name)) {
    throw bad("name", "1 to 128 letters, digits, and . _ @ + - after the first");
  }
}

export function checkKeyName(name: string): void {
  if (!oneLine.test(name) || name.trim() === "") throw bad("name", "1 to 128 characters on one line");
}

/** Long rather than mixed: NIST SP 800-63B-4, ASVS 6.2. */
export function checkPassword(password: string, username: string): void {
  const isLong = [...password].length >= passwordCharactersMin && Buffer.byteLength(password) <= passwordBytesMax;
  if (!isLong) throw bad("password", `${passwordCharactersMin} characters to ${passwordBytesMax} bytes`);
  if (password.toLowerCase() === username.toLowerCase()) throw bad("password", "it must not be the user's name");
  if (/^(.)\1*$/u.test(password) || "0123456789".includes(password) || commonPasswords.has(password.toLowerCase())) {
    throw bad("password", "it is among the first that anybody would try");
  }
}

const commonPasswords: ReadonlySet<string> = new Set([
  "password", "password1", "password123", "passw0rd", "p@ssw0rd", "qwertyui", "qwerty123", "qwertyuiop", "1q2w3e4r",
  "1qaz2wsx", "iloveyou", "admin123", "administrator", "letmein1", "welcome1", "abc12345", "abcd1234", "changeme",
  "zaq12wsx", "a1b2c3d4", "sunshine", "princess", "football", "baseball", "trustno1", "superman", "11223344", "123123123",
  "87654321", "987654321", "woaini1314", "5201314520",
]);

export function checkWeight(weight: number | null | undefined): void {
  if (weight === undefined || weight === null) return;
  if (!(weight >= 0.001 && weight <= 1_000)) throw bad("weight", "a number from 0.001 to 1000");
}

export function checkClass(value: string | null | undefined): void {
  if (value === undefined || value === null || (trafficClasses as readonly string[]).includes(value)) return;
  throw bad("class", `one of ${trafficClasses.join(", ")}`);
}

export function checkLimits(limits: Limits | undefined, field: "limits" | "member_limits" = "limits"): void {
  for (const [name, amount] of Object.entries(limits ?? {})) {
    if (!isLimitName(name)) throw bad(`${field}.${name}`, `known are ${limitNames.join(", ")}`);
    const problem = typeof amount === "number" ? findLimitProblem(name, amount) : "a number";
    if (problem !== null) throw bad(`${field}.${name}`, `it must be ${problem}`);
  }
}

export function checkModels(models: readonly string[] | null | undefined): void {
  if (models === undefined || models === null) return;
  if (models.length > patternsMax || !models.every((pattern) => modelPattern.test(pattern))) {
    throw bad("models", `at most ${patternsMax} names of 1 to 200 characters without spaces, * standing for anything`);
  }
}

export function checkExpiry(expiresAt: number | null | undefined, wallNowMs: number): void {
  if (expiresAt === undefined || expiresAt === null) return;
  if (!Number.isSafeInteger(expiresAt) || expiresAt <= wallNowMs || expiresAt > 253_402_300_799_000) {
    throw bad("expires_at", "a time in the future, before the year 10000");
  }
}

export function bad(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}
