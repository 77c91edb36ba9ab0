// Where a call's credential stands: a session token, or one of the gateway's API keys. Most clients send `Authorization:
// Bearer …`; older clients of GLM send the key there without "Bearer"; Anthropic's clients send `x-api-key`. A client may
// send another service's credential as well.

import type { IncomingHttpHeaders } from "node:http";
import { looksSigned } from "../identity/signing-keys.ts";

/** What is claimed, unchecked. Null: nothing, nothing that we know, or two different things. */
export function readCredential(headers: IncomingHttpHeaders): string | null {
  const authorization = headers.authorization?.trim() ?? "";
  const apiKey = [headers["x-api-key"] ?? ""].flat().join(" ").trim();
  // Clients without a key send the empty rest of the header: that is no credential, and none that contradicts another.
  if (authorization === "" || /^Bearer$/i.test(authorization)) return plainPattern.exec(apiKey)?.[0] ?? null;
  const claimed = bearerPattern.exec(authorization)?.[1] ?? findBare(authorization);
  // A value that is not in the gateway's form is meant for another service. Of two in that form, any choice would be a
  // guess: another reader, such as a proxy in front, may guess differently.
  if (!isOurs(apiKey)) return claimed;
  if (claimed === null || !isOurs(claimed)) return apiKey;
  return apiKey === claimed ? claimed : null;
}

/** An API key, or what may be a session token. */
function isOurs(value: string): boolean {
  return bareKeyPattern.test(value) || tokenPattern.test(value);
}

/** Some clients of GLM leave "Bearer" out, before a key and before a token that they have signed. */
function findBare(authorization: string): string | null {
  return bareKeyPattern.test(authorization) || looksSigned(authorization) ? authorization : null;
}

const bearerPattern = /^Bearer +(\S+)$/i;
const bareKeyPattern = /^glmp\S+$/;
const tokenPattern = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const plainPattern = /^\S+$/;
