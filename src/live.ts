// What is derived from the settings and replaced as a whole when they change.

import type { Settings } from "./config/settings.ts";
import { createAddressBook } from "./http/client-address.ts";
import type { HttpSettings } from "./http/server.ts";
import type { ListingKey } from "./model-list.ts";
import { type CallRules, createCallRules } from "./rules.ts";

export interface Live {
  readonly rules: CallRules;
  readonly http: HttpSettings;
  readonly listing: readonly ListingKey[];
}

export type LiveSettings = Pick<Settings, "server" | "glm" | "rateLimit" | "cache">;

export function toLive({ server, glm, rateLimit, cache }: LiveSettings): Live {
  const { heartbeatGraceMs: graceMs, heartbeatStyle: style } = server;
  return {
    rules: createCallRules(glm.timeouts, glm.models, glm.aliases, glm.fallbacks, cache.models),
    listing: glm.upstreams.map(({ name, kind }) => ({
      kind,
      models: rateLimit.keys.find((key) => key.name === name)?.models ?? null,
    })),
    http: {
      bodyBytesMax: server.bodyBytesMax,
      uploadBytesMax: server.uploadBytesMax,
      writeStallMs: server.writeStallMs,
      connectionsPerAddress: server.connectionsPerAddress,
      addresses: createAddressBook(server.trustedProxies, server.allowedHosts),
      heartbeats: server.heartbeatMs === null ? null : { intervalMs: server.heartbeatMs, graceMs, style },
      sendsIetfFields: server.sendsIetfFields,
    },
  };
}
