// Every field of every model, sent by a user to every route that writes: nothing changes but what a user may change.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type AdminScene, openAdminScene, routeTable } from "../support/admin-scene.ts";

type Fields = Record<string, unknown>;

/** What somebody would like a field to be. */
const wishes: Fields = {
  role: "admin",
  scope: "admin",
  owner: "root",
  user: "root",
  name: "renamed",
  source: "config",
  group: "rich",
  class: "interactive",
  weight: 1_000,
  limits: { "cost/month": 1_000_000 },
  member_limits: { "cost/month": 1_000_000 },
  effective: { weight: 1_000, class: "interactive", limits: {} },
  models: null,
  is_enabled: true,
  keeps_content: true,
  expires_at: null,
  revoked_at: null,
  state: "active",
  password: "a new long password",
  password_hash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
  hash: "0".repeat(64),
  tokens_valid_from: 0,
  overlap_seconds: 0,
};

/** Fields of their own that users may set, by the route that takes them. */
const allowed: Record<string, readonly string[]> = {
  "post /me/keys": ["name", "models", "limits", "class", "expires_at", "keeps_content"],
  "patch /me/keys/{id}": ["name", "models", "limits", "class", "expires_at", "keeps_content"],
  "post /me/keys/{id}/rotate": ["overlap_seconds"],
  // Here they say who one is; the walk sends none that is right.
  "post /auth/session": ["password"],
  "post /auth/setup": ["password"],
};
const writing = routeTable.filter(({ method, body }) => method !== "get" && body !== null);

describe("mass assignment", () => {
  let scene: AdminScene;
  let fieldNames: readonly string[];
  before(async () => {
    scene = await openAdminScene();
    await scene.visit("POST", "/admin/groups", { name: "rich", weight: 100 });
    const { components } = (await scene.visit("GET", "/openapi.json")).json as {
      components: { schemas: Record<string, { properties?: Fields }> };
    };
    const described = Object.values(components.schemas).flatMap(({ properties = {} }) => Object.keys(properties));
    const plain = [...new Set([...described, ...Object.keys(wishes)])];
    // The names that they have inside, and those that a prototype would have.
    const inside = plain.map((name) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
    fieldNames = [...new Set([...plain, ...inside, "__proto__", "constructor", "prototype"])];
    assert.ok(fieldNames.length > 80, `${fieldNames.length} fields`);
  });
  after(() => scene.stop());

  const bodyWith = (base: Fields, name: string) => {
    const wish = JSON.stringify(name in wishes ? wishes[name] : "wished");
    return `${JSON.stringify(base).slice(0, -1)}${Object.keys(base).length > 0 ? "," : ""}${JSON.stringify(name)}:${wish}}`;
  };

  it("reaches every route that takes a body", () => {
    assert.ok(writing.length >= 12);
  });

  for (const route of writing) {
    const where = `${route.method} ${route.path}`;
    it(`does nothing at ${where}`, async () => {
      const path = route.path.replace("{id}", scene.adaKey.id).replace("{name}", "ada");
      const method = route.method.toUpperCase();
      const before = await scene.everything();
      for (const name of fieldNames) {
        if (allowed[where]?.includes(name)) continue;
        const base = where === "post /me/keys" && name !== "name" ? { name: "wished for" } : {};
        const { status, text } = await scene.visit(method, path, undefined, {
          method,
          token: scene.adaToken,
          body: bodyWith(base, name),
        });
        const expected = route.access === "admin" || route.access === "operator" ? [403] : [400, 401];
        assert.ok(expected.includes(status), `${name}: ${status} ${text}`);
      }
      assert.equal(await scene.everything(), before);
    });
  }

  it("does nothing in a query", async () => {
    const before = await scene.everything();
    for (const name of fieldNames) {
      const query = new URLSearchParams({ [name]: "admin" });
      // What looks like a secret is refused before any route sees it.
      const { status } = await scene.visit(
        "PATCH",
        `/me/keys/${scene.adaKey.id}?${query}`,
        {},
        { token: scene.adaToken, method: "PATCH" },
      );
      assert.equal(status, 400, name);
    }
    assert.equal(await scene.everything(), before);
  });

  it("leaves a user's own fields to the user, and what goes with them alone", async () => {
    const { token } = { token: scene.adaToken };
    const wished = Object.fromEntries(
      ["name", "models", "limits", "keeps_content", "expires_at"].map((name) => [name, wishes[name]]),
    );
    const made = await scene.visit("POST", "/me/keys", wished, { token, method: "POST" });
    assert.equal(made.status, 201);
    const { key } = made.json as { key: Fields };
    assert.deepEqual([key.owner, key.scope, key.state], ["ada", "calls", "active"]);
    const fast = await scene.visit(
      "POST",
      "/me/keys",
      { name: "fast", class: "interactive" },
      { token, method: "POST" },
    );
    assert.equal(fast.status, 400);
    assert.equal((await scene.visit("GET", "/me", undefined, { token })).status, 200);
  });

  it("does nothing for administrators either, where a field is not theirs to set", async () => {
    const before = await scene.everything();
    const fixed = [
      "source",
      "has_password",
      "created_at",
      "updated_at",
      "effective",
      "tokens_valid_from",
      "password_hash",
    ];
    for (const name of fixed) {
      const body = bodyWith({}, name);
      const { status } = await scene.visit("PATCH", "/admin/users/ada", undefined, {
        method: "PATCH",
        token: scene.rootToken,
        body,
      });
      assert.equal(status, 400, name);
    }
    for (const name of [
      "id",
      "owner",
      "scope",
      "prefix",
      "hash",
      "created_at",
      "last_used_at",
      "revoked_at",
      "replaced_by",
      "state",
    ]) {
      const body = bodyWith({}, name);
      const { status } = await scene.visit("PATCH", `/admin/keys/${scene.adaKey.id}`, undefined, {
        method: "PATCH",
        token: scene.rootToken,
        body,
      });
      assert.equal(status, 400, name);
    }
    assert.equal(await scene.everything(), before);
  });
});
