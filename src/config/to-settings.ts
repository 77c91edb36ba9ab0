// From the file's names and units to the program's: seconds become milliseconds, missing limits become null.

import { resolve } from "node:path";
import type { AdmissionLimits, FamilyLimits, ModelLimits } from "../admission/scheduler.ts";
import type { CallTimeouts } from "../deadline.ts";
import type { Account } from "../people/static-users.ts";
import type { ModelPrice } from "../quota/prices.ts";
import type { ModelRule } from "../rules.ts";
import type { StoreTarget } from "../store/store.ts";
import type { ProxySettings } from "../upstream/connections.ts";
import { resolveAlias } from "./checks.ts";
import { toGate, toKeyLimits, toUpstreams } from "./pool.ts";
import type { ConfigContent } from "./schema.ts";
import type { GlmSettings, Settings } from "./settings.ts";

/** `content` is valid, has its upstream key and its final secret. `dataFolder`: where relative paths begin. */
export function toSettings(content: ConfigContent, dataFolder: string, proxy: ProxySettings | null): Settings {
  const { server, auth, rate_limit: rateLimit, metrics, log, ledger, quotas, prices, cache } = content;
  return {
    server: {
      host: server.host,
      port: server.port,
      bodyBytesMax: server.body_limit_bytes,
      uploadBytesMax: server.upload_limit_bytes,
      shutdownGraceMs: toMs(server.shutdown_grace_seconds),
      writeStallMs: toMs(server.write_stall_seconds),
      connectionsPerAddress: server.connections_per_address,
      trustedProxies: server.trusted_proxies,
      allowedHosts: server.allowed_hosts,
      heartbeatMs: toMsOrNull(server.heartbeat_seconds),
      heartbeatGraceMs: toMs(server.heartbeat_grace_seconds),
      heartbeatStyle: server.heartbeat_style,
      sendsIetfFields: rateLimit.ietf_fields,
    },
    auth: {
      jwtSecret: auth.jwt_secret ?? "",
      tokenTtlSeconds: auth.token_ttl_seconds,
      users: auth.users.map(toUser),
      sessionTtlSeconds: auth.session_ttl_seconds,
      consoleIdleSeconds: auth.console_idle_seconds,
    },
    glm: toGlm(content.glm),
    rateLimit: toAdmission(rateLimit, content.glm),
    metrics: { userLabelsMax: metrics.user_labels },
    log: { level: log.level },
    store: toStoreTarget(content.store.url, dataFolder),
    ledger: {
      isStrict: ledger.on_failure === "strict",
      retentionDays: ledger.retention_days,
      storesContent: ledger.content === "keys",
      contentRetentionDays: ledger.content_retention_days,
      spoolBytesMax: ledger.spool_limit_bytes,
    },
    quotas: { timeZone: quotas.time_zone, assumedOutputTokens: quotas.assumed_output_tokens },
    prices: { currency: prices.currency, models: Object.entries(prices.models).map(toPrice) },
    cache: {
      isEnabled: cache.enabled,
      bytesMax: cache.max_bytes,
      entryBytesMax: cache.entry_max_bytes,
      ttlMs: toMs(cache.ttl_seconds),
      models: cache.models,
    },
    proxy,
    dataFolder,
  };
}

/** `dataFolder`: where relative paths begin. */
export function toStoreTarget(url: string | undefined, dataFolder: string): StoreTarget {
  if (url?.startsWith("postgres")) return { kind: "postgres", url };
  const file = url?.replace(/^sqlite:(?:\/\/(?=\/))?/, "") ?? "glm-proxy.sqlite";
  return { kind: "sqlite", file: file === ":memory:" ? file : resolve(dataFolder, file) };
}

function toPrice([pattern, price]: [string, ConfigContent["prices"]["models"][string]]): ModelPrice {
  return { pattern, input: price.input, output: price.output, cachedInput: price.cached_input ?? null };
}

function toUser(user: ConfigContent["auth"]["users"][number]): Account {
  return {
    // As the API has names: one name must not be two by its Unicode form.
    username: user.username.normalize("NFC"),
    ...(user.password !== undefined && { password: user.password }),
    ...(user.password_hash !== undefined && { passwordHash: user.password_hash }),
    role: user.role,
    weight: user.weight,
    class: user.class,
    ...(user.group !== undefined && { group: user.group }),
  };
}

