// Sessions: renewed, ended, and kept in a cookie for browsers. And the first administrator.

import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import { requireSameOrigin } from "./access.ts";
import { nameSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { defineRoute, type Route } from "./route.ts";
import { clearSessionCookie, writeSessionCookie } from "./session-cookie.ts";
import { renderSetupPage, setupPageHeaders } from "./setup-page.ts";
import { createToUserJson, userSchema } from "./user-model.ts";

export const credentialsSchema = z
  .strictObject({
    username: z.string().min(1).max(256).openapi({ example: "ada" }),
    password: z.string().min(1).max(1_024).openapi({ example: "correct horse battery staple" }),
  })
  .openapi("Credentials");

export const tokenSchema = z
  .object({
    token: z.string().openapi({ example: "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9…" }),
    expires_in: z.int().openapi({ example: 60, description: "Seconds" }),
  })
  .openapi("SessionToken");

const setupSchema = z
  .strictObject({
    setup_token: z.string().min(1).max(256),
    username: nameSchema,
    password: z.string().min(1).max(1_024),
  })
  .openapi("Setup");

export function createSessionRoutes(parts: ControlParts): readonly Route[] {
  const { identity } = parts;
  const toUserJson = createToUserJson(parts.people);

  const refresh = defineRoute({
    method: "post",
    path: "/auth/refresh",
    access: "me",
    summary: "Renew a session",
    details:
      "A new token for the same session, as long as the session may last (`auth.session_ttl_seconds` from its login). The old token stays good until it expires.",
    answer: { status: 200, description: "The new token", schema: tokenSchema },
    async handle({ sessionToken }) {
      const issued = await identity.refresh(sessionToken);
      return { token: issued.sessionToken, expires_in: issued.expiresInSeconds };
    },
  });

  const logOut = defineRoute({
    method: "post",
    path: "/auth/logout",
    access: "me",
    summary: "End a session",
    details:
      "All tokens of the session are void at once, after a restart too. 503 `store_unavailable`: they are void, but a restart may forget it until the database is back.",
    answer: { status: 204, description: "Ended" },
    handle: ({ sessionToken }) => identity.logOut(sessionToken),
  });

  const openCookieSession = defineRoute({
    method: "post",
    path: "/auth/session",
    access: "public",
    summary: "Log in with a cookie",
    details:
      "For browsers: the token is kept in a cookie that scripts can't read, and renewed while it is used; `auth.console_idle_seconds` without a request end the session. Later requests that change something need the header `x-glm-proxy-csrf: 1` and must come from a page of this origin.",
    body: credentialsSchema,
    answer: { status: 204, description: "Logged in: see `set-cookie`" },
    async handle({ body: { username, password }, facts, headers, setHeader }) {
      // A page elsewhere must not log its visitor in as somebody else.
      if (headers["sec-fetch-site"] !== undefined || headers.origin !== undefined)
        requireSameOrigin(headers, facts.isSecure);
      const { requestId, address, isSecure } = facts;
      try {
        const issued = await identity.logIn({ username, password, address }, "console");
        parts.onLogin({ outcome: "granted", requestId, address, user: username });
        setHeader("set-cookie", writeSessionCookie(issued.sessionToken, issued.expiresInSeconds, isSecure));
      } catch (error) {
        parts.onLogin({ outcome: "refused", requestId, address, user: null });
        throw error;
      }
    },
  });

  const closeCookieSession = defineRoute({
    method: "delete",
    path: "/auth/session",
    access: "me",
    summary: "Log out and drop the cookie",
    answer: { status: 204, description: "Logged out" },
    async handle({ sessionToken, facts, setHeader }) {
      setHeader("set-cookie", clearSessionCookie(facts.isSecure));
      await identity.logOut(sessionToken);
    },
  });

  const showSetup = defineRoute({
    method: "get",
    path: "/auth/setup",
    access: "public",
    summary: "The page for the first administrator",
    details: "Opened by the link in the log; its secret stands after the `#`, which browsers do not send.",
    answer: {
      status: 200,
      description: "A page",
      schema: z.string(),
      contentType: "text/html; charset=utf-8",
      isConstant: true,
    },
    handle({ facts, setHeader }) {
      for (const [name, value] of Object.entries(setupPageHeaders)) setHeader(name, value);
      return renderSetupPage(facts.language);
    },
  });

  const setUp = defineRoute({
    method: "post",
    path: "/auth/setup",
    access: "public",
    summary: "Make the first administrator",
    details: "Works once, with the secret of the link in the log, while there is no administrator.",
    body: setupSchema,
    answer: { status: 201, description: "The administrator", schema: userSchema },
    async handle({ body: { setup_token: token, username, password }, facts: { address, requestId } }) {
      const actor = { name: username, via: "setup_link", address, requestId } as const;
      return toUserJson(await parts.setUp(token, { username, password }, actor));
    },
  });

  return [refresh, logOut, openCookieSession, closeCookieSession, showSetup, setUp];
}

/** Answered by the data plane's own login; here for the document alone. */
export const loginRoute = defineRoute({
  method: "post",
  path: "/auth/login",
  access: "public",
  summary: "Log in",
  details: "Refused logins are slowed. Errors have the shape of the chat API.",
  body: credentialsSchema,
  answer: { status: 200, description: "A session token", schema: tokenSchema },
  handle() {
    throw new Refusal("not_found");
  },
});
