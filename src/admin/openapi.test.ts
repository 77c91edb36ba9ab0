import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ControlRoom, type Json, openControlRoom } from "./fixtures/control-room.ts";

describe("the OpenAPI document", () => {
  let room: ControlRoom;
  let api: Json;
  before(async () => {
    room = await openControlRoom();
    api = (await room.visit("GET", "/openapi.json")).json;
  });
  after(() => room.close());

  const member = (json: Json | undefined, name: string) => json?.[name];

  /** Every object in it, with its path. */
  function* walk(
    value: unknown,
    path: readonly string[] = [],
  ): Generator<[readonly string[], Record<string, unknown>]> {
    if (typeof value !== "object" || value === null) return;
    if (!Array.isArray(value)) yield [path, value as Record<string, unknown>];
    for (const [name, inner] of Object.entries(value)) yield* walk(inner, [...path, name]);
  }

  it("has every route of the table, and the login beside it", () => {
    for (const { method, path } of room.routes) assert.ok(member(member(api.paths, path), method), `${method} ${path}`);
    assert.ok(member(member(api.paths, "/auth/login"), "post"));
    const count = Object.values(api.paths as Json).reduce((sum, methods) => sum + Object.keys(methods).length, 0);
    assert.equal(count, room.routes.length + 1);
  });

  it("is OpenAPI 3.1 with what each operation needs: an id of its own, a summary, answers, errors", () => {
    assert.equal(api.openapi, "3.1.0");
    assert.equal(api.info?.version, "1.2.3");
    const ids = new Set<unknown>();
    for (const [path, methods] of Object.entries(api.paths as Json)) {
      for (const [method, operation] of Object.entries(methods)) {
        const where = `${method} ${path}`;
        assert.match(String(operation.operationId), /^[a-z_]+$/, where);
        assert.ok(!ids.has(operation.operationId), where);
        ids.add(operation.operationId);
        assert.ok(String(operation.summary).length > 3, where);
        assert.ok(operation.responses?.default, where);
        assert.ok(
          Object.keys(operation.responses as Json).some((status) => /^20[014]$/.test(status)),
          where,
        );
        const declared = ((operation.parameters ?? []) as unknown as Json[]).filter(
          ({ in: place }) => String(place) === "path",
        );
        const named = Array.from(path.matchAll(/\{(.+?)\}/g), ([, name]) => name);
        assert.deepEqual(
          declared.map(({ name }) => String(name)),
          named,
          where,
        );
      }
    }
  });

  it("refers to nothing that is not there, and keeps nothing that is not referred to", () => {
    const referred = new Set<string>();
    for (const [path, object] of walk(api)) {
      if (typeof object.$ref !== "string") continue;
      const found = object.$ref
        .split("/")
        .slice(1)
        .reduce<Json | undefined>((at, part) => at?.[part], api);
      assert.ok(found, `${path.join(".")}: ${object.$ref}`);
      referred.add(object.$ref.split("/").at(-1) as string);
    }
    assert.deepEqual([...referred].sort(), Object.keys(api.components?.schemas as Json).sort());
  });

  it("asks for a credential wherever the route does", () => {
    for (const { method, path, access } of room.routes) {
      const security = member(member(member(api.paths, path), method), "security") as unknown as Json[];
      assert.equal(security.length, access === "me" || access === "admin" ? 3 : 0, `${method} ${path}`);
      for (const scheme of security.flatMap(Object.keys)) assert.ok(api.components?.securitySchemes?.[scheme]);
    }
  });

  it("says of bodies that nothing else may be in them", () => {
    for (const [path, object] of walk(api.paths)) {
      if (path.at(-1) !== "requestBody") continue;
      const schema = (object as unknown as Json).content?.["application/json"]?.schema;
      const name = String(schema?.$ref).split("/").at(-1) as string;
      assert.equal(api.components?.schemas?.[name]?.additionalProperties, false, path.join("."));
    }
  });

  it("has examples that are what their schemas say", () => {
    for (const [path, object] of walk(api)) {
      if (!("example" in object) || typeof object.type === "undefined") continue;
      const types = [object.type].flat();
      const { example } = object;
      const type = example === null ? "null" : typeof example;
      const isRight =
        types.includes(type) ||
        (type === "number" && types.includes("integer")) ||
        (Array.isArray(example) && types.includes("array"));
      assert.ok(isRight, `${path.join(".")}: ${JSON.stringify(example)}`);
      if (Array.isArray(object.enum)) assert.ok(object.enum.includes(example), path.join("."));
    }
  });

  it("comes with a page that shows it, with nothing from outside", async () => {
    const { status, headers, text } = await room.visit("GET", "/docs");
    assert.equal(status, 200);
    assert.match(
      headers.get("content-security-policy") ?? "",
      /^default-src 'none'; .*require-trusted-types-for 'script'$/,
    );
    assert.doesNotMatch(text, /https?:\/\/|innerHTML|<script src|<link rel="stylesheet"/);
    assert.match((await room.visit("GET", "/docs", { language: "zh" })).text, /<h1>glm-proxy 控制面 API<\/h1>/);
  });
});
