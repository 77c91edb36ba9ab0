// Requests and what their answers mean for a command: JSON of the shape that was asked for, or a CommandError in words.

import { CommandError } from "../command-error.ts";
import { exitCodes } from "../world.ts";
import type { AdminClient, Answer, Method } from "./admin-client.ts";
import type { ListJson, ProblemJson } from "./wire.ts";

/** `purpose` completes "Cannot …". */
export async function ask<Json>(
  client: AdminClient,
  purpose: string,
  method: Method,
  path: string,
  body?: object,
): Promise<Json> {
  const answer = await client.request(method, path, body);
  if (answer.status >= 400 || answer.status < 200) throw toError(client, purpose, answer);
  if (answer.status !== 204 && (typeof answer.json !== "object" || answer.json === null)) {
    throw noGateway(client, answer.status);
  }
  return answer.json as Json;
}

const pageSize = 200;

/** All items of a list, page after page, up to `countMax`. */
export async function askAll<Item>(
  client: AdminClient,
  purpose: string,
  path: string,
  countMax = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const page: Record<string, string> = {
      limit: String(Math.min(pageSize, countMax - items.length)),
      ...(cursor !== null && { cursor }),
    };
    const list: ListJson<Item> = await ask(client, purpose, "GET", withQuery(path, page));
    if (!Array.isArray(list.data)) throw noGateway(client, 200);
    items.push(...list.data);
    cursor = list.next_cursor;
  } while (cursor !== null && items.length < countMax);
  return items;
}

/** Undefined values are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  if (given.length === 0) return path;
  return `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(given).toString()}`;
}

/** A path whose parameter may hold anything. */
export function pathOf(start: string, parameter: string, end = ""): string {
  return `${start}/${encodeURIComponent(parameter)}${end}`;
}

function toError(client: AdminClient, purpose: string, { status, json }: Answer): CommandError {
  const { detail, code, request_id: id } = (json ?? {}) as Partial<ProblemJson>;
  if (typeof code !== "string" || typeof detail !== "string") return noGateway(client, status);
  switch (code) {
    case "invalid_token":
    case "token_expired":
      return new CommandError(`Cannot ${purpose}: the server does not accept the key.`, {
        advice: "It may be mistyped, expired or revoked: set GLM_PROXY_KEY to another one.",
      });
    case "forbidden":
      return new CommandError(`Cannot ${purpose}: the key may not do this.`, {
        advice:
          "It needs scope admin, and an owner who is an administrator: `glm-proxy key add --scope admin` makes one.",
      });
    case "read_only_object":
      return new CommandError(`Cannot ${purpose}: it comes from the configuration file.`, {
        advice: "Change it there; the running gateway takes it over at once.",
      });
    case "store_unavailable":
    case "shutting_down":
      return new CommandError(`Cannot ${purpose}: ${detail}`, { exitCode: exitCodes.unavailable });
    case "internal_error":
      return new CommandError(`Cannot ${purpose}: ${detail}`, {
        advice: `The server's log says why, at request_id ${id ?? "unknown"}.`,
      });
    default:
      return new CommandError(`Cannot ${purpose}: ${withoutRefrain(detail)}`);
  }
}

/** "Cannot find it: there is no user ada." after "Cannot show the user: " would say it twice. */
function withoutRefrain(detail: string): string {
  const because = /^Cannot (?:find it|do this now|accept "[^"]*"): (.+)$/s.exec(detail)?.[1];
  const field = /^Cannot accept "([^"]*)"/.exec(detail)?.[1];
  if (because === undefined) return detail;
  return field === undefined ? because : `${field}: ${because}`;
}

function noGateway({ url }: AdminClient, status: number): CommandError {
  return url === null
    ? new CommandError(`Cannot understand the server, which answers ${status}: it is of another version.`, {
        advice: "Restart it, so that it runs what is installed.",
      })
    : new CommandError(
        `Cannot understand the server at ${url}, which answers ${status}: is that the gateway's base URL?`,
      );
}
