// A pool of one upstream key: what it says itself takes the place of the general key and limits, unless those were
// written in a layer of higher rank. Larger pools are not served yet.

import { type Origin, type Origins, outranks } from "./origins.ts";
import { formatPath, type Path } from "./paths.ts";
import type { ConfigContent } from "./schema.ts";

export interface PooledContent {
  readonly content: ConfigContent;
  /** Origins of the values that the pool's key replaced, by `section.key`. */
  readonly replaced: ReadonlyMap<string, Origin>;
}

export function applyPoolOfOne(content: ConfigContent, origins: Origins): PooledContent {
  const replaced = new Map<string, Origin>();
  const { glm, rate_limit: limits } = content;
  const entry = glm.keys[0];
  if (!entry) return { content, replaced };

  function prefer<Value>(own: Value | undefined, ownName: string, general: Value, generalPath: Path): Value {
    const ownOrigin = origins.find(["glm", "keys", 0, ownName]);
    if (own === undefined || outranks(origins.find(generalPath), ownOrigin)) return general;
    replaced.set(formatPath(generalPath), ownOrigin);
    return own;
  }

  const pooled: ConfigContent = {
    ...content,
    glm: { ...glm, api_key: prefer(entry.api_key, "api_key", glm.api_key, ["glm", "api_key"]) },
    rate_limit: {
      ...limits,
      requests_per_second: prefer(entry.requests_per_second, "requests_per_second", limits.requests_per_second, [
        "rate_limit",
        "requests_per_second",
      ]),
      max_concurrency: prefer(entry.max_concurrency, "max_concurrency", limits.max_concurrency, [
        "rate_limit",
        "max_concurrency",
      ]),
      tokens_per_minute: prefer(entry.tokens_per_minute, "tokens_per_minute", limits.tokens_per_minute, [
        "rate_limit",
        "tokens_per_minute",
      ]),
    },
  };
  return { content: pooled, replaced };
}
