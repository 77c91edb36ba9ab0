// The control plane beside calls that run: revocation, one's own figures, and the stream of events.

import assert from "node:assert/strict";
import { get, type IncomingMessage } from "node:http";
import { after, before, describe, it } from "node:test";
import { createParser } from "eventsource-parser";
import { type AdminScene, openAdminScene, storePassword } from "../support/admin-scene.ts";
import { chat, send, until } from "../support/gateway.ts";

type Fields = Record<string, unknown>;

interface Event {
  readonly event: string | undefined;
  readonly data: Fields;
}

describe("the control plane of a gateway at work", () => {
  let scene: AdminScene;
  before(async () => {
    scene = await openAdminScene({
      rateLimit: { concurrencyMax: 1 },
      prices: { currency: "CNY", models: [] },
    });
  });
  after(() => scene.stop());

  const ask = (token: string, content = "hello", more: object = {}) =>
    send(`${scene.gateway.url}/v1/chat/completions`, { token, body: chat(content, more) });

  function listen(query: string): {
    readonly events: Event[];
    readonly response: Promise<IncomingMessage>;
    close(): void;
  } {
    const events: Event[] = [];
    const parser = createParser({
      onEvent: ({ event, data }) => void events.push({ event, data: JSON.parse(data) as Fields }),
    });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = get(`${scene.gateway.url}/admin/events?${query}`, {
      agent: false,
      headers: { authorization: `Bearer ${scene.rootAdminKey.secret}` },
    });
    request.on("error", reject);
    request.on("response", (response) => {
      response.setEncoding("utf8").on("data", (text: string) => parser.feed(text));
      response.on("error", () => {});
      resolve(response);
    });
    return { events, response: promise, close: () => request.destroy() };
  }

  it("ends a key, a session and a user within a second, for calls and here", async () => {
    const { json } = await scene.visit("POST", "/admin/keys", { owner: "bob", name: "short-lived" });
    const { key, secret } = json as { key: { id: string }; secret: string };
    assert.equal((await ask(secret)).status, 200);
    assert.equal((await scene.visit("DELETE", `/admin/keys/${key.id}`)).status, 200);
    const revokedAt = performance.now();
    assert.equal((await ask(secret)).status, 401);
    assert.equal((await scene.visit("GET", "/me", undefined, { token: secret })).status, 401);

    const token = await scene.gateway.logIn("bob", storePassword);
    assert.equal((await ask(token)).status, 200);
    assert.equal((await scene.visit("POST", "/auth/logout", undefined, { method: "POST", token })).status, 204);
    assert.equal((await ask(token)).status, 401);

    await scene.visit("POST", "/admin/users", { name: "tom", password: storePassword });
    const toms = await scene.gateway.logIn("tom", storePassword);
    assert.equal((await ask(toms)).status, 200);
    await scene.visit("PATCH", "/admin/users/tom", { password: "another long one" });
    assert.equal((await ask(toms)).status, 401);
    assert.ok(performance.now() - revokedAt < 5_000);
  });

  it("shows a call that has ended to its user and to administrators, alike everywhere", async () => {
    const stream = listen("types=call&user=ada");
    await stream.response;
    const answer = await ask(scene.adaKey.secret, "count me", { stream: false });
    const requestId = String(answer.headers["x-request-id"]);
    await until("the event", () => stream.events.length === 1);
    const live = stream.events[0]?.data as Fields;
    stream.close();
    assert.equal(live.request_id, requestId);
    assert.equal(live.key_id, scene.adaKey.id);
    assert.equal(live.state, "served");

    await until("the record is settled", async () => {
      const { json } = await scene.visit("GET", `/admin/calls/${String(live.id)}`);
      return (json as Fields).state === "served";
    });
    const found = await scene.visit("GET", `/admin/calls/${String(live.id)}`);
    assert.deepEqual(found.json, live);
    const own = await scene.visit("GET", `/me/calls?request_id=${requestId}`, undefined, { token: scene.adaToken });
    assert.deepEqual((own.json as { data: unknown[] }).data, [live]);
    const others = await scene.visit("GET", `/me/calls?request_id=${requestId}`, undefined, { token: scene.bobToken });
    assert.deepEqual((others.json as { data: unknown[] }).data, []);
    const usage = await scene.visit("GET", "/me/usage?by=key", undefined, { token: scene.adaKey.secret });
    assert.equal(
      (usage.json as { data: { name: string; calls: number }[] }).data.find(({ name }) => name === scene.adaKey.id)
        ?.calls,
      1,
    );
  });

  it("shows what waits and runs, to users only their own, and tells when it changes", async () => {
    const stream = listen("types=queue");
    await stream.response;
    const slow = Array.from({ length: 3 }, (_, index) =>
      ask(index === 0 ? scene.bobToken : scene.adaKey.secret, "x ".repeat(1_500)),
    );
    await until("two wait", async () => {
      const { json } = await scene.visit("GET", "/admin/queue");
      const { waiting_count: waiting, running_count: running } = json as {
        waiting_count: number;
        running_count: number;
      };
      return waiting + running >= 1;
    });
    const mine = await scene.visit("GET", "/me/queue", undefined, { token: scene.adaKey.secret });
    assert.doesNotMatch(mine.text, /"user":"bob"/);
    await Promise.all(slow);
    assert.ok(stream.events.length >= 1);
    assert.ok(stream.events.every(({ event }) => event === "queue"));
    stream.close();
  });

  it("shows the quotas that are left, and raises them at once", async () => {
    await scene.visit("POST", "/admin/users", { name: "kim", password: storePassword, limits: { "requests/day": 1 } });
    const token = await scene.gateway.logIn("kim", storePassword);
    assert.equal((await ask(token)).status, 200);
    const quotasOf = async () => {
      const { json } = await scene.visit("GET", "/me", undefined, { token });
      return (json as { quotas: Fields[] }).quotas.map(({ name, limit, used }) => ({ name, limit, used }));
    };
    await until("it is counted", async () => (await quotasOf())[0]?.used === 1);
    assert.deepEqual(await quotasOf(), [{ name: "requests/day", limit: 1, used: 1 }]);
    assert.equal((await ask(token)).status, 429);
    await scene.visit("PATCH", "/admin/users/kim", { limits: { "requests/day": 2 } });
    assert.equal((await ask(token)).status, 200);
  });

  it("ends its streams when the gateway stops", async () => {
    const other = await openAdminScene();
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(
        `${other.gateway.url}/admin/events`,
        { agent: false, headers: { authorization: `Bearer ${other.rootToken}` } },
        resolve,
      ).on("error", reject);
    });
    const ended = new Promise((resolve) => response.once("end", resolve).resume());
    const startedAt = performance.now();
    await other.stop();
    await ended;
    assert.ok(performance.now() - startedAt < 2_000);
    assert.ok(response.complete);
  });
});
