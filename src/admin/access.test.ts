import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ControlRoom, openControlRoom, password } from "./fixtures/control-room.ts";

describe("access to the control plane", () => {
  let room: ControlRoom;
  let ada: string;
  let root: string;
  before(async () => {
    room = await openControlRoom();
    await room.addUser("ada");
    await room.addUser("root", "admin");
    ada = await room.logIn("ada");
    root = await room.logIn("root");
  });
  after(() => room.close());

  const statusOf = async (method: string, path: string, options = {}) =>
    (await room.visit(method, path, options)).status;

  it("is refused without a credential, in the same words whatever is wrong with one", async () => {
    const bad = [undefined, "nonsense", `${ada}x`, `glmp_${"A".repeat(49)}`, "glmp_"];
    const answers = await Promise.all(
      bad.map((token) => room.visit("GET", "/me", token === undefined ? {} : { token })),
    );
    assert.deepEqual([...new Set(answers.map(({ status, text }) => `${status} ${text}`))].length, 1);
    assert.equal(answers[0]?.status, 401);
    assert.equal(answers[0]?.json.code, "invalid_token");
    assert.match(answers[0]?.headers.get("www-authenticate") ?? "", /^Bearer /);
  });

  it("is for everybody at /me, and for administrators at /admin", async () => {
    assert.deepEqual(await Promise.all([ada, root].map((token) => statusOf("GET", "/me", { token }))), [200, 200]);
    assert.deepEqual(
      await Promise.all([ada, root].map((token) => statusOf("GET", "/admin/users", { token }))),
      [403, 200],
    );
  });

  it("is decided before anything of the request is checked", async () => {
    const body = '{"broken';
    assert.equal(await statusOf("POST", "/admin/users?limit=x", { body }), 401);
    assert.equal(await statusOf("POST", "/admin/users?limit=x", { body, token: ada }), 403);
    assert.equal(await statusOf("POST", "/admin/users", { body, token: root }), 400);
  });

  it("with an API key of scope calls is to its owner's own figures alone, an administrator's too", async () => {
    for (const owner of ["ada", "root"]) {
      const { secret: token } = await room.addKey(owner);
      for (const path of ["/me", "/me/usage", "/me/queue"])
        assert.equal(await statusOf("GET", path, { token }), 200, path);
      for (const path of ["/me/keys", "/me/calls", "/admin/users", "/admin/queue"]) {
        assert.equal(await statusOf("GET", path, { token }), 403, path);
      }
      assert.equal(await statusOf("POST", "/me/keys", { token, body: { name: "more" } }), 403);
    }
  });

  it("with an API key of scope admin is its owner's, and ends with the owner's role", async () => {
    await room.addUser("eve", "admin");
    const { secret: token } = await room.addKey("eve", "admin");
    assert.equal(await statusOf("GET", "/admin/users", { token }), 200);
    assert.equal(await statusOf("GET", "/me/keys", { token }), 200);
    await room.visit("PATCH", "/admin/users/eve", { token: root, body: { role: "user" } });
    assert.equal(await statusOf("GET", "/admin/users", { token }), 403);
  });

  it("takes a key where x-api-key has it, and neither of two that differ", async () => {
    const { secret } = await room.addKey("ada");
    const { secret: other } = await room.addKey("ada");
    assert.equal(await statusOf("GET", "/me", { headers: { "x-api-key": secret } }), 200);
    assert.equal(await statusOf("GET", "/me", { headers: { "x-api-key": secret }, token: other }), 401);
  });

  it("ends with the user, at once", async () => {
    await room.addUser("tom");
    const token = await room.logIn("tom");
    const { secret } = await room.addKey("tom");
    assert.equal(await statusOf("GET", "/me", { token }), 200);
    await room.visit("PATCH", "/admin/users/tom", { token: root, body: { is_enabled: false } });
    assert.equal(await statusOf("GET", "/me", { token }), 401);
    assert.equal(await statusOf("GET", "/me", { token: secret }), 401);
  });

  it("over the local socket is the operator's: everything but what is one's own", async () => {
    const isLocalSocket = true;
    assert.equal(await statusOf("GET", "/admin/users", { isLocalSocket }), 200);
    assert.equal(await statusOf("GET", "/me", { isLocalSocket }), 403);
    await room.visit("POST", "/admin/groups", { isLocalSocket, body: { name: "made-locally" } });
    const { json } = await room.visit("GET", "/admin/audit?target=made-locally", { token: root });
    assert.match(JSON.stringify(json), /"actor":"local","via":"socket"/);
  });

  describe("with the session cookie", () => {
    const cookie = () => ({ cookie: `theme=dark; glm_proxy_session=${root}` });
    const own = { "x-glm-proxy-csrf": "1", "sec-fetch-site": "same-origin" };
    let index = 0;
    const create = (headers: Record<string, string>) =>
      statusOf("POST", "/admin/groups", { headers: { ...cookie(), ...headers }, body: { name: `group-${index++}` } });

    it("reads without more", async () => {
      assert.equal(await statusOf("GET", "/admin/users", { headers: cookie() }), 200);
      assert.equal(await statusOf("HEAD", "/admin/users", { headers: cookie() }), 200);
    });

    it("changes something for a page of this origin alone", async () => {
      assert.equal(await create(own), 201);
      assert.equal(await create({ "x-glm-proxy-csrf": "1", origin: "http://gateway.test" }), 201);
      for (const headers of [
        {},
        { "x-glm-proxy-csrf": "1" },
        { "x-glm-proxy-csrf": "yes", "sec-fetch-site": "same-origin" },
        { "sec-fetch-site": "same-origin" },
        { ...own, "sec-fetch-site": "cross-site" },
        { ...own, "sec-fetch-site": "same-site" },
        { ...own, "sec-fetch-site": "none" },
        { ...own, "sec-fetch-site": "cross-site", origin: "http://gateway.test" },
        { "x-glm-proxy-csrf": "1", origin: "http://evil.test" },
        { "x-glm-proxy-csrf": "1", origin: "http://gateway.test.evil.test" },
        { "x-glm-proxy-csrf": "1", origin: "https://gateway.test" },
        { "x-glm-proxy-csrf": "1", origin: "http://gateway.test:8080" },
        { "x-glm-proxy-csrf": "1", origin: "ftp://gateway.test" },
        { "x-glm-proxy-csrf": "1", origin: "null" },
        { "x-glm-proxy-csrf": "1", origin: "" },
      ]) {
        assert.equal(await create(headers as Record<string, string>), 403, JSON.stringify(headers));
      }
    });

    it("changes something over TLS for a page over TLS alone", async () => {
      const secure = { cookie: `__Host-glm_proxy_session=${root}`, "x-glm-proxy-csrf": "1" };
      const createOver = async (origin: string) => {
        const name = `group-${index++}`;
        const options = { isSecure: true, headers: { ...secure, origin }, body: { name } };
        return (await room.visit("POST", "/admin/groups", options)).status;
      };
      assert.equal(await createOver("https://gateway.test"), 201);
      assert.equal(await createOver("https://gateway.test:443"), 201);
      assert.equal(await createOver("http://gateway.test"), 403);
      assert.equal(await createOver("http://gateway.test:443"), 403);
    });

    it("is not looked at beside a header", async () => {
      assert.equal(await statusOf("GET", "/admin/users", { headers: cookie(), token: ada }), 403);
      assert.equal(await statusOf("GET", "/me", { headers: { ...cookie(), authorization: "Basic YTpi" } }), 401);
    });

    it("is none when there are two, or when it is another connection's", async () => {
      const two = { cookie: `glm_proxy_session=${root}; glm_proxy_session=${ada}` };
      assert.equal(await statusOf("GET", "/me", { headers: two }), 401);
      assert.equal(await statusOf("GET", "/me", { headers: cookie(), isSecure: true }), 401);
      const host = { cookie: `__Host-glm_proxy_session=${root}` };
      assert.equal(await statusOf("GET", "/me", { headers: host, isSecure: true }), 200);
      assert.equal(await statusOf("GET", "/me", { headers: host }), 401);
    });

    it("is dropped when it is dead", async () => {
      const { status, headers } = await room.visit("GET", "/me", { headers: { cookie: "glm_proxy_session=dead" } });
      assert.equal(status, 401);
      assert.match(headers.get("set-cookie") ?? "", /^glm_proxy_session=; .*Max-Age=0/);
    });
  });

  it("is told what is asked for too often at once, by user", async () => {
    const many = await Promise.all(Array.from({ length: 40 }, () => room.visit("GET", "/me/calls", { token: ada })));
    const { length: refused } = many.filter(({ status }) => status === 429);
    assert.equal(refused, 24);
    assert.equal(many.find(({ status }) => status === 429)?.json.code, "concurrency_exceeded");
    assert.equal(await statusOf("GET", "/me/calls", { token: ada }), 200);
  });

  it("by a login over HTTP comes with the same words for everybody", async () => {
    const body = { username: "ada", password };
    assert.equal(await statusOf("POST", "/auth/session", { body }), 204);
    const wrong = await room.visit("POST", "/auth/session", { body: { ...body, password: "wrong one" } });
    const unknown = await room.visit("POST", "/auth/session", { body: { ...body, username: "nobody" } });
    assert.equal(wrong.status, 401);
    assert.equal(wrong.text, unknown.text);
  });
});
