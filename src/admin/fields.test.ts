import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import { instantSchema, limitsSchema, timeSchema } from "./common-schemas.ts";
import { parseFields } from "./fields.ts";

const schema = z.strictObject({
  name: z.string().min(1).max(5),
  role: z.enum(["user", "admin"]).optional(),
  limits: limitsSchema.optional(),
  models: z.array(z.string()).max(2).optional(),
  expires_at: timeSchema.nullable().optional(),
  from: instantSchema.optional(),
});

function refusalOf(value: unknown): { param: string | undefined; detail: string | undefined } {
  try {
    parseFields(schema, value, "body");
  } catch (error) {
    assert.ok(error instanceof Refusal && error.reason === "invalid_field");
    return { param: error.facts.param, detail: error.facts.detail };
  }
  throw new Error(`was accepted: ${JSON.stringify(value)}`);
}

describe("fields that came in", () => {
  it("are taken as they are when they are right", () => {
    const value = {
      name: "ada",
      limits: { "requests/day": 5 },
      expires_at: "2026-11-23T08:00:00+08:00",
      from: "2026-11-23",
    };
    assert.deepEqual(parseFields(schema, value, "body"), value);
  });

  it("are refused by name, with what they must be", () => {
    const cases: [value: unknown, param: string, detail: RegExp][] = [
      [{}, "name", /^it is missing$/],
      [{ name: null }, "name", /^it must be a string$/],
      [{ name: "" }, "name", /^it must be at least 1 characters long$/],
      [{ name: "longer" }, "name", /^it must be at most 5 characters long$/],
      [{ name: "ada", role: "root" }, "role", /^it must be user or admin$/],
      [{ name: "ada", models: ["a", "b", "c"] }, "models", /^it must be at most 2 items long$/],
      [{ name: "ada", models: [7] }, "models.0", /^it must be a string$/],
      [{ name: "ada", limits: { "requests/day": "5" } }, "limits.requests/day", /^it must be a number$/],
      [{ name: "ada", limits: { "requests/day": -1 } }, "limits.requests/day", /^it must be at least 0$/],
      [{ name: "ada", expires_at: "2026-02-30T00:00:00Z" }, "expires_at", /^it must be a time such as /],
      [{ name: "ada", expires_at: 1_795_392_000_000 }, "expires_at", /^it must be a string$/],
      [{ name: "ada", from: "yesterday" }, "from", /^it must be a day such as /],
      [[], "body", /^it must be an object$/],
      ["text", "body", /^it must be an object$/],
      [null, "body", /^it must be an object$/],
    ];
    for (const [value, param, detail] of cases) {
      const refusal = refusalOf(value);
      assert.equal(refusal.param, param, JSON.stringify(value));
      assert.match(refusal.detail ?? "", detail, JSON.stringify(value));
    }
  });

  it("that are unknown are refused, with the one that was probably meant", () => {
    assert.deepEqual(refusalOf({ name: "ada", limts: {} }), {
      param: "limts",
      detail: 'it is not known: did you mean "limits"',
    });
    assert.deepEqual(refusalOf({ name: "ada", limits: { "request/day": 5 } }), {
      param: "limits.request/day",
      detail: 'it is not known: did you mean "requests/day"',
    });
    assert.match(refusalOf({ name: "ada", is_god: true }).detail ?? "", /^it is not known; known are name, role, /);
  });

  it("that would reach a prototype are unknown like any other", () => {
    for (const text of ['{"name":"ada","__proto__":{"role":"admin"}}', '{"name":"ada","constructor":{}}']) {
      assert.match(refusalOf(JSON.parse(text)).detail ?? "", /^it is not known/);
    }
  });

  it("never come back at length", () => {
    const { param } = refusalOf({ name: "ada", ["x".repeat(10_000)]: 1 });
    assert.equal(param?.length, 64);
  });
});
