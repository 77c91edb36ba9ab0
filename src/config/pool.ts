// The pool of upstream keys from the file's tables: what each key is for, where it is good, and what it bears. What a
// key does not say itself is said by [glm] and [rate_limit]; what it says of its account counts for all keys of it.

import type { GateLimits, KeyLimits } from "../admission/scheduler.ts";
import type { ConfigContent } from "./schema.ts";
import type { UpstreamSettings } from "./settings.ts";
import { isNone } from "./text-rules.ts";

type Glm = ConfigContent["glm"];
type Entry = Glm["keys"][number];
export const limitNames = ["requests_per_second", "max_concurrency", "tokens_per_minute"] as const;
type Limits = Pick<Entry, (typeof limitNames)[number]>;

const glmApiPath = /\/api\/(?:coding\/)?paas\/v4$/;

/** One for each key. A pool of one is as [glm] says, where its key's own words have been put already. */
export function toUpstreams(glm: Glm): UpstreamSettings[] {
  const [first, ...others] = glm.keys;
  if (others.length > 0) return glm.keys.map((entry) => toUpstream(entry, glm));
  const baseUrl = dropSlashes(glm.base_url);
  const kind = first?.kind ?? "glm";
  const anthropicBaseUrl = toAnthropic(glm.anthropic_base_url, baseUrl, kind);
  return [{ name: first?.name ?? "default", kind, apiKey: glm.api_key ?? null, baseUrl, anthropicBaseUrl }];
}

function toUpstream(entry: Entry, glm: Glm): UpstreamSettings {
  const { name, kind } = entry;
  const isGlm = kind === "glm";
  const baseUrl = dropSlashes(entry.base_url ?? glm.base_url);
  // A key that goes elsewhere must not be told to the general key's Anthropic host.
  const general = isGlm && entry.base_url === undefined ? glm.anthropic_base_url : undefined;
  return {
    name,
    kind,
    // Nor is the general key any business of another server's.
    apiKey: entry.api_key ?? (isGlm ? glm.api_key : undefined) ?? null,
    baseUrl,
    anthropicBaseUrl: toAnthropic(entry.anthropic_base_url ?? general, baseUrl, kind),
  };
}

function toAnthropic(stated: string | undefined, baseUrl: string, kind: Entry["kind"]): string | null {
  if (stated !== undefined) return isNone(stated) ? null : dropSlashes(stated);
  return kind === "glm" && glmApiPath.test(baseUrl) ? baseUrl.replace(glmApiPath, "/api/anthropic") : null;
}

export function toKeyLimits(glm: Glm, general: Limits): KeyLimits[] {
  const { keys } = glm;
  if (keys.length <= 1) return [{ ...toOptions(keys[0]), ...toGate(general) }];
  return keys.map((entry) => ({ ...toOptions(entry), ...toGate(findLimits(entry, keys, general)) }));
}

/** What is said only where it says something. */
function toOptions(entry: Entry | undefined): Pick<KeyLimits, "name" | "models" | "account" | "weight" | "kind"> {
  const { name = "default", models = null, account, weight = 1, kind = "glm" } = entry ?? {};
  return {
    name,
    models,
    ...(account !== undefined && { account }),
    ...(weight !== 1 && { weight }),
    ...(kind !== "glm" && { kind }),
  };
}

function findLimits(entry: Entry, keys: readonly Entry[], general: Limits): Limits {
  const siblings = keys.filter((other) => accountOf(other) === accountOf(entry));
  const find = (limit: (typeof limitNames)[number]) =>
    siblings.map((sibling) => sibling[limit]).find((value) => value !== undefined) ?? general[limit];
  return {
    requests_per_second: find("requests_per_second"),
    max_concurrency: find("max_concurrency"),
    tokens_per_minute: find("tokens_per_minute"),
  };
}

/** A key without an account is an account of its own name, which other keys may name as theirs. */
function accountOf({ account, name }: Pick<Entry, "account" | "name">): string {
  return account ?? name;
}

export function toGate(limits: Partial<Limits>): GateLimits {
  return {
    startsPerSecond: limits.requests_per_second ?? null,
    concurrencyMax: limits.max_concurrency ?? null,
    tokensPerMinute: limits.tokens_per_minute ?? null,
  };
}

function dropSlashes(url: string): string {
  return url.replace(/\/+$/, "");
}
