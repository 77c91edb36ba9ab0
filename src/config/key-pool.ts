// A pool of one upstream key: what it says itself takes the place of the general key, addresses and limits, unless those
// were written in a layer of higher rank. In larger pools each key speaks for itself; see pool.ts.

import { type Origin, type Origins, outranks } from "./origins.ts";
import { formatPath } from "./paths.ts";
import { limitNames } from "./pool.ts";
import type { ConfigContent } from "./schema.ts";

type Entry = ConfigContent["glm"]["keys"][number];

export interface PooledContent {
  readonly content: ConfigContent;
  /** Origins of the values that the pool's key replaced, by `section.key`. */
  readonly replaced: ReadonlyMap<string, Origin>;
}

export function applyPoolOfOne(content: ConfigContent, origins: Origins): PooledContent {
  const replaced = new Map<string, Origin>();
  const { glm, rate_limit: limits } = content;
  const [entry, ...others] = glm.keys;
  if (!entry || others.length > 0) return { content, replaced };
  /** Another server than GLM has nothing to do with what is said of GLM. */
  const isAlone = entry.kind !== "glm";

  function prefer<Name extends keyof Entry & string>(
    name: Name,
    general: Entry[Name],
    section: "glm" | "rate_limit" = "glm",
  ): Entry[Name] {
    const own = (entry as Entry)[name];
    const ownOrigin = origins.find(["glm", "keys", 0, name]);
    const isOutranked = !isAlone && outranks(origins.find([section, name]), ownOrigin);
    if (own === undefined || isOutranked) return section === "glm" && isAlone ? own : general;
    replaced.set(formatPath([section, name]), ownOrigin);
    return own;
  }

  const baseUrl = prefer("base_url", glm.base_url) ?? glm.base_url;
  const anthropic = baseUrl === glm.base_url ? glm.anthropic_base_url : undefined;
  const pooled: ConfigContent = {
    ...content,
    glm: {
      ...glm,
      api_key: prefer("api_key", glm.api_key),
      base_url: baseUrl,
      anthropic_base_url: prefer("anthropic_base_url", anthropic),
    },
    rate_limit: {
      ...limits,
      ...Object.fromEntries(limitNames.map((name) => [name, prefer(name, limits[name], "rate_limit")])),
    },
  };
  return { content: pooled, replaced };
}
