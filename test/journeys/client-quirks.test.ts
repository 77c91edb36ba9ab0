// What clients and proxies really send about who they are and what they ask for, over real sockets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chat, send, startGateway, type TestGateway } from "../support/gateway.ts";

const admin = { username: "root", password: "root's password", role: "admin", weight: 1, class: "default" } as const;

describe("a client", () => {
  let gateway: TestGateway;
  let token: string;
  before(async () => {
    gateway = await startGateway({
      auth: { users: [admin] },
      server: { trustedProxies: ["127.0.0.1"] },
      glm: { aliases: new Map([["openai/gpt-x", "glm-4.5-flash"]]) },
    });
    token = await gateway.logIn("root", "root's password");
  });
  after(() => gateway.stop());

  it("has its own address behind a proxy that writes ports, so that another's wrong logins don't lock it out", async () => {
    const logIn = (password: string, forwarded: string) =>
      send(`${gateway.url}/auth/login`, {
        headers: { "x-forwarded-for": forwarded },
        body: { username: "root", password },
      });
    for (let port = 5_001; port < 5_009; port++) await logIn("wrong", `203.0.113.7:${port}`);
    assert.equal((await logIn("root's password", "203.0.113.7:6000")).status, 429);
    assert.equal((await logIn("root's password", "198.51.100.9:4444")).status, 200);
    assert.equal((await logIn("root's password", '"[2001:db8::9]:4444"')).status, 200);
  });

  it("may send another service's credential next to its own", async () => {
    const { json } = await send(`${gateway.url}/admin/keys`, { token, body: { owner: "root", name: "test" } });
    const { secret } = json as { secret: string };
    const headers = { authorization: "Bearer sk-ant-oat01-abc", "x-api-key": secret };
    const { status } = await send(`${gateway.url}/v1/chat/completions`, { headers, body: chat("hi") });
    assert.equal(status, 200);
  });

  it("can fetch each model that the list has by its id, however it writes a slash", async () => {
    const { json } = await send(`${gateway.url}/v1/models`, { token });
    const ids = (json as { data: { id: string }[] }).data.map(({ id }) => id);
    assert.ok(ids.includes("openai/gpt-x"));
    for (const path of [...ids, "openai%2Fgpt-x", "openai%2fgpt-x"]) {
      const { status } = await send(`${gateway.url}/v1/models/${path}`, { token });
      assert.equal(status, 200, path);
    }
  });

  it("gets a refusal and never an internal error for a name that is none", async () => {
    for (const path of ["%FF", "%", "%zz", "a%2F..%2Fadmin", "a%2e%2e", "x/y/z", "openai%2F"]) {
      const { status } = await send(`${gateway.url}/v1/models/${path}`, { token });
      assert.ok(status === 400 || status === 404, `${path}: ${status}`);
    }
    assert.ok(!gateway.logLines.some((line) => line.includes("internal_error") || line.includes('"level":50')));
  });
});
