// POST /auth/login: a name and a password for a session token.

import { parseJson } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";
import type { Identity } from "../identity/identity.ts";
import type { PublicRoute } from "./routes.ts";

export interface LoginRecord {
  readonly outcome: "granted" | "refused";
  readonly requestId: string;
  readonly address: string;
  /** Null for a refused login: some people type their password where the name belongs. */
  readonly user: string | null;
}

const bodyBytesMax = 8_192;
const usernameCharactersMax = 256;
const passwordBytesMax = 1_024;

export function createLoginRoute(identity: Identity, onLogin: (record: LoginRecord) => void): PublicRoute {
  return {
    access: "public",
    because: "it is where a token comes from; guessing is slowed",
    async handle({ reply, address, readBody }) {
      try {
        const { username, password } = parseCredentials(await readBody(bodyBytesMax));
        const { sessionToken, expiresInSeconds } = await identity.logIn({ username, password, address });
        onLogin({ outcome: "granted", requestId: reply.requestId, address, user: username });
        const body = JSON.stringify({ token: sessionToken, expires_in: expiresInSeconds });
        reply.send(200, "application/json; charset=utf-8", body);
      } catch (error) {
        onLogin({ outcome: "refused", requestId: reply.requestId, address, user: null });
        throw error;
      }
    },
  };
}

function parseCredentials(body: Buffer): { username: string; password: string } {
  const { username, password } = (parseJson(body.toString("utf8")) ?? {}) as Record<string, unknown>;
  if (typeof username !== "string" || username === "" || username.length > usernameCharactersMax) {
    throw new Refusal("invalid_field", {
      param: "username",
      detail: `a text of 1 to ${usernameCharactersMax} characters`,
    });
  }
  if (typeof password !== "string" || password === "" || Buffer.byteLength(password) > passwordBytesMax) {
    throw new Refusal("invalid_field", { param: "password", detail: `a text of 1 to ${passwordBytesMax} bytes` });
  }
  // Keyboards and systems write one name in two Unicode forms.
  return { username: username.normalize("NFC"), password };
}
