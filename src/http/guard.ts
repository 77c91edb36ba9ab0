// What a request must be before any route sees it. Node's parser is strict on framing and lax on targets, Host and
// repeated headers; this closes the difference (RFC 9110, 9112). Returns the canonical path that routes know.

import type { IncomingMessage } from "node:http";
import { Refusal } from "../base/refusal.ts";

const targetCharactersMax = 2_048;
const headersMax = 100;
/** Headers that mean something else, or nothing, when they come twice. */
const singleHeaders = new Set(["host", "authorization", "content-type", "content-length", "transfer-encoding"]);
const hostPattern = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
/** Bytes and escapes by which two readers of one target may disagree on what it names. */
const ambiguousBytes = /[^\x21-\x7e]|[\\#]/;
const ambiguousEscapes = /%(?:00|2f|5c|2e|0[ad])/i;
/** Names of parameters that carry secrets, as they are without escapes, case and marks between words. */
const secretNames =
  /^(?:x?api|access|secret|auth|private)?key$|^(?:access|refresh|session|auth|api|bearer|id)?token$|^(?:client|api)?secret$|^(?:pass(?:word|wd|phrase)?|pwd|sk|authorization|auth|bearer|credentials?|jwt)$/;

export function guardRequest(request: IncomingMessage): string {
  // What has no version at all is 0.9 to Node's parser.
  if (request.httpVersionMajor === 0) throw bad("it has no version that HTTP/1.1 knows");
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1) throw new Refusal("version_not_supported");
  checkHeaders(request);
  request.url = toOriginForm(request.url ?? "", request.headers.host ?? "");
  return toCanonicalPath(request.url);
}

/** A target may name the host that it is for (RFC 9112, 3.2.2), as long as that is the one that Host names. */
function toOriginForm(target: string, host: string): string {
  if (target.startsWith("/") || host === "") return target;
  const [start = ""] = /^http:\/\/[^/?]*/i.exec(target) ?? [];
  if (start.slice("http://".length).toLowerCase() !== host.toLowerCase()) return target;
  return target.startsWith("/", start.length) ? target.slice(start.length) : `/${target.slice(start.length)}`;
}

function toCanonicalPath(target: string): string {
  if (target.length > targetCharactersMax) throw bad(`its target is longer than ${targetCharactersMax} characters`);
  if (!target.startsWith("/")) throw bad("its target must begin with /");
  if (ambiguousBytes.test(target)) throw bad("its target has characters that are not allowed there");
  if (hasSecretInQuery(target)) throw bad("secrets do not belong into a URL; send them as a header");
  const path = target.split("?", 1)[0] as string;
  if (ambiguousEscapes.test(path) && !isModelPath(path)) throw bad("its path has escapes that are not allowed there");
  // Base URLs are often joined carelessly: "//chat/completions/" is the same place.
  const canonical = path.includes("//") || path.endsWith("/") ? `/${path.split("/").filter(Boolean).join("/")}` : path;
  if (/\/\.{1,2}(?:\/|$)/.test(canonical)) throw bad("its target has dot segments");
  return canonical;
}

/** A model's name may hold an escaped slash, as in "openai%2Fgpt-x": nothing but a name stands there. */
function isModelPath(path: string): boolean {
  return /\/models\/[\w.:@-]+(?:%2f[\w.:@-]+)+$/i.test(path) && !path.includes("..");
}

function hasSecretInQuery(target: string): boolean {
  const at = target.indexOf("?");
  if (at === -1) return false;
  const names = new URLSearchParams(target.slice(at + 1).replaceAll(";", "&")).keys();
  return names.some((name) => secretNames.test(name.toLowerCase().replace(/[\s_.-]|\[\]$/g, "")));
}

function checkHeaders(request: IncomingMessage): void {
  const { rawHeaders, httpVersionMinor, method } = request;
  if (rawHeaders.length > headersMax * 2) throw new Refusal("headers_too_large");
  let seen = "";
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (!singleHeaders.has(name)) continue;
    if (seen.includes(`|${name}|`)) throw bad(`the header ${name} comes more than once`);
    seen += `|${name}|`;
    if (name === "host" && !hostPattern.test(rawHeaders[index + 1] as string)) throw bad("its Host is not valid");
    if (
      name === "transfer-encoding" &&
      (httpVersionMinor === 0 || rawHeaders[index + 1]?.toLowerCase() !== "chunked")
    ) {
      throw bad("its transfer-encoding must be chunked, and on HTTP/1.1");
    }
  }
  if (httpVersionMinor === 1 && !seen.includes("|host|")) throw bad("it has no Host");
  const hasBody = seen.includes("|transfer-encoding|") || Number(request.headers["content-length"] ?? 0) > 0;
  if (hasBody && (method === "GET" || method === "HEAD" || method === "TRACE")) throw bad("its method takes no body");
}

function bad(detail: string): Refusal {
  return new Refusal("bad_request", { detail });
}
