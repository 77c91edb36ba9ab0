// Where a call's credential stands: a session token, or one of our API keys. `Authorization: Bearer …` is everybody's way;
// older clients of GLM send the key there without "Bearer"; Anthropic's clients have `x-api-key`.

import type { IncomingHttpHeaders } from "node:http";
import { looksSigned } from "../identity/signing-keys.ts";

/** What is claimed, unchecked. Null: nothing, nothing that we know, or two different things. */
export function readCredential(headers: IncomingHttpHeaders): string | null {
  const authorization = headers.authorization?.trim() ?? "";
  const apiKey = [headers["x-api-key"] ?? ""].flat().join(" ").trim();
  // Clients without a key send the empty rest of the header: that is no credential, and none that contradicts another.
  if (authorization === "" || /^Bearer$/i.test(authorization)) return plainPattern.exec(apiKey)?.[0] ?? null;
  const claimed = bearerPattern.exec(authorization)?.[1] ?? findBare(authorization);
  // What does not look like ours beside it is meant for somebody else. Of two that do, any choice would be a guess:
  // another reader, as a proxy in front, may guess otherwise.
  return !apiKey.startsWith("glmp") || apiKey === claimed ? claimed : null;
}

/** Some clients of GLM leave "Bearer" out, before a key and before a token that they have signed. */
function findBare(authorization: string): string | null {
  return bareKeyPattern.test(authorization) || looksSigned(authorization) ? authorization : null;
}

const bearerPattern = /^Bearer +(\S+)$/i;
const bareKeyPattern = /^glmp\S+$/;
const plainPattern = /^\S+$/;
