// What the operator should know about a configuration that is valid: risks, and values that were put right.
// Problems, which stop the start, are in problems.ts.

import type { KeyLimits } from "../admission/scheduler.ts";
import { compilePattern } from "../base/name-pattern.ts";
import { resolveAlias } from "./checks.ts";
import type { ConfigFiles } from "./files.ts";
import type { Origins } from "./origins.ts";
import { toKeyLimits, toUpstreams } from "./pool.ts";
import type { ConfigContent } from "./schema.ts";
import type { UpstreamSettings } from "./settings.ts";
import { isLoopbackUrl } from "./text-rules.ts";

export interface Notice {
  readonly level: "info" | "warn";
  /** Stable name, for logs and tests. */
  readonly code: string;
  readonly message: string;
}

const othersReadMask = 0o004;
const sampleKeyPattern = /^(your|my|insert|put|replace|change|xxx|<)[\w-]*/i;

export function noticeContent(content: ConfigContent, origins: Origins): Notice[] {
  return [
    ...noticeUsers(content),
    ...noticeUpstream(content, origins),
    ...noticeAliases(content),
    ...noticeUserLimits(content),
    ...noticeHeartbeats(content),
  ];
}

function noticeUsers(content: ConfigContent): Notice[] {
  const { users } = content.auth;
  const plain = users.filter((user) => user.password !== undefined).map((user) => user.username);
  if (plain.length === 0) return [];
  const message = `Passwords in plain text: ${listNames(plain)}. Replace each with the password_hash that "glm-proxy hash-password" prints.`;
  return [warn("plain_passwords", message)];
}

function noticeUpstream({ glm }: ConfigContent, origins: Origins): Notice[] {
  return [
    ...toUpstreams(glm).flatMap((upstream, index) => noticeAddress(upstream, index, glm)),
    ...noticeSampleKeys(glm, origins),
    ...noticeQuotedKeys(glm, origins),
    ...noticeUnusedKey(glm, origins),
    ...noticeOtherServers(glm),
  ];
}

/** `glm.base_url`, or an entry's own where it has one. */
function nameOf(key: "base_url" | "api_key", index: number, { keys }: ConfigContent["glm"]): string {
  return keys.length > 1 && keys[index]?.[key] !== undefined ? `glm.keys[${index}].${key}` : `glm.${key}`;
}

function noticeAddress({ baseUrl }: UpstreamSettings, index: number, glm: ConfigContent["glm"]): Notice[] {
  const name = nameOf("base_url", index, glm);
  const notices: Notice[] = [];
  if (/\/api\/coding(\/|$)/i.test(new URL(baseUrl).pathname)) {
    const message = `${name} is the Coding Plan's: its terms forbid sharing it among people. Use the general endpoint, https://open.bigmodel.cn/api/paas/v4, with a key of its own.`;
    notices.push(warn("coding_plan", message));
  }
  if (baseUrl.toLowerCase().startsWith("http:") && !isLoopbackUrl(baseUrl)) {
    notices.push(
      warn(
        "plain_http",
        `${name} is plain http: the key and all that is said cross the network unencrypted. Use https.`,
      ),
    );
  }
  return notices;
}

function noticeSampleKeys(glm: ConfigContent["glm"], origins: Origins): Notice[] {
  return listKeys(glm, origins)
    .filter(({ value }) => sampleKeyPattern.test(value))
    .map(({ name, place }) =>
      warn("sample_key", `${name} (${place}) looks like an example: the upstream will refuse it.`),
    );
}

