// What the operator should know about a configuration that is valid: risks, and values that were put right.
// Problems, which stop the start, are in problems.ts.

import { compilePattern } from "../base/name-pattern.ts";
import { resolveAlias } from "./checks.ts";
import type { ConfigFiles } from "./files.ts";
import type { Origins } from "./origins.ts";
import type { ConfigContent } from "./schema.ts";
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

function noticeUpstream(content: ConfigContent, origins: Origins): Notice[] {
  const { base_url: baseUrl, api_key: apiKey } = content.glm;
  const notices: Notice[] = [];
  if (/\/api\/coding(\/|$)/i.test(new URL(baseUrl).pathname)) {
    const message =
      "glm.base_url is the Coding Plan's: its terms forbid sharing it among people. Use the general endpoint, https://open.bigmodel.cn/api/paas/v4, with a key of its own.";
    notices.push(warn("coding_plan", message));
  }
  if (baseUrl.toLowerCase().startsWith("http:") && !isLoopbackUrl(baseUrl)) {
    notices.push(
      warn("plain_http", "glm.base_url is plain http: the upstream key crosses the network unencrypted. Use https."),
    );
  }
  if (apiKey !== undefined && sampleKeyPattern.test(apiKey)) {
    const place = origins.find(["glm", "api_key"]).text;
    notices.push(warn("sample_key", `glm.api_key (${place}) looks like an example: the upstream will refuse it.`));
  }
  return notices;
}

/** Aliases of models that no key serves: their calls would be refused, whatever else is right. */
function noticeAliases({ glm }: ConfigContent): Notice[] {
  const served = glm.keys[0]?.models?.map(compilePattern);
  if (!served) return [];
  const lost = Object.keys(glm.aliases).filter((name) => {
    const target = resolveAlias(name, glm.aliases) ?? name;
    return !served.some((matches) => matches(target));
  });
  if (lost.length === 0) return [];
  return [
    warn("alias_not_served", `[glm.aliases] ${listNames(lost)} lead to models that [[glm.keys]] does not serve.`),
  ];
}

/** A limit of one user that is above that of all together never counts. */
function noticeUserLimits({ rate_limit: limits }: ConfigContent): Notice[] {
  const names = ["requests_per_second", "max_concurrency", "tokens_per_minute", "queue_capacity"] as const;
  return names
    .filter((name) => (limits[`user_${name}`] ?? 0) > (limits[name] ?? Number.POSITIVE_INFINITY))
    .map((name) => {
      const message = `rate_limit.user_${name} has no effect: it is above rate_limit.${name}, which counts for all users together.`;
      return warn("limit_without_effect", message);
    });
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
