// The OpenAPI document, made of the same definitions that the routes are made of.

import { OpenAPIHono, z } from "@hono/zod-openapi";
import { problemType } from "./problem.ts";
import type { Access, Route } from "./route.ts";

const problemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:glm-proxy:unknown_object" }),
    title: z.string().openapi({ example: "Not Found" }),
    status: z.int().openapi({ example: 404 }),
    detail: z.string().openapi({ description: "In English or Chinese, by `accept-language`" }),
    code: z.string().openapi({ example: "unknown_object", description: "Stable: switch on this" }),
    request_id: z.string(),
    param: z.string().optional().openapi({ description: "The field at fault" }),
  })
  .openapi("Problem", { description: "RFC 9457" });

const accessNotes: Record<Access, string> = {
  public: "For anybody.",
  me: "For every user.",
  admin: "For administrators.",
  operator: "Over the local socket only.",
};

const description = `Self-service and administration of the gateway.

Authenticate with \`Authorization: Bearer …\` (a session token or an API key), with \`x-api-key\`, or with the session cookie.
With the cookie, whatever changes something needs the header \`x-glm-proxy-csrf: 1\`.
Lists come in pages: \`?limit=\` and \`?cursor=\`. Errors are RFC 9457 problems with a stable \`code\`.`;

export function describeApi(routes: readonly Route[], version: string): object {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  registry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "A session token of `POST /auth/login`, or an API key",
  });
  registry.registerComponent("securitySchemes", "apiKey", { type: "apiKey", in: "header", name: "x-api-key" });
  registry.registerComponent("securitySchemes", "cookie", {
    type: "apiKey",
    in: "cookie",
    name: "glm_proxy_session",
    description: "`__Host-glm_proxy_session` over TLS",
  });
  for (const route of routes) registry.registerPath(toPath(route));
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "glm-proxy", version, description },
    servers: [{ url: "/" }],
  });
}

type PathConfig = Parameters<OpenAPIHono["openAPIRegistry"]["registerPath"]>[0];

function toPath(route: Route): PathConfig {
  const { access, answer, params, query, body } = route;
  const needs = [
    accessNotes[access],
    route.isForCallsKeys ? 'API keys of scope "calls" will do.' : null,
    route.details,
  ];
  return {
    method: route.method,
    path: route.path,
    summary: route.summary,
    description: needs.filter((note) => note !== null).join(" "),
    tags: [tagOf(route.path)],
    operationId: operationIdOf(route),
    security: access === "me" || access === "admin" ? [{ bearer: [] }, { apiKey: [] }, { cookie: [] }] : [],
    request: {
      ...(params && { params }),
      ...(query && { query }),
      ...(body && { body: { required: true, content: { "application/json": { schema: body } } } }),
    },
    responses: {
      [answer.status]: {
        description: answer.description,
        ...(answer.schema && { content: { [mediaTypeOf(answer.contentType)]: { schema: answer.schema } } }),
      },
      default: { description: "Refused", content: { [mediaTypeOf(problemType)]: { schema: problemSchema } } },
    },
  };
}

function mediaTypeOf(contentType = "application/json"): string {
  return contentType.split(";", 1)[0] as string;
}

/** "users" of /admin/users/{name}, "keys" of /me/keys, "sessions" of /auth/…. */
function tagOf(path: string): string {
  const [first = "", second] = path.split("/").filter(Boolean);
  if (first === "auth") return "sessions";
  if (first === "admin") return second ?? first;
  return first === "me" ? "me" : "documents";
}

/** get /admin/users/{name} is get_admin_users_name. */
function operationIdOf({ method, path }: Route): string {
  return [method, ...path.split(/[/{}.]+/).filter(Boolean)].join("_");
}
