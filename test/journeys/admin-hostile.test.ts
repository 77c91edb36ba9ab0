// What somebody might send to the control plane who means no good: SQL, wildcards, forged cursors, other sites' pages,
// bodies that are none.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type AdminScene, openAdminScene, routeTable, storePassword } from "../support/admin-scene.ts";
import { chat, send, until } from "../support/gateway.ts";

const hostileTexts = [
  "'",
  "' OR '1'='1",
  "'; DROP TABLE users; --",
  "ada'--",
  '" OR ""="',
  "1 UNION SELECT password_hash FROM users",
  "\\'; --",
  "$1",
  "?",
  "%",
  "_",
  "a%",
  "%25",
  "a*",
  "../../etc/passwd",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "ada ",
  "ADA",
  "\u202eada",
  "😀".repeat(40),
];

interface List {
  readonly data: readonly Record<string, unknown>[];
  readonly next_cursor: string | null;
}

describe("hostile requests to the control plane", () => {
  let scene: AdminScene;
  let everything: string;
  before(async () => {
    scene = await openAdminScene({ server: { trustedProxies: ["127.0.0.1"] } });
    const token = scene.adaToken;
    assert.equal((await send(`${scene.gateway.url}/v1/chat/completions`, { token, body: chat() })).status, 200);
    await until("the call is in the ledger", async () => {
      const { json } = await scene.visit("GET", "/admin/calls?state=served");
      return (json as List).data.length === 1;
    });
    everything = await scene.everything();
  });
  after(() => scene.stop());

  const lists = routeTable.filter(
    ({ method, path, query }) =>
      method === "get" && query !== null && !path.startsWith("/me") && path !== "/admin/events",
  );
  const filtersOf = (route: (typeof lists)[number]) => Object.keys(route.query?.shape ?? {});
  /** Texts by which something is looked for, as against those of a fixed choice. */
  const searched = ["q", "group", "owner", "user", "key_id", "model", "request_id", "actor", "action", "target"];

  it("with SQL and wildcards in filters find nothing, and nothing of it is run", async () => {
    let count = 0;
    for (const route of lists) {
      for (const filter of filtersOf(route).filter((name) => searched.includes(name))) {
        for (const text of hostileTexts) {
          const { status, json } = await scene.visit("GET", `${route.path}?${new URLSearchParams({ [filter]: text })}`);
          assert.equal(status, 200, `${route.path} ${filter}=${text}`);
          const { data, waiting } = json as { data?: unknown[]; waiting?: unknown[] };
          assert.deepEqual(data ?? waiting, [], `${route.path} ${filter}=${text}`);
          count++;
        }
      }
    }
    assert.ok(count > 300, `${count} requests`);
    assert.equal(await scene.everything(), everything);
  });

  it("with control characters in filters are refused", async () => {
    for (const text of ["\0", "a\0b", "a\nb", "\u0007"]) {
      const { status, json } = await scene.visit("GET", `/admin/calls?${new URLSearchParams({ user: text })}`);
      assert.equal(status, 400);
      assert.equal((json as { param: string }).param, "user");
    }
  });

  it("with SQL in names and ids find nothing", async () => {
    for (const route of routeTable.filter(({ method, path }) => method === "get" && path.includes("{"))) {
      for (const text of hostileTexts) {
        const path = route.path.replace(/\{\w+\}/, () => encodeURIComponent(text));
        const { status } = await scene.visit("GET", path);
        // What a path must not have is refused before any route sees it.
        assert.ok([400, 404].includes(status), `${path}: ${status}`);
      }
    }
  });

  it("with SQL in fields are refused, or kept as the texts that they are", async () => {
    for (const text of hostileTexts) {
      const made = await scene.visit("POST", "/me/keys", { name: text }, { method: "POST", token: scene.bobToken });
      if (made.status === 201) {
        const { key } = made.json as { key: { id: string; name: string } };
        assert.equal(key.name, text);
        const shown = await scene.visit("GET", `/admin/keys/${key.id}`);
        assert.equal((shown.json as { name: string }).name, text);
      } else {
        assert.equal(made.status, 400, text);
      }
      const user = await scene.visit("POST", "/admin/users", { name: text });
      assert.ok(user.status === 400 || (user.status === 201 && text === "ADA"), `${text}: ${user.status}`);
    }
    assert.equal((await scene.visit("GET", "/admin/users/ADA")).status, 200);
    assert.equal((await scene.visit("GET", "/admin/users/ada")).status, 200);
  });

  it("with a cursor that no list gave out are refused, and one of another user's list shows nothing of theirs", async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const paged = lists.filter((route) => filtersOf(route).includes("cursor")).map(({ path }) => path);
    assert.ok(paged.length >= 5);
    const forged = [
      "x",
      "W10",
      encode(["users"]),
      encode(["users", "a\0"]),
      encode({ after: "ada" }),
      encode(["calls", "' or 1=1"]),
      encode(["audit", "1e3"]),
      "%00",
    ];
    for (const path of [...paged, "/me/keys", "/me/calls"]) {
      for (const cursor of forged) {
        const { status, json } = await scene.visit("GET", `${path}?${new URLSearchParams({ cursor })}`);
        assert.equal(status, 400, `${path} ${cursor}`);
        assert.equal((json as { param: string }).param, "cursor");
      }
    }
    // Well made, but by somebody else: it says where to go on, never what may be seen.
    const everybodys = (await scene.visit("GET", "/admin/keys?limit=1")).json as List;
    const query = new URLSearchParams({ cursor: everybodys.next_cursor as string });
    const { json } = await scene.visit("GET", `/me/keys?${query}`, undefined, { token: scene.bobToken });
    assert.ok((json as List).data.every(({ owner }) => owner === "bob"));
  });

  it("with bodies that are no JSON objects, or too deep, too large or too odd, are refused", async () => {
    const post = (body: string | Buffer, headers = {}) =>
      scene.visit("POST", "/admin/users", undefined, { method: "POST", token: scene.rootToken, body, headers });
    for (const [body, status] of [
      ["[]", 400],
      ["null", 400],
      ['"name"', 400],
      ["{", 400],
      ['{"name":"x"}{"name":"y"}', 400],
      ["[".repeat(30_000), 400],
      [`{"name":"x","limits":${'{"a":'.repeat(40)}1${"}".repeat(40)}}`, 400],
      [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400],
      [`{"name":"${"x".repeat(70_000)}"}`, 413],
      ['{"name":"x","__proto__":{"role":"admin"}}', 400],
      ['{"name":"\\ud800"}', 400],
      ['{"name":"x","weight":1e999}', 400],
    ] as const) {
      const answer = await post(body);
      assert.equal(answer.status, status, String(body).slice(0, 60));
      assert.ok((answer.json as { code: string }).code);
    }
    assert.equal((await post('{"name":"x"}', { "content-type": "text/plain" })).status, 415);
    assert.equal((await post("name=x", { "content-type": "application/x-www-form-urlencoded" })).status, 415);
  });

  describe("from pages of other sites, with a visitor's cookie", () => {
    let cookie: string;
    before(async () => {
      const body = { username: "root", password: "root's own word" };
      const { headers } = await send(`${scene.gateway.url}/auth/session`, { body });
      cookie = String(headers["set-cookie"]).split(";", 1)[0] as string;
    });

    const forge = (headers: Record<string, string>, body: object | string = { name: "forged" }) =>
      send(`${scene.gateway.url}/admin/groups`, { body, headers: { cookie, ...headers } });

    it("change nothing: a form, a fetch with and without the header, a link", async () => {
      const site = { "sec-fetch-site": "cross-site", origin: "https://evil.example" };
      const form = { ...site, "content-type": "application/x-www-form-urlencoded" };
      assert.equal((await forge(form, "name=forged")).status, 403);
      assert.equal((await forge({ ...site, "content-type": "text/plain" }, '{"name":"forged"}')).status, 403);
      assert.equal((await forge(site)).status, 403);
      assert.equal((await forge({ ...site, "x-glm-proxy-csrf": "1" })).status, 403);
      assert.equal((await forge({ "x-glm-proxy-csrf": "1" })).status, 403);
      assert.equal((await forge({})).status, 403);
      const link = await send(`${scene.gateway.url}/admin/groups?name=forged`, { headers: { cookie, ...site } });
      assert.equal(link.status, 400);
      assert.equal((await scene.visit("GET", "/admin/groups/forged")).status, 404);
    });

    it("get no leave to ask: no answer opens it to another origin", async () => {
      const asked = await send(`${scene.gateway.url}/admin/groups`, {
        method: "OPTIONS",
        headers: {
          origin: "https://evil.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "x-glm-proxy-csrf,content-type",
        },
      });
      assert.equal(asked.status, 405);
      assert.deepEqual(
        Object.keys(asked.headers).filter((name) => name.startsWith("access-control")),
        [],
      );
    });

    it("of our own change what they should", async () => {
      const own = { "x-glm-proxy-csrf": "1", origin: scene.gateway.url };
      assert.equal((await forge(own, { name: "meant" })).status, 201);
      assert.equal(
        (await forge({ "x-glm-proxy-csrf": "1", "sec-fetch-site": "same-origin" }, { name: "meant-too" })).status,
        201,
      );
    });

    it("can't log a visitor in as somebody else", async () => {
      const body = { username: "ada", password: storePassword };
      const { status, headers } = await send(`${scene.gateway.url}/auth/session`, {
        body,
        headers: { "sec-fetch-site": "cross-site", origin: "https://evil.example" },
      });
      assert.equal(status, 403);
      assert.equal(headers["set-cookie"], undefined);
    });

    it("are answered with a cookie for TLS alone when a trusted proxy says that it is TLS", async () => {
      const body = { username: "ada", password: storePassword };
      const { headers } = await send(`${scene.gateway.url}/auth/session`, {
        body,
        headers: { "x-forwarded-proto": "https" },
      });
      assert.match(
        String(headers["set-cookie"]),
        /^__Host-glm_proxy_session=.*; HttpOnly; SameSite=Strict; Path=\/; .*; Secure$/,
      );
    });
  });

  it("leave no failure behind that was not foreseen", () => {
    assert.deepEqual(
      scene.gateway.logLines.filter((line) => line.includes("request failed")),
      [],
    );
  });
});
