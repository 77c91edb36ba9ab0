// From the file's names and units to the program's: seconds become milliseconds, missing limits become null.

import type { AdmissionLimits } from "../admission/scheduler.ts";
import type { CallTimeouts } from "../deadline.ts";
import type { Account } from "../identity/user-directory.ts";
import type { ModelRule } from "../rules.ts";
import { resolveAlias } from "./checks.ts";
import type { ConfigContent } from "./schema.ts";
import type { GlmSettings, Settings } from "./settings.ts";

/** `content` is valid, has its upstream key and its final secret. */
export function toSettings(content: ConfigContent): Settings {
  const { server, auth, log } = content;
  return {
    server: {
      host: server.host,
      port: server.port,
      bodyBytesMax: server.body_limit_bytes,
      shutdownGraceMs: toMs(server.shutdown_grace_seconds),
      writeStallMs: toMs(server.write_stall_seconds),
      trustedProxies: server.trusted_proxies,
    },
    auth: {
      jwtSecret: auth.jwt_secret ?? "",
      tokenTtlSeconds: auth.token_ttl_seconds,
      users: auth.users.map(toUser),
    },
    glm: toGlm(content.glm),
    rateLimit: toAdmission(content.rate_limit),
    log: { level: log.level },
  };
}

function toUser(user: ConfigContent["auth"]["users"][number]): Account {
  return {
    username: user.username,
    ...(user.password !== undefined && { password: user.password }),
    ...(user.password_hash !== undefined && { passwordHash: user.password_hash }),
    role: user.role,
    weight: user.weight,
  };
}

function toGlm(glm: ConfigContent["glm"]): GlmSettings {
  const timeouts: CallTimeouts = {
    totalMs: toMs(glm.timeout_seconds),
    firstByteMs: toMsOrNull(glm.first_byte_timeout_seconds),
    idleMs: toMsOrNull(glm.idle_timeout_seconds),
  };
  return {
    keyName: glm.keys[0]?.name ?? "default",
    apiKey: glm.api_key ?? "",
    baseUrl: glm.base_url.replace(/\/+$/, ""),
    timeouts,
    models: Object.entries(glm.models).map(toModelRule),
    // Chains are followed here, so that one look-up finds the upstream's name.
    aliases: new Map(Object.keys(glm.aliases).map((name) => [name, resolveAlias(name, glm.aliases) ?? name])),
  };
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

function toAdmission(limits: ConfigContent["rate_limit"]): AdmissionLimits {
  return {
    startsPerSecond: limits.requests_per_second,
    concurrencyMax: limits.max_concurrency ?? null,
    queueCapacity: limits.queue_capacity,
    queueTimeoutMs: toMs(limits.queue_timeout_seconds),
    sendGuardMs: toMs(limits.send_guard_seconds),
    abortLingerMs: toMs(limits.abort_linger_seconds),
  };
}

/** Whole microseconds: 0.3 s is 300 ms, not 299.99999999999994. */
function toMs(seconds: number): number {
  return Math.round(seconds * 1_000_000) / 1_000;
}

function toMsOrNull(seconds: number | undefined): number | null {
  return seconds === undefined ? null : toMs(seconds);
}
