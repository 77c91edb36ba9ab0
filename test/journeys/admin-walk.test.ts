// Every route of the control plane, with every kind of visitor. Made of the table of routes itself: a new route is walked
// as soon as it is there.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Route } from "../../src/admin/route.ts";
import { type AdminScene, headOf, openAdminScene, routeTable, storePassword } from "../support/admin-scene.ts";

type Visitor =
  | "nobody"
  | "a user"
  | "a user's key"
  | "an administrator"
  | "an administrator's key of scope calls"
  | "an administrator's key of scope admin"
  | "a revoked key"
  | "a disabled user"
  | "an expired or forged token";

const unknownId = "019aaf3e-0000-7000-8000-000000000000";

describe("walking every route of the control plane", () => {
  let scene: AdminScene;
  const tokens = new Map<Visitor, string | undefined>();

  before(async () => {
    scene = await openAdminScene();
    const { gateway, visit } = scene;
    const revoked = (await visit("POST", "/admin/keys", { owner: "ada", name: "gone" })).json as {
      key: { id: string };
      secret: string;
    };
    await visit("DELETE", `/admin/keys/${revoked.key.id}`);
    await visit("POST", "/admin/users", { name: "left", password: storePassword, role: "admin" });
    const left = await gateway.logIn("left", storePassword);
    await visit("PATCH", "/admin/users/left", { is_enabled: false });
    for (const [visitor, token] of [
      ["nobody", undefined],
      ["a user", scene.adaToken],
      ["a user's key", scene.adaKey.secret],
      ["an administrator", scene.rootToken],
      ["an administrator's key of scope calls", scene.rootCallsKey.secret],
      ["an administrator's key of scope admin", scene.rootAdminKey.secret],
      ["a revoked key", revoked.secret],
      ["a disabled user", left],
      ["an expired or forged token", `${scene.rootToken.slice(0, -2)}xx`],
    ] as const) {
      tokens.set(visitor, token);
    }
  });
  after(() => scene.stop());

  /** Whom the access lets in, in the plan's words; what becomes of a visitor who is let in is another matter. */
  function expect(route: Route, visitor: Visitor): "401" | "403" | "in" {
    if (route.access === "public") return "in";
    if (["nobody", "a revoked key", "a disabled user", "an expired or forged token"].includes(visitor)) return "401";
    const isCallsKey = visitor === "a user's key" || visitor === "an administrator's key of scope calls";
    if (isCallsKey) return route.isForCallsKeys ? "in" : "403";
    if (route.access === "operator") return "403";
    if (route.access === "admin" && visitor === "a user") return "403";
    return "in";
  }

  /** Sessions end sessions: none of those that the walk needs. */
  async function tokenFor(route: Route, visitor: Visitor): Promise<string | undefined> {
    if (route.path !== "/auth/logout" && route.path !== "/auth/session") return tokens.get(visitor);
    if (visitor === "a user") return scene.gateway.logIn("ada", storePassword);
    if (visitor === "an administrator") return scene.gateway.logIn("root", "root's own word");
    return tokens.get(visitor);
  }

  const fill = ({ path }: Route, id = unknownId) => path.replace("{id}", id).replace("{name}", "nobody-of-this-name");

  for (const route of routeTable) {
    it(`${route.method.toUpperCase()} ${route.path} is for: ${route.access}`, async () => {
      for (const visitor of tokens.keys()) {
        const token = await tokenFor(route, visitor);
        const body = route.body === null ? undefined : { no_such_field: true };
        const method = route.method.toUpperCase();
        const { status, headers } = await headOf(`${scene.gateway.url}${fill(route)}`, { method, token, body });
        const expected = expect(route, visitor);
        // An API key has no session to renew or to end, which is said with 401 too.
        const isSessionless =
          route.access === "me" && visitor.includes("scope admin") && route.path.startsWith("/auth/");
        if (expected === "in" && !isSessionless) assert.ok(status !== 401 && status !== 403, `${visitor}: ${status}`);
        else assert.equal(String(status), isSessionless ? "401" : expected, visitor);
        assert.ok(status < 500, `${visitor}: ${status}`);
        if (body) assert.ok(status >= 400, `${visitor}: an unknown field was taken`);
        assert.ok(headers["x-request-id"]);
        assert.equal(headers["cache-control"], "no-store");
        assert.equal(headers["x-content-type-options"], "nosniff");
        if (status >= 400) assert.match(String(headers["content-type"]), /^application\/problem\+json/);
        if (status === 401) assert.match(String(headers["www-authenticate"]), /^Bearer /);
      }
    });
  }

  it("shows nobody what is another's: ids of others are unknown, for administrators too", async () => {
    const own = routeTable.filter(({ path }) => path.startsWith("/me/") && path.includes("{id}"));
    assert.ok(own.length >= 4);
    const before = await scene.everything();
    for (const route of own) {
      for (const token of [scene.adaToken, scene.rootToken, scene.rootAdminKey.secret]) {
        const method = route.method.toUpperCase();
        const options = { method, token, ...(route.body !== null && { body: {} }) };
        const others = await scene.visit(method, fill(route, scene.bobKey.id), undefined, options);
        const nobodys = await scene.visit(method, fill(route), undefined, options);
        assert.equal(others.status, 404, `${method} ${route.path}`);
        const withoutId = (text: string) => text.replace(/"request_id":"[^"]*"/, "");
        assert.equal(withoutId(others.text), withoutId(nobodys.text));
      }
    }
    assert.equal(await scene.everything(), before);
  });

  it("has no method but those of the table, and says which there are", async () => {
    const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];
    for (const path of new Set(routeTable.map((route) => route.path))) {
      const known = routeTable.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
      const target = `${scene.gateway.url}${path.replace("{id}", unknownId).replace("{name}", "x")}`;
      for (const method of methods.filter((name) => !known.includes(name))) {
        const { status, headers } = await headOf(target, { method, token: scene.rootToken });
        assert.equal(status, 405, `${method} ${path}`);
        assert.deepEqual(
          String(headers.allow)
            .split(", ")
            .filter((name) => name !== "HEAD")
            .sort(),
          known.sort(),
        );
      }
    }
  });

  it("has nothing beside the table", async () => {
    for (const path of [
      "/admin",
      "/me/",
      "/admin/users/a/b",
      "/admin/keys/x/y",
      "/me/admin",
      "/docs/x",
      "/auth/session/x",
      "/admin/%75sers",
    ]) {
      const { status } = await headOf(`${scene.gateway.url}${path}`, { method: "GET" });
      assert.ok([401, 404].includes(status), `${path}: ${status}`);
    }
  });

  it("answers what the document says, and tells nobody a secret: neither the upstream's key, nor passwords, nor hashes", async () => {
    const secrets = ["zkCANARY", storePassword, "root's own word", "argon2", scene.adaKey.secret.slice(13)];
    for (const route of routeTable.filter(({ method, path }) => method === "get" && path !== "/admin/events")) {
      const path = route.path.replace("{id}", scene.adaKey.id).replace("{name}", "ada");
      const { status, text, json } = await scene.visit("GET", path);
      const { schema, contentType } = route.answer;
      if (status === 200 && contentType === undefined) assert.deepEqual(schema?.parse(json), json, path);
      for (const secret of secrets) assert.ok(!text.includes(secret), `${path} tells ${secret}`);
    }
    assert.deepEqual(
      scene.gateway.logLines.filter((line) => secrets.some((secret) => line.includes(secret))),
      [],
    );
  });
});
