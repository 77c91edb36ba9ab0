// What a reload would change, as lines for the log, and whether each change takes effect now or at the next start.
// Names and units are the file's; of secrets only that they changed.

import { relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { GateLimits } from "../admission/scheduler.ts";
import type { CallTimeouts } from "../deadline.ts";
import type { Account } from "../people/static-users.ts";
import type { ModelPrice } from "../quota/prices.ts";
import { diffKeys } from "./diff-keys.ts";
import { showValue } from "./masks.ts";
import type { Settings } from "./settings.ts";

export interface Change {
  /** `rate_limit.requests_per_second 2 -> 1` */
  readonly line: string;
  /** False: only the next start brings it. */
  readonly isLive: boolean;
}

interface ComparedKey {
  readonly name: string;
  readonly isLive: boolean;
  readonly isSecret?: true;
  /** In the file's unit. */
  read(settings: Settings): unknown;
}

const comparedKeys: readonly ComparedKey[] = [
  { name: "server.host", isLive: false, read: ({ server }) => server.host },
  { name: "server.port", isLive: false, read: ({ server }) => server.port },
  { name: "server.body_limit_bytes", isLive: true, read: ({ server }) => server.bodyBytesMax },
  { name: "server.upload_limit_bytes", isLive: true, read: ({ server }) => server.uploadBytesMax },
  { name: "server.shutdown_grace_seconds", isLive: true, read: ({ server }) => toSeconds(server.shutdownGraceMs) },
  { name: "server.write_stall_seconds", isLive: true, read: ({ server }) => toSeconds(server.writeStallMs) },
  { name: "server.connections_per_address", isLive: true, read: ({ server }) => server.connectionsPerAddress },
  { name: "server.trusted_proxies", isLive: true, read: ({ server }) => server.trustedProxies.join(", ") },
  { name: "server.allowed_hosts", isLive: true, read: ({ server }) => server.allowedHosts.join(", ") },
  { name: "server.heartbeat_seconds", isLive: true, read: ({ server }) => toSeconds(server.heartbeatMs) },
  { name: "server.heartbeat_grace_seconds", isLive: true, read: ({ server }) => toSeconds(server.heartbeatGraceMs) },
  { name: "server.heartbeat_style", isLive: true, read: ({ server }) => server.heartbeatStyle },
  { name: "auth.jwt_secret", isLive: false, isSecret: true, read: ({ auth }) => auth.jwtSecret },
  { name: "auth.token_ttl_seconds", isLive: true, read: ({ auth }) => auth.tokenTtlSeconds },
  { name: "auth.session_ttl_seconds", isLive: true, read: ({ auth }) => auth.sessionTtlSeconds },
  { name: "auth.console_idle_seconds", isLive: true, read: ({ auth }) => auth.consoleIdleSeconds },
  { name: "glm.timeout_seconds", isLive: true, read: ({ glm }) => toSeconds(glm.timeouts.totalMs) },
  { name: "glm.first_byte_timeout_seconds", isLive: true, read: ({ glm }) => toSeconds(glm.timeouts.firstByteMs) },
  { name: "glm.idle_timeout_seconds", isLive: true, read: ({ glm }) => toSeconds(glm.timeouts.idleMs) },
  { name: "glm.connect_timeout_seconds", isLive: false, read: ({ glm }) => toSeconds(glm.connectTimeoutMs) },
  { name: "glm.first_event_wait_seconds", isLive: true, read: ({ glm }) => toSeconds(glm.firstEventMs) },
  ...compareGate("rate_limit.", ({ rateLimit }) => (rateLimit.keys.length === 1 ? rateLimit.keys[0] : undefined)),
  ...compareGate("rate_limit.user_", ({ rateLimit }) => rateLimit.user),
  { name: "rate_limit.user_queue_capacity", isLive: true, read: ({ rateLimit }) => rateLimit.userQueueCapacity },
  { name: "rate_limit.queue_capacity", isLive: true, read: ({ rateLimit }) => rateLimit.queueCapacity },
  {
    name: "rate_limit.queue_timeout_seconds",
    isLive: true,
    read: ({ rateLimit }) => toSeconds(rateLimit.queueTimeoutMs),
  },
  { name: "rate_limit.send_guard_seconds", isLive: true, read: ({ rateLimit }) => toSeconds(rateLimit.sendGuardMs) },
  {
    name: "rate_limit.abort_linger_seconds",
    isLive: true,
    read: ({ rateLimit }) => toSeconds(rateLimit.abortLingerMs),
  },
  { name: "rate_limit.early_refusal", isLive: true, read: ({ rateLimit }) => rateLimit.refusesEarly },
  { name: "rate_limit.ietf_fields", isLive: true, read: ({ server }) => server.sendsIetfFields },
  { name: "metrics.user_labels", isLive: true, read: ({ metrics }) => metrics.userLabelsMax },
  { name: "store.url", isLive: false, isSecret: true, read: nameStore },
  { name: "ledger.on_failure", isLive: false, read: ({ ledger }) => (ledger.isStrict ? "strict" : "lenient") },
  { name: "ledger.retention_days", isLive: true, read: ({ ledger }) => ledger.retentionDays },
  { name: "ledger.content", isLive: true, read: ({ ledger }) => (ledger.storesContent ? "keys" : "never") },
  { name: "ledger.content_retention_days", isLive: true, read: ({ ledger }) => ledger.contentRetentionDays },
  { name: "ledger.spool_limit_bytes", isLive: false, read: ({ ledger }) => ledger.spoolBytesMax },
  { name: "quotas.time_zone", isLive: false, read: ({ quotas }) => quotas.timeZone },
  { name: "quotas.assumed_output_tokens", isLive: true, read: ({ quotas }) => quotas.assumedOutputTokens },
  { name: "prices.currency", isLive: true, read: ({ prices }) => prices.currency },
  { name: "prices.models", isLive: true, read: ({ prices }) => prices.models.map(describePrice).join("; ") },
  { name: "cache.enabled", isLive: true, read: ({ cache }) => cache.isEnabled },
  { name: "cache.max_bytes", isLive: true, read: ({ cache }) => cache.bytesMax },
  { name: "cache.ttl_seconds", isLive: true, read: ({ cache }) => toSeconds(cache.ttlMs) },
  { name: "cache.entry_max_bytes", isLive: true, read: ({ cache }) => cache.entryBytesMax },
  { name: "cache.models", isLive: true, read: ({ cache }) => cache.models.join(", ") },
  { name: "log.level", isLive: true, read: ({ log }) => log.level },
];

export function diffSettings(before: Settings, after: Settings): readonly Change[] {
  return [
    ...comparedKeys.flatMap((key) => compareKey(key, before, after)),
    ...diffKeys(before, after).map((line) => ({ line, isLive: true })),
    ...compareNamed("rate_limit.families", describeFamilies(before), describeFamilies(after)),
    ...compareUsers(before.auth.users, after.auth.users),
    ...compareNamed("glm.models", describeModels(before), describeModels(after)),
    ...compareOrder(before, after),
    ...compareNamed("glm.aliases", before.glm.aliases, after.glm.aliases),
    ...compareNamed("glm.fallbacks", describeFallbacks(before), describeFallbacks(after)),
  ];
}

function compareGate(start: string, gateOf: (settings: Settings) => GateLimits | undefined): ComparedKey[] {
  return [
    { name: `${start}requests_per_second`, isLive: true, read: (settings) => gateOf(settings)?.startsPerSecond },
    { name: `${start}max_concurrency`, isLive: true, read: (settings) => gateOf(settings)?.concurrencyMax },
    { name: `${start}tokens_per_minute`, isLive: true, read: (settings) => gateOf(settings)?.tokensPerMinute },
  ];
}

function compareKey(key: ComparedKey, before: Settings, after: Settings): Change[] {
  const [from, to] = [key.read(before), key.read(after)];
  if (from === to) return [];
  const change = key.isSecret ? "changed" : `${show(from)} -> ${show(to)}`;
  return [{ line: `${key.name} ${change}`, isLive: key.isLive }];
}

function compareUsers(before: readonly Account[], after: readonly Account[]): Change[] {
  const [from, to] = [byName(before), byName(after)];
  return listNames(from, to).flatMap((name) => {
    const [old, next] = [from.get(name), to.get(name)];
    if (isDeepStrictEqual(old, next)) return [];
    const verb = !old ? "added" : !next ? "removed" : `changed (${listChangedFields(old, next)})`;
    return [{ line: `auth.users ${show(name)} ${verb}`, isLive: true }];
  });
}

function listChangedFields(old: Account, next: Account): string {
  const fields: string[] = [];
  if (old.role !== next.role) fields.push(`role ${old.role} -> ${next.role}`);
  if (old.weight !== next.weight) fields.push(`weight ${old.weight} -> ${next.weight}`);
  if (old.group !== next.group) fields.push(`group ${show(old.group)} -> ${show(next.group)}`);
  if (old.class !== next.class) fields.push(`class ${old.class} -> ${next.class}`);
  if (old.password !== next.password || old.passwordHash !== next.passwordHash) fields.push("password");
  return fields.join(", ");
}

function compareNamed(
  title: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Change[] {
  return listNames(before, after).flatMap((name) => {
    const [from, to] = [before.get(name), after.get(name)];
    if (from === to) return [];
    const change = from === undefined ? `added: ${to}` : to === undefined ? "removed" : `${from} -> ${to}`;
    return [{ line: `${title} ${show(name)} ${change}`, isLive: true }];
  });
}

/** The first matching rule wins, so the order alone can change what a call gets. */
function compareOrder(before: Settings, after: Settings): Change[] {
  const isReordered = [listTimed, listLimited].some((list) => {
    const [from, to] = [list(before), list(after)];
    return !isDeepStrictEqual(from, to) && isDeepStrictEqual(from.toSorted(), to.toSorted());
  });
  return isReordered ? [{ line: "glm.models in another order", isLive: true }] : [];
}

function listTimed({ glm }: Settings): string[] {
  return glm.models.map(({ pattern }) => pattern);
}

function listLimited({ rateLimit }: Settings): string[] {
  return rateLimit.models.map(({ pattern }) => pattern);
}

function describeModels({ glm, rateLimit }: Settings): Map<string, string> {
  const parts = new Map<string, string[]>();
  for (const { pattern, timeouts } of glm.models) parts.set(pattern, describeTimeouts(timeouts));
  for (const { pattern, ...gate } of rateLimit.models) {
    parts.set(pattern, [...(parts.get(pattern) ?? []), ...describeGate(gate)]);
  }
  return new Map(Array.from(parts, ([pattern, set]) => [pattern, set.join(", ")]));
}

function describeTimeouts({ totalMs, firstByteMs, idleMs }: Partial<CallTimeouts>): string[] {
  const parts = Object.entries({ timeout: totalMs, first_byte: firstByteMs, idle: idleMs });
  return parts.filter(([, ms]) => ms !== undefined).map(([name, ms]) => `${name} ${toSeconds(ms ?? null)} s`);
}

function describeGate({ startsPerSecond, concurrencyMax, tokensPerMinute }: GateLimits): string[] {
  return [
    ...(startsPerSecond === null ? [] : [`${startsPerSecond} a second`]),
    ...(concurrencyMax === null ? [] : [`${concurrencyMax} at once`]),
    ...(tokensPerMinute === null ? [] : [`${tokensPerMinute} tokens a minute`]),
  ];
}

function describeFamilies({ rateLimit }: Settings): Map<string, string> {
  return new Map(
    (rateLimit.families ?? []).map(({ family, startsPerSecond, concurrencyMax }) => [
      family,
      describeGate({ startsPerSecond, concurrencyMax, tokensPerMinute: null }).join(", "),
    ]),
  );
}

function describeFallbacks({ glm }: Settings): Map<string, string> {
  return new Map(Array.from(glm.fallbacks, ([model, list]) => [model, list.join(", ")]));
}

function nameStore({ store, dataFolder }: Settings): string {
  return store.kind === "postgres" ? store.url : relative(dataFolder, store.file);
}

function describePrice({ pattern, input, output, cachedInput }: ModelPrice): string {
  return `${pattern} ${input}/${output}${cachedInput === null ? "" : ` (cached ${cachedInput})`}`;
}

function byName(users: readonly Account[]): Map<string, Account> {
  return new Map(users.map((user) => [user.username, user]));
}

function listNames(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])];
}

function show(value: unknown): string {
  return showValue(value, "open");
}

function toSeconds(ms: number): number;
function toSeconds(ms: number | null): number | null;
function toSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000;
}