function toGlm(glm: ConfigContent["glm"]): GlmSettings {
  const timeouts: CallTimeouts = {
    totalMs: toMs(glm.timeout_seconds),
    firstByteMs: toMsOrNull(glm.first_byte_timeout_seconds),
    idleMs: toMsOrNull(glm.idle_timeout_seconds),
  };
  const upstreams = toUpstreams(glm);
  return {
    apiKey: upstreams[0]?.apiKey ?? "",
    baseUrl: upstreams[0]?.baseUrl ?? "",
    upstreams,
    timeouts,
    connectTimeoutMs: toMs(glm.connect_timeout_seconds),
    firstEventMs: toMs(glm.first_event_wait_seconds),
    models: Object.entries(glm.models)
      .map(toModelRule)
      .filter(({ timeouts }) => Object.keys(timeouts).length > 0),
    // Chains are followed here, so that one look-up finds the upstream's name.
    aliases: new Map(Object.keys(glm.aliases).map((name) => [name, resolveName(name, glm)])),
    fallbacks: new Map(
      Object.entries(glm.fallbacks).map(([name, list]) => [
        resolveName(name, glm),
        list.map((fallback) => resolveName(fallback, glm)),
      ]),
    ),
  };
}

/** As the upstream knows the model. */
function resolveName(name: string, { aliases }: ConfigContent["glm"]): string {
  return resolveAlias(name, aliases) ?? name;
}

function toModelRule([pattern, rule]: [string, ConfigContent["glm"]["models"][string]]): ModelRule {
  const { timeout_seconds: total, first_byte_timeout_seconds: firstByte, idle_timeout_seconds: idle } = rule;
  return {
    pattern,
    timeouts: {
      ...(total !== undefined && { totalMs: toMs(total) }),
      ...(firstByte !== undefined && { firstByteMs: toMs(firstByte) }),
      ...(idle !== undefined && { idleMs: toMs(idle) }),
    },
  };
}

function toAdmission(limits: ConfigContent["rate_limit"], glm: ConfigContent["glm"]): AdmissionLimits {
  return {
    keys: toKeyLimits(glm, limits),
    families: toFamilies(limits.families),
    models: Object.entries(glm.models).flatMap(toModelLimits),
    user: {
      startsPerSecond: limits.user_requests_per_second ?? null,
      concurrencyMax: limits.user_max_concurrency ?? null,
      tokensPerMinute: limits.user_tokens_per_minute ?? null,
    },
    userQueueCapacity: limits.user_queue_capacity ?? null,
    queueCapacity: limits.queue_capacity,
    queueTimeoutMs: toMs(limits.queue_timeout_seconds),
    refusesEarly: limits.early_refusal,
    sendGuardMs: toMs(limits.send_guard_seconds),
    abortLingerMs: toMs(limits.abort_linger_seconds),
  };
}

function toModelLimits([pattern, rule]: [string, ConfigContent["glm"]["models"][string]]): ModelLimits[] {
  const gate = toGate(rule);
  return Object.values(gate).some((limit) => limit !== null) ? [{ pattern, ...gate }] : [];
}

/** Asking how something stands costs an upstream little, and would take the starts of calls that do something. */
const pollsPerSecond = 10;

function toFamilies(families: ConfigContent["rate_limit"]["families"]): FamilyLimits[] {
  const { poll, ...others } = families ?? {};
  const own = Object.entries(others).flatMap(([family, limits]): FamilyLimits[] => {
    if (!limits) return [];
    const { startsPerSecond, concurrencyMax } = toGate(limits);
    return [{ family, startsPerSecond, concurrencyMax }];
  });
  const { requests_per_second: startsPerSecond = pollsPerSecond, max_concurrency: concurrencyMax = null } = poll ?? {};
  return [...own, { family: "poll", startsPerSecond, concurrencyMax }];
}

/** Whole microseconds: 0.3 s is 300 ms, not 299.99999999999994. */
function toMs(seconds: number): number {
  return Math.round(seconds * 1_000_000) / 1_000;
}

function toMsOrNull(seconds: number | undefined): number | null {
  return seconds === undefined ? null : toMs(seconds);
}
