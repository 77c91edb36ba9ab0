import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { send } from "../../test/support/gateway.ts";
import { until } from "../../test/support/until.ts";
import { type ControlRoom, openControlRoom } from "./fixtures/control-room.ts";

describe("the control plane", () => {
  let room: ControlRoom;
  before(async () => {
    room = await openControlRoom();
    await room.addUser("ada");
    await room.addUser("root", "admin");
  });
  after(() => room.close());

  it("has paths of its own, and leaves all others alone", () => {
    const own = [
      "/me",
      "/me/keys",
      "/admin",
      "/admin/users/x",
      "/auth/refresh",
      "/auth/logout",
      "/auth/session",
      "/auth/setup",
    ];
    for (const path of [...own, "/openapi.json", "/docs"]) assert.ok(room.control.handles(path), path);
    for (const path of [
      "/",
      "/auth/login",
      "/auth",
      "/mean",
      "/administrator",
      "/v1/chat/completions",
      "/metrics",
      "/docsify",
    ]) {
      assert.ok(!room.control.handles(path), path);
    }
  });

  describe("without a socket", () => {
    it("serves whoever runs this machine, and says so in the audit", async () => {
      const made = await room.control.request("POST", "/admin/users", { name: "cli-made" });
      assert.equal(made.status, 201);
      assert.equal((made.json as { name: string }).name, "cli-made");
      assert.equal(made.headers.location, "/admin/users/cli-made");
      const audit = await room.control.request("GET", "/admin/audit?target=cli-made");
      assert.match(JSON.stringify(audit.json), /"actor":"local","via":"command"/);
    });

    it("answers refusals as over HTTP", async () => {
      const { status, headers, json } = await room.control.request("PATCH", "/admin/users/fixed", { role: "admin" });
      assert.equal(status, 409);
      assert.match(headers["content-type"] ?? "", /^application\/problem\+json/);
      assert.equal((json as { code: string }).code, "read_only_object");
      assert.equal((await room.control.request("GET", "/me")).status, 403);
      assert.equal((await room.control.request("GET", "/nowhere")).status, 404);
      assert.equal((await room.control.request("GET", "nowhere")).status, 400);
      assert.equal((await room.control.request("GET", "/admin/events")).status, 400);
    });

    it("has no body where HTTP has none", async () => {
      await room.control.request("POST", "/admin/users", { name: "brief" });
      assert.deepEqual(await room.control.request("DELETE", "/admin/users/brief"), {
        status: 204,
        headers: {},
        json: undefined,
      });
    });
  });

  describe("over HTTP", () => {
    let server: Server;
    let url: string;
    let token: string;
    before(async () => {
      server = createServer((request, response) => {
        const facts = {
          requestId: "request-9",
          address: "192.0.2.7",
          isSecure: false,
          isAllowedHost: true,
          isLocalSocket: false,
          language: "en",
        } as const;
        void room.control.handle(request, response, facts);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      token = await room.logIn("root");
    });
    after(() => {
      server.closeAllConnections();
      server.close();
    });

    it("has the headers of every answer, and none that open it to other origins", async () => {
      for (const [path, status] of [
        ["/admin/users", 200],
        ["/admin/nothing", 404],
        ["/docs", 200],
      ] as const) {
        const answer = await send(`${url}${path}`, { token, headers: { origin: "http://evil.test" } });
        assert.equal(answer.status, status);
        assert.equal(answer.headers["x-request-id"], "request-9");
        assert.equal(answer.headers["cache-control"], "no-store");
        assert.equal(answer.headers["x-content-type-options"], "nosniff");
        assert.deepEqual(
          Object.keys(answer.headers).filter((name) => /^access-control|^server$|^x-powered/.test(name)),
          [],
        );
      }
    });

    it("answers HEAD with the head of GET, and OPTIONS like any method that is not there", async () => {
      const got = await send(`${url}/admin/users`, { token });
      const head = await send(`${url}/admin/users`, { token, method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal(head.text, "");
      assert.equal(head.headers["content-length"], got.headers["content-length"]);
      const options = await send(`${url}/admin/users`, { method: "OPTIONS" });
      assert.equal(options.status, 405);
      assert.equal(options.headers.allow, "GET, POST, HEAD");
    });

    it("takes a body up to 64 KiB, and no larger one", async () => {
      const bodyOf = (bytes: number) => {
        const start = '{"name":"bulky","limits":{}';
        return `${start}${" ".repeat(bytes - start.length - 1)}}`;
      };
      const taken = await send(`${url}/admin/users`, { token, body: bodyOf(64 * 1024) });
      assert.equal(taken.status, 201);
      const refused = await send(`${url}/admin/users`, { token, body: bodyOf(64 * 1024 + 1) });
      assert.equal(refused.status, 413);
      assert.equal((refused.json as { code: string }).code, "body_too_large");
    });

    it("takes JSON alone, not compressed", async () => {
      for (const headers of [
        { "content-type": "text/plain" },
        { "content-type": "application/x-www-form-urlencoded" },
        { "content-encoding": "gzip" },
      ]) {
        const { status } = await send(`${url}/admin/users`, {
          token,
          body: '{"name":"x"}',
          headers: headers as Record<string, string>,
        });
        assert.equal(status, 415);
      }
    });

    it("takes no notice of slashes too many", async () => {
      assert.equal((await send(`${url}//admin///users/`, { token })).status, 200);
    });

    it("streams events as they come, and lets a listener that left go", async () => {
      const texts: string[] = [];
      const leave = new AbortController();
      const listening = send(`${url}/admin/events?types=queue`, {
        token,
        signal: leave.signal,
        onData: (chunk) => void texts.push(String(chunk)),
      });
      await until("the first event", () => texts.join("").includes("\n\n"));
      assert.match(texts.join(""), /^event: queue\ndata: \{"waiting_count":0/);
      assert.equal(room.parts.live.listenerCount, 1);
      leave.abort();
      await assert.rejects(listening);
      await until("nobody listens", () => room.parts.live.listenerCount === 0);
    });

    it("answers HEAD on the stream without one", async () => {
      const { status, headers } = await send(`${url}/admin/events`, { token, method: "HEAD" });
      assert.equal(status, 200);
      assert.match(headers["content-type"] ?? "", /^text\/event-stream/);
      await until("nobody listens", () => room.parts.live.listenerCount === 0);
    });

    it("cuts a listener that does not read", async () => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.pause();
      socket.on("error", () => {});
      socket.write(`GET /admin/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
      await until("it listens", () => room.parts.live.listenerCount === 1);
      const { arrive, serve } = await import("../../test/support/call-records.ts");
      const record = serve(arrive(room.clock), room.clock);
      let count = 0;
      await until("it is cut", () => {
        for (let index = 0; index < 1_000; index++) room.parts.live.noteCall(record);
        count += 1_000;
        return room.parts.live.listenerCount === 0;
      });
      assert.ok(count * 900 < 64 * 1024 * 1024, `${count} events`);
      socket.destroy();
    });
  });
});
