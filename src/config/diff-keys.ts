// What a reload changes in the pool of upstream keys, as lines for the log. Of a key itself only that it is another one.

import { isDeepStrictEqual } from "node:util";
import type { KeyLimits } from "../admission/scheduler.ts";
import { showValue } from "./masks.ts";
import type { Settings, UpstreamSettings } from "./settings.ts";

/** Everything that is said of one key. */
interface PooledKey {
  readonly upstream: UpstreamSettings;
  readonly limits: KeyLimits | undefined;
}

export function diffKeys(before: Settings, after: Settings): string[] {
  const [from, to] = [byName(before), byName(after)];
  const isPoolOfOne = from.size === 1 && to.size === 1;
  const names = [...new Set([...from.keys(), ...to.keys()])];
  const lines = names.flatMap((name) => {
    const [old, next] = [from.get(name), to.get(name)];
    const title = `glm.keys ${JSON.stringify(name)}`;
    if (!old) return [`${title} added (${next ? describeKey(next) : ""})`];
    if (!next) return [`${title} removed`];
    const changes = listChanges(old, next, isPoolOfOne);
    return changes.length === 0 ? [] : [`${title} changed (${changes.join(", ")})`];
  });
  const kept = (list: ReadonlyMap<string, PooledKey>) =>
    [...list.keys()].filter((name) => from.has(name) && to.has(name));
  // Of keys with the same room the first is taken.
  return isDeepStrictEqual(kept(from), kept(to)) ? lines : [...lines, "glm.keys in another order"];
}

function byName({ glm, rateLimit }: Settings): Map<string, PooledKey> {
  return new Map(
    glm.upstreams.map((upstream) => [
      upstream.name,
      { upstream, limits: rateLimit.keys.find(({ name }) => name === upstream.name) },
    ]),
  );
}

function describeKey({ upstream, limits }: PooledKey): string {
  const parts = [
    upstream.kind,
    ...(limits?.account === undefined ? [] : [`account ${show(limits.account)}`]),
    ...(limits?.startsPerSecond == null ? [] : [`${limits.startsPerSecond} a second`]),
    ...(limits?.concurrencyMax == null ? [] : [`${limits.concurrencyMax} at once`]),
    ...(limits?.tokensPerMinute == null ? [] : [`${limits.tokensPerMinute} tokens a minute`]),
    ...(limits?.models == null ? [] : [`models ${limits.models.join(" ")}`]),
  ];
  return parts.join(", ");
}

function listChanges(old: PooledKey, next: PooledKey, isPoolOfOne: boolean): string[] {
  const read = ({ upstream, limits }: PooledKey) => ({
    kind: upstream.kind,
    base_url: upstream.baseUrl,
    anthropic_base_url: upstream.anthropicBaseUrl,
    account: limits?.account,
    weight: limits?.weight ?? 1,
    // A pool of one has the limits of [rate_limit], which are told there.
    ...(isPoolOfOne
      ? {}
      : {
          requests_per_second: limits?.startsPerSecond,
          max_concurrency: limits?.concurrencyMax,
          tokens_per_minute: limits?.tokensPerMinute,
        }),
    models: limits?.models?.join(" "),
  });
  const [from, to] = [Object.entries(read(old)), new Map<string, unknown>(Object.entries(read(next)))];
  const changes = from
    .filter(([name, value]) => value !== to.get(name))
    .map(([name, value]) => `${name} ${show(value)} -> ${show(to.get(name))}`);
  return old.upstream.apiKey === next.upstream.apiKey ? changes : ["api_key", ...changes];
}

function show(value: unknown): string {
  return showValue(value, "open");
}