/** docker --env-file and systemd's EnvironmentFile take quotation marks for a part of the value, or leave some. */
function noticeQuotedKeys(glm: ConfigContent["glm"], origins: Origins): Notice[] {
  return listKeys(glm, origins)
    .filter(({ value }) => /^["'`\s]|["'`\s]$/.test(value))
    .map(({ name, place }) => {
      const why = "begins or ends with a quotation mark or a space: the upstream will refuse it. Write it without";
      return warn("quoted_key", `${name} (${place}) ${why}.`);
    });
}

interface NamedKey {
  readonly name: string;
  readonly value: string;
  readonly place: string;
}

function listKeys(glm: ConfigContent["glm"], origins: Origins): NamedKey[] {
  const general = { name: "glm.api_key", value: glm.api_key, place: origins.find(["glm", "api_key"]).text };
  const ofEntries = glm.keys.map(({ api_key: value }, index) => {
    const place = origins.find(["glm", "keys", index, "api_key"]).text;
    return { name: `glm.keys[${index}].api_key`, value, place };
  });
  return (glm.keys.length > 1 ? [general, ...ofEntries] : [general]).flatMap(({ name, value, place }) =>
    value === undefined ? [] : [{ name, value, place }],
  );
}

function noticeUnusedKey({ api_key: apiKey, keys }: ConfigContent["glm"], origins: Origins): Notice[] {
  const needsIt = keys.some(({ kind, api_key: own }) => kind === "glm" && own === undefined);
  if (apiKey === undefined || keys.length < 2 || needsIt) return [];
  const place = origins.find(["glm", "api_key"]).text;
  return [warn("key_without_effect", `glm.api_key (${place}) has no effect: each of [[glm.keys]] has its own.`)];
}

/** Beside GLM, such a server would be asked for GLM's models. */
function noticeOtherServers({ keys }: ConfigContent["glm"]): Notice[] {
  const open = keys.filter(({ kind, models }) => kind === "openai" && models === undefined).map(({ name }) => name);
  if (open.length === 0 || keys.every(({ kind }) => kind === "openai")) return [];
  const message = `[[glm.keys]] ${listNames(open)} would be asked for every model, GLM's too: say with models which they serve.`;
  return [warn("models_not_said", message)];
}

/** Aliases of models that no key serves, and models to fall back to: such calls are refused, whatever else is right. */
function noticeAliases({ glm }: ConfigContent): Notice[] {
  const patterns = glm.keys.map(({ models }) => models ?? null);
  if (patterns.length === 0 || patterns.includes(null)) return [];
  const served = patterns.flatMap((list) => list ?? []).map(compilePattern);
  const isLost = (name: string) => {
    const target = resolveAlias(name, glm.aliases) ?? name;
    return !served.some((matches) => matches(target));
  };
  const notices: Notice[] = [];
  const aliases = Object.keys(glm.aliases).filter(isLost);
  if (aliases.length > 0) {
    const message = `[glm.aliases] ${listNames(aliases)} lead to models that [[glm.keys]] does not serve.`;
    notices.push(warn("alias_not_served", message));
  }
  const fallbacks = Object.keys(glm.fallbacks).filter((name) => glm.fallbacks[name]?.some(isLost));
  if (fallbacks.length > 0) {
    const message = `[glm.fallbacks] ${listNames(fallbacks)} lead to models that [[glm.keys]] does not serve.`;
    notices.push(warn("fallback_not_served", message));
  }
  return notices;
}

/** A limit of one user that is above that of all together never counts. */
function noticeUserLimits({ rate_limit: limits, glm }: ConfigContent): Notice[] {
  const sums = sumLimits(toKeyLimits(glm, limits));
  const names = ["requests_per_second", "max_concurrency", "tokens_per_minute", "queue_capacity"] as const;
  return names
    .filter((name) => (limits[`user_${name}`] ?? 0) > (name === "queue_capacity" ? limits[name] : sums[name]))
    .map((name) => {
      const message = `rate_limit.user_${name} has no effect: it is above rate_limit.${name}, which counts for all users together.`;
      return warn("limit_without_effect", message);
    });
}

/** Of all accounts together; Infinity: no bound. */
function sumLimits(keys: readonly KeyLimits[]) {
  const accounts = [...new Map(keys.map((key) => [key.account ?? key.name, key])).values()];
  const sum = (read: (key: KeyLimits) => number | null) =>
    accounts.reduce((total, key) => total + (read(key) ?? Number.POSITIVE_INFINITY), 0);
  return {
    requests_per_second: sum(({ startsPerSecond }) => startsPerSecond),
    max_concurrency: sum(({ concurrencyMax }) => concurrencyMax),
    tokens_per_minute: sum(({ tokensPerMinute }) => tokensPerMinute),
  };
}

function noticeHeartbeats({ server, rate_limit: limits }: ConfigContent): Notice[] {
  const { heartbeat_seconds: interval, heartbeat_grace_seconds: grace } = server;
  if (interval === undefined || grace < limits.queue_timeout_seconds) return [];
  const message =
    "server.heartbeat_seconds has no effect: no call waits as long as server.heartbeat_grace_seconds, since rate_limit.queue_timeout_seconds ends the wait before.";
  return [warn("heartbeats_never", message)];
}

/** About a file that holds secrets. */
export function noticeFileMode(files: ConfigFiles, path: string, name: string): Notice[] {
  const mode = files.readMode(path);
  if (mode === null || (mode & othersReadMask) === 0) return [];
  return [
    warn("readable_secrets", `${name} holds secrets and other users of this machine can read it: chmod 600 ${name}`),
  ];
}

export function warn(code: string, message: string): Notice {
  return { level: "warn", code, message };
}

export function info(code: string, message: string): Notice {
  return { level: "info", code, message };
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ");
}
