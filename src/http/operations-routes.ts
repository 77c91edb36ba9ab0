// What those who run the gateway ask: does it live, is it ready, what does it count?

import { Refusal } from "../base/refusal.ts";
import type { PublicRoute } from "./routes.ts";

const json = "application/json; charset=utf-8";

/** Alive as long as it can answer at all. */
export const livenessRoute: PublicRoute = {
  access: "public",
  because: "it says nothing but that the process answers",
  handle: ({ reply }) => reply.send(200, json, '{"status":"alive"}'),
};

/** 503 while the process drains, so that load balancers look elsewhere. */
export function createReadinessRoute(isDraining: () => boolean): PublicRoute {
  return {
    access: "public",
    because: "it says nothing but whether new calls are taken",
    handle({ reply }) {
      if (isDraining()) reply.send(503, json, '{"status":"draining"}', ["retry-after", "2"]);
      else reply.send(200, json, '{"status":"ready"}');
    },
  };
}

/** Prometheus text format. Only for this machine and private networks: load and outcomes are nobody else's business. */
export function createMetricsRoute(contentType: string, render: () => Promise<string>): PublicRoute {
  return {
    access: "public",
    because: "scrapers have no session; the address decides, and labels name nobody unless the operator wants it",
    async handle({ reply, isNear }) {
      if (!isNear)
        throw new Refusal("forbidden", {
          detail:
            "metrics are read from private addresses only, under an address, a local name or one of server.allowed_hosts",
        });
      reply.send(200, contentType, await render());
    },
  };
}

/** Claude Code and monitors look whether anybody is there at all. */
export const frontDoorRoute: PublicRoute = {
  access: "public",
  because: "it says nothing but what this is",
  handle: ({ reply }) => reply.send(200, json, '{"name":"glm-proxy","docs":"/docs"}'),
};
