// Which endpoint a path leads to, and in which dialect it answers. An endpoint may be there under several bases.

import type { IncomingHttpHeaders } from "node:http";
import {
  type OpenDialect,
  openAgentsDialect,
  openAiDialect,
  openAnthropicDialect,
  openGlmDialect,
  openMonitorDialect,
} from "./dialects.ts";
import { agentEndpoints, assistantEndpoints } from "./endpoints/agents.ts";
import { audioEndpoints } from "./endpoints/audio.ts";
import { batchEndpoints } from "./endpoints/batches.ts";
import { chatEndpoints } from "./endpoints/chat.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import { fileEndpoints } from "./endpoints/files.ts";
import { legacyEndpoints } from "./endpoints/legacy.ts";
import { countTokensEndpoint, messagesEndpoint } from "./endpoints/messages.ts";
import { modelEndpoints } from "./endpoints/models.ts";
import { monitorEndpoints, subscriptionEndpoints } from "./endpoints/monitor.ts";
import { openAiEndpoints } from "./endpoints/open-ai.ts";
import { searchEndpoints } from "./endpoints/search.ts";
import { taskEndpoints } from "./endpoints/tasks.ts";
import { textEndpoints } from "./endpoints/text.ts";

export interface Surface {
  /** Paths of its endpoints begin with one of them. */
  readonly bases: readonly string[];
  readonly openDialect: OpenDialect;
  readonly endpoints: readonly Endpoint[];
  /** The key may come as `x-api-key`. */
  readonly takesKeyHeader?: true;
}

export interface Route {
  readonly surface: Surface;
  /** Null: the surface has no such thing. */
  readonly endpoint: Endpoint | null;
  /** What stands in the path for each `*`. */
  readonly ids: readonly string[];
}

const glmBasePath = "/api/paas/v4";
export const anthropicBasePath = "/api/anthropic";

const glmEndpoints = [
  ...chatEndpoints,
  ...modelEndpoints,
  ...textEndpoints,
  ...taskEndpoints,
  ...audioEndpoints,
  ...searchEndpoints,
  ...fileEndpoints,
  ...batchEndpoints,
  ...legacyEndpoints,
  ...assistantEndpoints,
];

/** The first one is the main one, and so is its first base. */
export function toSurfaces(flavour: "glm" | "openai", countsTokens: boolean): readonly Surface[] {
  if (flavour === "openai") return [{ bases: ["/v1"], openDialect: openAiDialect, endpoints: openAiEndpoints }];
  return [
    {
      bases: [glmBasePath, "/api/coding/paas/v4"],
      openDialect: openGlmDialect,
      endpoints: glmEndpoints,
    },
    {
      bases: [anthropicBasePath],
      takesKeyHeader: true,
      openDialect: openAnthropicDialect,
      endpoints: [messagesEndpoint, ...(countsTokens ? [countTokensEndpoint] : [])],
    },
    { bases: ["/api/v1"], openDialect: openAgentsDialect, endpoints: agentEndpoints },
    { bases: ["/api/monitor"], openDialect: openMonitorDialect, endpoints: monitorEndpoints },
    { bases: ["/api/biz"], openDialect: openMonitorDialect, endpoints: subscriptionEndpoints },
  ];
}

const nowhere: Surface = { bases: [], openDialect: openGlmDialect, endpoints: [] };

export function findRoute(surfaces: readonly Surface[], method: string, path: string): Route {
  const found = surfaces.flatMap((surface) =>
    surface.bases.filter((base) => path.startsWith(`${base}/`)).map((base) => ({ surface, base })),
  );
  for (const { surface, base } of found) {
    const segments = path.slice(base.length).split("/");
    for (const endpoint of surface.endpoints) {
      const ids = endpoint.method === method ? matchPath(endpoint.path.split("/"), segments) : null;
      if (ids) return { surface, endpoint, ids };
    }
  }
  return { surface: found[0]?.surface ?? nowhere, endpoint: null, ids: [] };
}

/** Null: it is another path. */
function matchPath(pattern: readonly string[], segments: readonly string[]): readonly string[] | null {
  const isSame = pattern.every((part, index) => part === segments[index] || (part === "*" && segments[index] !== ""));
  if (pattern.length !== segments.length || !isSame) return null;
  return segments.filter((_, index) => pattern[index] === "*").map(decode);
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The credential as it came. */
export function readCredential(headers: IncomingHttpHeaders, { takesKeyHeader }: Surface): string | undefined {
  const key = takesKeyHeader ? headers["x-api-key"] : undefined;
  return headers.authorization ?? (Array.isArray(key) ? key[0] : key);
}
