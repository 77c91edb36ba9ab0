// What makes a text acceptable for the keys that are more than plain text: addresses, URLs, hashes, names.
// Predicates only; the words that a person reads stand beside each key in schema.ts.

import { isIP } from "node:net";
import { parsePasswordHash } from "../identity/passwords.ts";

/** An argon2id hash in PHC format whose cost one login can bear. */
export function isPasswordHash(text: string): boolean {
  return parsePasswordHash(text) !== null;
}

export function isBaseUrl(text: string): boolean {
  if (/[\s?#@]/.test(text) || !URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return (protocol === "http:" || protocol === "https:") && hostname !== "";
}

/** What a URL is set to where there is to be none. */
export function isNone(text: string): boolean {
  return text === "" || text === "none";
}

export function isLoopbackUrl(text: string): boolean {
  const { hostname } = new URL(text);
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\./.test(hostname);
}

/** An IP address, or one with a prefix length. */
export function isAddressRange(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** Visible ASCII, so that it can stand in a header. */
export function isHeaderSafe(text: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(text);
}

export function isHost(text: string): boolean {
  return /^[\w.:%-]{1,255}$/.test(text);
}

/** Without a port; no address either, since those need not be listed. */
export function isHostName(text: string): boolean {
  return /^(?=.{1,253}$)[\w-]+(?:\.[\w-]+)*$/.test(text);
}

export function isModelName(text: string): boolean {
  return /^[^\s\p{C}]{1,200}$/u.test(text);
}

export function isOneLine(text: string): boolean {
  return text.trim() !== "" && text.length <= 128 && !/\p{Cc}/u.test(text);
}

export function isStoreUrl(text: string): boolean {
  return /^(sqlite:|postgres(ql)?:\/\/)./.test(text);
}

/** An IANA name that this Node knows, or UTC. */
export function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
