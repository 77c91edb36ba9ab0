import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RemainingLimit } from "../base/queue-facts.ts";
import { formatDuration, toIetfFields as toIetfList, toOpenAiFields as toOpenAiList } from "./limit-fields.ts";
import type { HeaderFields } from "./reply.ts";

const upstream: RemainingLimit = { name: "upstream", limit: 2, remaining: 1, windowMs: 1_000, resetMs: 620 };
const streams: RemainingLimit = { name: "upstream-streams", limit: 3, remaining: 3, windowMs: null, resetMs: null };
const user: RemainingLimit = { name: "user", limit: 30, remaining: 29, windowMs: 60_000, resetMs: 42_100 };
const tokens: RemainingLimit = {
  name: "upstream-tokens",
  limit: 9_000,
  remaining: 8_123.7,
  windowMs: 60_000,
  resetMs: 0,
};

const toOpenAiFields = (...args: Parameters<typeof toOpenAiList>) => toObject(toOpenAiList(...args));
const toIetfFields = (...args: Parameters<typeof toIetfList>) => toObject(toIetfList(...args));

function toObject(fields: HeaderFields): Record<string, string> {
  const pairs = fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1]]] : []));
  return Object.fromEntries(pairs) as Record<string, string>;
}

describe("toOpenAiFields()", () => {
  it("tells the user's own limit when there is one, else that of all calls together", () => {
    assert.deepEqual(toOpenAiFields([upstream, user]), {
      "x-ratelimit-limit-requests": "30",
      "x-ratelimit-remaining-requests": "29",
      "x-ratelimit-reset-requests": "42.1s",
    });
    assert.equal(toOpenAiFields([streams, upstream])["x-ratelimit-reset-requests"], "620ms");
  });

  it("tells tokens when they are limited, in whole ones", () => {
    const fields = toOpenAiFields([tokens]);
    assert.deepEqual(fields, {
      "x-ratelimit-limit-tokens": "9000",
      "x-ratelimit-remaining-tokens": "8123",
      "x-ratelimit-reset-tokens": "0s",
    });
    const own = { ...tokens, name: "user-tokens", limit: 500 } as const;
    assert.equal(toOpenAiFields([tokens, own])["x-ratelimit-limit-tokens"], "500");
  });

  it("is empty when nothing is limited but calls at once", () => {
    assert.deepEqual(toOpenAiFields([streams]), {});
  });
});

describe("toIetfFields()", () => {
  it("names every limit and what is left of the scarcest", () => {
    assert.deepEqual(toIetfFields([upstream, user, streams, tokens], null), {
      "ratelimit-policy": '"upstream";q=2;w=1, "user";q=30;w=60, "upstream-streams";q=3;qu="concurrent-requests"',
      ratelimit: '"upstream";r=1;t=1',
    });
    assert.equal(toIetfFields([streams], null).ratelimit, '"upstream-streams";r=3');
  });

  it("leaves out windows that are not whole seconds", () => {
    const odd: RemainingLimit = { ...upstream, windowMs: 1_500 };
    assert.deepEqual(toIetfFields([odd], null), {});
    assert.equal(toIetfFields([odd, user], null)["ratelimit-policy"], '"user";q=30;w=60');
  });

  it("never has the limit reset later than Retry-After says", () => {
    assert.equal(toIetfFields([user], 43_000).ratelimit, '"user";r=29;t=43');
    assert.equal(toIetfFields([user], 42_001).ratelimit, '"user";r=29;t=43');
    assert.equal(toIetfFields([user], 3_000).ratelimit, '"user";r=29');
  });
});

describe("formatDuration()", () => {
  it("writes durations as OpenAI does", () => {
    const cases = { 0: "0s", 11.2: "12ms", 1000: "1s", 1500: "1.5s", 63000: "1m3s", 7200000: "2h0m0s" };
    for (const [ms, text] of Object.entries(cases)) assert.equal(formatDuration(Number(ms)), text);
    assert.equal(formatDuration(-5), "0s");
    assert.equal(formatDuration(59_999.5), "1m0s");
  });
});
