// How values are shown to people: secrets masked, long texts cut, control characters escaped.

import type { Secrecy } from "./value-types.ts";

const shownCharactersMax = 60;
const maskedLengthMin = 12;

/** `…last4` of a long secret, `***` of a short one. */
export function maskSecret(secret: string): string {
  return secret.length >= maskedLengthMin ? `…${escapeControls(secret.slice(-4))}` : "***";
}

/** A value in a line of text, by how secret its key is. */
export function showValue(value: unknown, secrecy: Secrecy): string {
  if (value === undefined || value === null) return "not set";
  if (secrecy === "hidden") return "***";
  if (secrecy === "masked") return typeof value === "string" ? maskSecret(value) : "***";
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return value.length === 0 ? "[]" : "a list";
  if (value instanceof Date) return "a date";
  return typeof value === "object" ? "a table" : String(value);
}

/** A text in quotes on one line, cut. */
export function quote(text: string): string {
  const cut = text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
  return escapeControls(JSON.stringify(cut));
}

/** What people put into a URL by mistake: a password before the host, a key in the query. */
export function redactUrl(text: string): string {
  return text.replace(/^((?:[a-z][a-z0-9+.-]*:)?(?:\/\/)?).*@/is, "$1***@").replace(/[?#].*$/s, "?***");
}

/** Also those invisible characters that turn the direction of writing. */
export function escapeControls(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
