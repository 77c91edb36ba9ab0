// The API's own description: as OpenAPI, and as a page that shows it.

import { z } from "@hono/zod-openapi";
import { docsPageHeaders, renderDocsPage } from "./docs-page.ts";
import { describeApi } from "./openapi.ts";
import { defineRoute, type Route } from "./route.ts";
import { loginRoute } from "./session-routes.ts";

/** `routes`: all others. */
export function createDocumentRoutes(routes: readonly Route[], version: string): readonly Route[] {
  // Made when it is first asked for: most processes never are.
  let document: Record<string, unknown> | null = null;

  const own: readonly Route[] = [
    defineRoute({
      method: "get",
      path: "/openapi.json",
      access: "public",
      summary: "This API as an OpenAPI document",
      answer: {
        status: 200,
        description: "OpenAPI 3.1",
        schema: z.record(z.string(), z.unknown()),
        isConstant: true,
      },
      handle() {
        document ??= { ...describeApi([loginRoute, ...routes, ...own], version) };
        return document;
      },
    }),
    defineRoute({
      method: "get",
      path: "/docs",
      access: "public",
      summary: "This API as a page to read",
      answer: {
        status: 200,
        description: "A page",
        schema: z.string(),
        contentType: "text/html; charset=utf-8",
        isConstant: true,
      },
      handle({ facts, setHeader }) {
        for (const [name, value] of Object.entries(docsPageHeaders)) setHeader(name, value);
        return renderDocsPage(facts.language);
      },
    }),
  ];
  return own;
}
