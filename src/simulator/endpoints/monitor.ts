// What the simulated GLM says of a plan's quotas. Its pages are not documented; clients have reported them.

import { answer, define } from "./endpoint.ts";

const hourMs = 60 * 60_000;

export const monitorEndpoints = [
  define("GET", "/usage/quota/limit", (_, { clock }) => {
    const toLimit = (type: string, unit: number, number: number, percentage: number, resetAfterMs: number) => ({
      type,
      unit,
      number,
      percentage,
      nextResetTime: clock.wallNow() + resetAfterMs,
    });
    const limits = [
      toLimit("TOKENS_LIMIT", 3, 5, 12, 5 * hourMs),
      toLimit("TOKENS_LIMIT", 6, 1, 34, 7 * 24 * hourMs),
      { ...toLimit("TIME_LIMIT", 5, 1, 1, 30 * 24 * hourMs), usage: 1_000, currentValue: 10, remaining: 990 },
    ];
    return answer({ code: 200, msg: "success", success: true, data: { level: "pro", limits } });
  }),
  define("GET", "/usage/model-usage", () => answer({ code: 200, msg: "success", success: true, data: {} })),
];

export const subscriptionEndpoints = [
  define("GET", "/subscription/list", () => answer({ code: 200, msg: "success", success: true, data: [] })),
];
