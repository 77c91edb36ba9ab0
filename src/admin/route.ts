// What a route of the control plane is: one definition with its access, its schemas and its work, from which routing,
// authorisation, validation, types and the OpenAPI document are made. One without an access does not compile.

import type { IncomingHttpHeaders } from "node:http";
import { z } from "@hono/zod-openapi";
import type { Caller } from "../base/principal.ts";
import type { ControlFacts } from "../http/control.ts";
import type { Actor } from "../people/people.ts";
import type { EventStream } from "./event-stream.ts";
import { parseFields } from "./fields.ts";

/**
 * public: anybody · me: whoever is logged in or has an API key, for what is their own · admin: administrators ·
 * operator: whoever runs this machine, over the local socket
 */
export type Access = "public" | "me" | "admin" | "operator";

export type Method = "get" | "post" | "patch" | "delete";

/** What a handler is given. Everything in it is validated. */
export interface Exchange<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly facts: ControlFacts;
  readonly headers: IncomingHttpHeaders;
  /** The session token that it came with, in a header or a cookie; null: an API key, or nothing. */
  readonly sessionToken: string | null;
  setHeader(name: string, value: string): void;
  /** Answers with a stream instead; what the handler returns is of no account then. */
  openStream(): EventStream;
  /** Whether the visitor may still do what it may do now. For answers that take long. */
  isStillAllowed(): Promise<boolean>;
}

/** Who visits, by the route's access. */
interface Visitors {
  public: unknown;
  me: { readonly caller: Caller; readonly actor: Actor };
  admin: { readonly actor: Actor };
  operator: { readonly actor: Actor };
}

export interface RouteDefinition<
  Level extends Access,
  Params extends z.ZodObject,
  Query extends z.ZodObject,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> {
  readonly method: Method;
  /** With parameters in braces. */
  readonly path: `/${string}`;
  readonly access: Level;
  /** Whether an API key of scope "calls" will do. Default: no. */
  readonly isForCallsKeys?: boolean;
  /** One line. */
  readonly summary: string;
  readonly details?: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly answer: AnswerDefinition<Answer>;
  handle(
    exchange: Exchange<z.output<Params>, z.output<Query>, z.output<Body>> & Visitors[Level],
  ): Promise<z.input<Answer>> | z.input<Answer>;
}

export interface AnswerDefinition<Answer extends z.ZodType> {
  readonly status: 200 | 201 | 204;
  readonly description: string;
  /** Left out for 204. */
  readonly schema?: Answer;
  /** Default: JSON. */
  readonly contentType?: string;
  /** It is the same object, or one of a few texts, each time: made into bytes once. Default: no. */
  readonly isConstant?: boolean;
}

/** A route as the rest of the control plane sees it, its types behind it. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly access: Access;
  readonly isForCallsKeys: boolean;
  readonly summary: string;
  readonly details: string | null;
  readonly params: z.ZodObject | null;
  readonly query: z.ZodObject | null;
  readonly body: z.ZodType | null;
  readonly answer: AnswerDefinition<z.ZodType>;
  /** Validates and works. Throws a Refusal. `visitor` must be what the access asks for. */
  serve(input: RouteInput): Promise<unknown>;
}

export interface RouteInput extends Omit<Exchange<unknown, unknown, unknown>, "body"> {
  readonly caller: Caller | null;
  readonly actor: Actor | null;
  /** The body as JSON. Asked by routes that have one. */
  readBody(): Promise<unknown>;
}

const nothing = z.strictObject({});
type Nothing = typeof nothing;

export function defineRoute<
  const Level extends Access,
  Params extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = z.ZodUndefined,
  Answer extends z.ZodType = z.ZodVoid,
>(definition: RouteDefinition<Level, Params, Query, Body, Answer>): Route {
  const { method, path, access, params, query, body, answer } = definition;
  return {
    method,
    path,
    access,
    isForCallsKeys: definition.isForCallsKeys ?? false,
    summary: definition.summary,
    details: definition.details ?? null,
    params: params ?? null,
    query: query ?? null,
    body: body ?? null,
    answer,
    async serve(input) {
      const { caller, actor } = input;
      if ((access === "me" && caller === null) || (access !== "public" && actor === null)) {
        throw new Error(`${method} ${path} was let through without a visitor`);
      }
      const exchange = {
        ...input,
        params: parseFields(params ?? nothing, input.params, "path"),
        query: parseFields(query ?? nothing, input.query, "query"),
        body: body ? parseFields(body, await input.readBody(), "body") : undefined,
      };
      // The access was checked above; which visitor it brings is a matter of types that TypeScript can't follow here.
      return definition.handle(exchange as unknown as Parameters<typeof definition.handle>[0]);
    },
  };
}
