import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ControlRoom, items, openControlRoom, password, text } from "./fixtures/control-room.ts";

describe("administration of people", () => {
  let room: ControlRoom;
  let root: string;
  before(async () => {
    room = await openControlRoom();
    await room.addUser("root", "admin");
    root = await room.logIn("root");
  });
  after(() => room.close());

  const visit = (method: string, path: string, body?: object) =>
    room.visit(method, path, { token: root, ...(body && { body }) });

  describe("users", () => {
    it("are created, shown, changed and removed, with what counts for them in the end", async () => {
      await visit("POST", "/admin/groups", {
        name: "lab",
        weight: 3,
        member_limits: { "requests/day": 10, concurrency: 2 },
      });
      const draft = {
        name: "zoë.k@lab",
        password: "a long enough one",
        group: "lab",
        limits: { concurrency: 5 },
        expires_at: "2027-01-01T00:00:00+01:00",
      };
      const made = await visit("POST", "/admin/users", draft);
      assert.equal(made.status, 201);
      assert.equal(made.headers.get("location"), "/admin/users/zo%C3%AB.k%40lab");
      assert.equal(made.json.expires_at, "2026-12-31T23:00:00.000Z");
      assert.equal(made.json.has_password, true);
      assert.deepEqual(
        { ...made.json.effective },
        { weight: 3, class: "default", limits: { "requests/day": 10, concurrency: 5 }, runs_jobs: false },
      );

      const path = made.headers.get("location") as string;
      assert.deepEqual((await visit("GET", path)).json, made.json);
      const changed = await visit("PATCH", path, { weight: 0.5, limits: {}, expires_at: null });
      assert.equal(changed.json.weight, 0.5);
      assert.equal(changed.json.expires_at, null);
      assert.equal(changed.json.group, "lab");
      assert.deepEqual({ ...changed.json.effective?.limits }, { "requests/day": 10, concurrency: 2 });

      assert.equal((await visit("DELETE", path)).status, 204);
      assert.equal((await visit("GET", path)).json.code, "unknown_object");
      assert.equal((await visit("DELETE", path)).status, 404);
      assert.equal((await visit("DELETE", "/admin/groups/lab")).status, 204);
    });

    it("of the configuration file are shown, and not changed", async () => {
      assert.equal((await visit("GET", "/admin/users/fixed")).json.source, "config");
      for (const [method, body] of [
        ["PATCH", { role: "admin" }],
        ["DELETE", undefined],
      ] as const) {
        assert.equal((await visit(method, "/admin/users/fixed", body)).json.code, "read_only_object");
      }
      assert.equal((await visit("POST", "/admin/users", { name: "fixed" })).json.code, "conflict");
    });

    it("are refused with a field that is wrong in itself, which is named", async () => {
      for (const [body, param] of [
        [{ name: "" }, "name"],
        [{ name: "a b" }, "name"],
        [{ name: "x".repeat(129) }, "name"],
        [{ name: "new", password: "short" }, "password"],
        [{ name: "new", group: "nowhere" }, "group"],
        [{ name: "new", weight: 0 }, "weight"],
        [{ name: "new", limits: { "requests/day": 1.5 } }, "limits.requests/day"],
        [{ name: "new", expires_at: "2020-01-01T00:00:00Z" }, "expires_at"],
      ] as const) {
        const { status, json } = await visit("POST", "/admin/users", body);
        assert.equal(status, 400, JSON.stringify(body));
        assert.equal(json.param, param);
      }
    });

    it("are listed by name, in pages, filtered by the beginning of the name, by role and by group", async () => {
      await visit("POST", "/admin/groups", { name: "class-a" });
      for (const name of ["list-3", "list-1", "list-2", "lisa", "List-4"]) {
        await visit("POST", "/admin/users", { name, ...(name.startsWith("list") && { group: "class-a" }) });
      }
      const namesOf = async (path: string) => items((await visit("GET", path)).json.data).map(({ name }) => text(name));
      assert.deepEqual(await namesOf("/admin/users?q=lis"), ["lisa", "list-1", "list-2", "list-3"]);
      assert.deepEqual(await namesOf("/admin/users?q=list%25"), []);
      assert.deepEqual(await namesOf("/admin/users?q=list_1"), []);
      assert.deepEqual(await namesOf("/admin/users?group=class-a"), ["list-1", "list-2", "list-3"]);
      assert.deepEqual(await namesOf("/admin/users?role=admin"), ["root"]);

      const first = (await visit("GET", "/admin/users?q=list-&limit=2")).json;
      assert.deepEqual(
        items(first.data).map(({ name }) => text(name)),
        ["list-1", "list-2"],
      );
      const second = (await visit("GET", `/admin/users?q=list-&limit=2&cursor=${text(first.next_cursor)}`)).json;
      assert.deepEqual(
        items(second.data).map(({ name }) => text(name)),
        ["list-3"],
      );
      assert.equal(second.next_cursor, null);
    });

    it("never show a password or a hash, nor does the audit of their changes", async () => {
      await visit("POST", "/admin/users", { name: "secretive", password: "hunter2 hunter2" });
      await visit("PATCH", "/admin/users/secretive", { password: "hunter3 hunter3" });
      for (const path of ["/admin/users", "/admin/users/secretive", "/admin/audit?target=secretive"]) {
        assert.doesNotMatch((await visit("GET", path)).text, /hunter|argon2/);
      }
    });
  });

  describe("groups", () => {
    it("are created, shown, changed, and removed when nobody is in them", async () => {
      const made = await visit("POST", "/admin/groups", {
        name: "team",
        weight: 2,
        class: "batch",
        limits: { "cost/month": 20.5 },
      });
      assert.equal(made.status, 201);
      assert.deepEqual(
        { ...made.json, created_at: 0, updated_at: 0 },
        {
          name: "team",
          weight: 2,
          class: "batch",
          limits: { "cost/month": 20.5 },
          member_limits: {},
          runs_jobs: false,
          member_count: 0,
          created_at: 0,
          updated_at: 0,
        },
      );
      await visit("POST", "/admin/users", { name: "member", group: "team" });
      assert.equal((await visit("GET", "/admin/groups/team")).json.member_count, 1);
      assert.equal((await visit("PATCH", "/admin/groups/team", { class: null })).json.class, null);
      assert.equal((await visit("DELETE", "/admin/groups/team")).json.code, "conflict");
      await visit("DELETE", "/admin/users/member");
      assert.equal((await visit("DELETE", "/admin/groups/team")).status, 204);
      assert.equal((await visit("GET", "/admin/groups/team")).status, 404);
    });
  });

  describe("API keys", () => {
    it("are shown with their secret once, when they are made or replaced, and never again", async () => {
      await visit("POST", "/admin/users", { name: "owner" });
      const made = await visit("POST", "/admin/keys", { owner: "owner", name: "laptop", models: ["glm-4.5-*"] });
      assert.equal(made.status, 201);
      const secret = text(made.json.secret);
      assert.match(secret, /^glmp_[0-9A-Za-z]{49}$/);
      assert.equal(made.json.key?.prefix, secret.slice(5, 13));
      assert.equal((await room.visit("GET", "/me", { token: secret })).json.key?.name, "laptop");

      const path = `/admin/keys/${text(made.json.key?.id)}`;
      const rotated = await visit("POST", `${path}/rotate`, { overlap_seconds: 60 });
      assert.equal(rotated.status, 201);
      const old = await visit("GET", path);
      assert.equal(old.json.replaced_by, rotated.json.key?.id);
      assert.equal(old.json.state, "active");
      await room.clock.advance(60_000);
      root = await room.logIn("root");
      assert.equal((await visit("GET", path)).json.state, "expired");
      assert.equal((await room.visit("GET", "/me", { token: secret })).status, 401);
      assert.equal((await room.visit("GET", "/me", { token: text(rotated.json.secret) })).status, 200);

      const everything = await Promise.all(
        ["/admin/keys", path, "/admin/audit", "/admin/users/owner"].map((p) => visit("GET", p)),
      );
      const { createHash } = await import("node:crypto");
      for (const { text: shown } of everything) {
        assert.ok(!shown.includes(secret) && !shown.includes(createHash("sha256").update(secret).digest("hex")));
      }
    });

    it("are revoked at once and for good, and stay in the list", async () => {
      const { id, secret } = await room.addKey("root");
      const revoked = await visit("DELETE", `/admin/keys/${id}`);
      assert.equal(revoked.json.state, "revoked");
      assert.equal((await room.visit("GET", "/me", { token: secret })).status, 401);
      assert.equal(items((await visit("GET", "/admin/keys?state=revoked&owner=root")).json.data).length, 1);
      assert.equal((await visit("PATCH", `/admin/keys/${id}`, { name: "again" })).status, 409);
    });

    it("of scope admin are for owners that are administrators", async () => {
      await visit("POST", "/admin/users", { name: "plain" });
      assert.equal(
        (await visit("POST", "/admin/keys", { owner: "plain", name: "x", scope: "admin" })).json.param,
        "scope",
      );
      assert.equal(
        (await visit("POST", "/admin/keys", { owner: "root", name: "x", scope: "admin" })).json.key?.scope,
        "admin",
      );
    });

    it("of nobody are nobody's", async () => {
      assert.equal((await visit("POST", "/admin/keys", { owner: "ghost", name: "x" })).status, 400);
      assert.equal((await visit("GET", "/admin/keys/019aaf3e-0000-7000-8000-000000000000")).status, 404);
    });
  });

  describe("one's own API keys", () => {
    it("are made, changed, replaced and revoked by their owner", async () => {
      await room.addUser("ada");
      const token = await room.logIn("ada");
      const mine = (method: string, path: string, body?: object) =>
        room.visit(method, path, { token, ...(body && { body }) });
      const made = await mine("POST", "/me/keys", { name: "phone", limits: { "requests/day": 5 }, class: "batch" });
      assert.equal(made.status, 201);
      assert.equal(made.json.key?.owner, "ada");
      assert.equal(made.json.key?.scope, "calls");
      const path = `/me/keys/${text(made.json.key?.id)}`;
      assert.equal((await mine("PATCH", path, { name: "old phone" })).json.name, "old phone");
      assert.equal((await mine("POST", `${path}/rotate`)).status, 201);
      assert.equal((await mine("DELETE", path)).json.state, "revoked");
      assert.equal(items((await mine("GET", "/me/keys")).json.data).length, 2);
    });

    it("of a higher class than one's own are refused", async () => {
      const token = await room.logIn("ada");
      const { json } = await room.visit("POST", "/me/keys", { token, body: { name: "fast", class: "interactive" } });
      assert.equal(json.param, "class");
    });

    it("of others do not exist", async () => {
      await room.addUser("bob");
      const token = await room.logIn("bob");
      const { id } = await room.addKey("ada");
      const unknown = "019aaf3e-0000-7000-8000-000000000000";
      for (const [method, end] of [
        ["GET", ""],
        ["PATCH", ""],
        ["DELETE", ""],
        ["POST", "/rotate"],
      ] as const) {
        const body = method === "PATCH" || method === "POST" ? { body: {} } : {};
        const others = await room.visit(method, `/me/keys/${id}${end}`, { token, ...body });
        const nobodys = await room.visit(method, `/me/keys/${unknown}${end}`, { token, ...body });
        assert.equal(others.status, 404);
        assert.equal(others.text, nobodys.text);
      }
      assert.equal(room.people.findKey(id)?.revokedAt, null);
    });
  });

  it("shows each who they are, with the password nowhere", async () => {
    const token = await room.logIn("ada");
    const { text: shown } = await room.visit("GET", "/me", { token });
    assert.ok(!shown.includes(password));
    assert.deepEqual(room.failures, []);
  });
});
