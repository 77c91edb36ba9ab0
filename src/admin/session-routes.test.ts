import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Answer, type ControlRoom, openControlRoom, password, text } from "./fixtures/control-room.ts";

describe("sessions over HTTP", () => {
  let room: ControlRoom;
  beforeEach(async () => {
    room = await openControlRoom();
    await room.addUser("ada");
  });
  afterEach(() => room.close());

  const own = { "x-glm-proxy-csrf": "1", "sec-fetch-site": "same-origin" };
  const credentials = { username: "ada", password };
  const cookieOf = ({ headers }: Answer) => headers.get("set-cookie") ?? "";
  const pairOf = (answer: Answer) => cookieOf(answer).split(";", 1)[0] as string;

  it("are renewed by their token, with the old one good until it expires", async () => {
    const token = await room.logIn("ada");
    await room.clock.advance(20_000);
    const { status, json } = await room.visit("POST", "/auth/refresh", { token });
    assert.equal(status, 200);
    assert.equal(json.expires_in, 60);
    assert.equal((await room.visit("GET", "/me", { token })).status, 200);
    await room.clock.advance(50_000);
    assert.equal((await room.visit("GET", "/me", { token })).json.code, "token_expired");
    assert.equal((await room.visit("GET", "/me", { token: text(json.token) })).status, 200);
  });

  it("are not made of API keys", async () => {
    const { secret: token } = await room.addKey("ada");
    assert.equal((await room.visit("POST", "/auth/refresh", { token })).status, 403);
    assert.equal((await room.visit("POST", "/auth/logout", { token })).status, 403);
    await room.addUser("root", "admin");
    const { secret: adminKey } = await room.addKey("root", "admin");
    assert.equal((await room.visit("POST", "/auth/refresh", { token: adminKey })).status, 401);
  });

  it("end with all their tokens, at once", async () => {
    const token = await room.logIn("ada");
    const { json } = await room.visit("POST", "/auth/refresh", { token });
    const elsewhere = await room.logIn("ada");
    assert.equal((await room.visit("POST", "/auth/logout", { token })).status, 204);
    for (const dead of [token, text(json.token)]) {
      assert.equal((await room.visit("GET", "/me", { token: dead })).json.code, "invalid_token");
      assert.equal((await room.visit("POST", "/auth/refresh", { token: dead })).status, 401);
    }
    assert.equal((await room.visit("GET", "/me", { token: elsewhere })).status, 200);
  });

  describe("in a cookie", () => {
    it("are out of reach of scripts and of other sites, and live as long as they may be idle", async () => {
      const answer = await room.visit("POST", "/auth/session", { body: credentials });
      assert.equal(answer.status, 204);
      assert.equal(answer.text, "");
      assert.match(
        cookieOf(answer),
        /^glm_proxy_session=[\w-]+\.[\w-]+\.[\w-]+; HttpOnly; SameSite=Strict; Path=\/; Max-Age=600$/,
      );
      assert.equal((await room.visit("GET", "/me", { headers: { cookie: pairOf(answer) } })).json.user?.name, "ada");
    });

    it("over TLS are bound to this host and to TLS", async () => {
      const answer = await room.visit("POST", "/auth/session", { body: credentials, isSecure: true });
      assert.match(
        cookieOf(answer),
        /^__Host-glm_proxy_session=[^;]+; HttpOnly; SameSite=Strict; Path=\/; Max-Age=600; Secure$/,
      );
      const cookie = pairOf(answer);
      assert.equal((await room.visit("GET", "/me", { headers: { cookie }, isSecure: true })).status, 200);
    });

    it("are not opened by other sites", async () => {
      for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "http://evil.test" }]) {
        const answer = await room.visit("POST", "/auth/session", {
          body: credentials,
          headers: headers as Record<string, string>,
        });
        assert.equal(answer.status, 403);
        assert.equal(cookieOf(answer), "");
      }
      const headers = { "sec-fetch-site": "same-origin", origin: "http://gateway.test" };
      assert.equal((await room.visit("POST", "/auth/session", { body: credentials, headers })).status, 204);
    });

    it("go on while they are used, and end once they were idle for as long as they may be", async () => {
      room.setLifetimes({ tokenSeconds: 60, consoleIdleSeconds: 3_600, sessionSeconds: 86_400 });
      await room.clock.advance(5_000);
      let cookie = pairOf(await room.visit("POST", "/auth/session", { body: credentials }));
      const look = async () => {
        const answer = await room.visit("GET", "/me/keys", { headers: { cookie } });
        if (answer.status === 200) cookie = pairOf(answer) || cookie;
        return answer.status;
      };
      for (let hour = 0; hour < 10; hour++) {
        await room.clock.advance(3_590_000);
        assert.equal(await look(), 200, `used an hour ago, ${hour}`);
      }
      // Used just before: the cookie was not renewed then, and the idle time is exact to a minute all the same.
      await room.clock.advance(50_000);
      assert.equal(await look(), 200);
      await room.clock.advance(3_600_000);
      assert.equal(await look(), 401);
    });

    it("end by the server's clock and its present setting, whatever the browser sends", async () => {
      room.setLifetimes({ tokenSeconds: 60, consoleIdleSeconds: 28_800, sessionSeconds: 86_400 });
      const answer = await room.visit("POST", "/auth/session", { body: credentials });
      assert.match(cookieOf(answer), /Max-Age=28800$/);
      const headers = { cookie: pairOf(answer) };
      await room.clock.advance(1_000_000);
      assert.equal((await room.visit("GET", "/me", { headers })).status, 200);
      room.setLifetimes({ tokenSeconds: 60, consoleIdleSeconds: 600, sessionSeconds: 86_400 });
      assert.equal((await room.visit("GET", "/me", { headers })).json.code, "token_expired");
    });

    it("are renewed by any answer once a minute, and only as long as the session lasts", async () => {
      await room.clock.advance(5_000);
      let cookie = pairOf(await room.visit("POST", "/auth/session", { body: credentials }));
      const look = () => room.visit("GET", "/me/keys", { headers: { cookie } });
      await room.clock.advance(59_000);
      assert.equal(cookieOf(await look()), "");
      await room.clock.advance(1_000);
      const renewed = await look();
      assert.match(cookieOf(renewed), /^glm_proxy_session=.+; HttpOnly; SameSite=Strict; Path=\/; Max-Age=540$/);

      const refused = await room.visit("GET", "/me/keys?limit=x", { headers: { cookie } });
      assert.equal(refused.status, 400);
      assert.notEqual(cookieOf(refused), "");

      for (let passed = 60; passed < 600; passed += 30) {
        cookie = pairOf(await look()) || cookie;
        await room.clock.advance(30_000);
      }
      assert.equal((await look()).status, 401);
    });

    it("are ended and dropped", async () => {
      const cookie = pairOf(await room.visit("POST", "/auth/session", { body: credentials }));
      assert.equal((await room.visit("DELETE", "/auth/session", { headers: { cookie } })).status, 403);
      await room.clock.advance(40_000);
      const ended = await room.visit("DELETE", "/auth/session", { headers: { cookie, ...own } });
      assert.equal(ended.status, 204);
      assert.match(cookieOf(ended), /^glm_proxy_session=; .*Max-Age=0/);
      assert.equal((await room.visit("GET", "/me", { headers: { cookie } })).status, 401);
    });

    it("are told to the log, granted and refused, without what might be a password", async () => {
      await room.visit("POST", "/auth/session", { body: credentials });
      await room.visit("POST", "/auth/session", { body: { username: "my pass word", password: "x" } });
      assert.deepEqual(
        room.logins.map(({ outcome, user, address }) => [outcome, user, address]),
        [
          ["granted", "ada", "192.0.2.7"],
          ["refused", null, "192.0.2.7"],
        ],
      );
    });
  });

  describe("of the first administrator", () => {
    const account = { username: "root", password: "a very long secret" };

    it("begin with a link that works once", async () => {
      const token = room.setup.open();
      const made = await room.visit("POST", "/auth/setup", { body: { setup_token: token, ...account } });
      assert.equal(made.status, 201);
      assert.equal(made.json.role, "admin");
      assert.equal((await room.visit("POST", "/auth/setup", { body: { setup_token: token, ...account } })).status, 401);
      const { json } = await room.visit("GET", "/admin/audit", { isLocalSocket: true });
      assert.match(JSON.stringify(json), /"actor":"root","via":"setup_link","address":"192.0.2.7"/);
    });

    it("are refused with any other token, and with a password that won't do, which may be corrected", async () => {
      const token = room.setup.open();
      assert.equal(
        (await room.visit("POST", "/auth/setup", { body: { setup_token: "guess", ...account } })).status,
        401,
      );
      const weak = await room.visit("POST", "/auth/setup", {
        body: { setup_token: token, username: "root", password: "short" },
      });
      assert.equal(weak.json.param, "password");
      assert.equal((await room.visit("POST", "/auth/setup", { body: { setup_token: token, ...account } })).status, 201);
    });

    it("have a page that lets nothing from outside in", async () => {
      const { status, headers, text: page } = await room.visit("GET", "/auth/setup", { language: "zh" });
      assert.equal(status, 200);
      assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src 'sha256-/);
      assert.match(page, /<html lang="zh-CN">/);
      assert.doesNotMatch(page, /https?:\/\//);
    });
  });
});
