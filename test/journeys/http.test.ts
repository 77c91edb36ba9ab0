// What the HTTP side makes of requests that are wrong, hostile or odd, byte by byte. None of them reaches the upstream.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { chat, send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { exchangeRaw, readStatuses } from "../support/raw.ts";

let gateway: TestGateway;
let token: string;

before(async () => {
  gateway = await startGateway({ server: { bodyBytesMax: 100_000 } });
  token = await gateway.logIn();
});

after(async () => {
  await until("nothing runs", () => gateway.app.snapshot().running === 0);
  await gateway.stop();
});

const post = (headers: string, body = "", target = "/chat/completions", version = "HTTP/1.1") =>
  `POST ${target} ${version}\r\nhost: localhost\r\n${headers}\r\n\r\n${body}`;
const get = (target: string, headers = "host: localhost", version = "HTTP/1.1") =>
  `GET ${target} ${version}\r\n${headers}\r\n\r\n`;

describe("the guard before the routes", () => {
  const refused: Record<string, [bytes: string, status: number]> = {
    "HTTP/2.0 in the request line": [get("/livez", "host: localhost", "HTTP/2.0"), 505],
    "HTTP/1.2": [get("/livez", "host: localhost", "HTTP/1.2"), 505],
    "an absolute target": [get("http://evil.example/livez"), 400],
    "the target *": [get("*"), 400],
    "a fragment": [get("/livez#x"), 400],
    "a backslash": [get("/livez\\admin"), 400],
    "an encoded slash": [get("/a%2flivez"), 400],
    "an encoded NUL": [get("/livez%00"), 400],
    "encoded dots": [get("/x/%2e%2e/livez"), 400],
    "an encoded dot": [get("/%2e/livez"), 400],
    "dot segments": [get("/x/../livez"), 400],
    "a target beyond 2 KiB": [get(`/${"x".repeat(3_000)}`), 400],
    "a key in the URL": [get("/livez?api_key=abcdef"), 400],
    "a token in the URL": [get("/livez?a=1&token=abcdef"), 400],
    "no Host": [get("/livez", "x-a: 1"), 400],
    "two Hosts": [get("/livez", "host: a\r\nhost: b"), 400],
    "a Host with a path": [get("/livez", "host: a/#@b"), 400],
    "an empty Host": [get("/livez", "host: "), 400],
    "two Authorizations": [post("authorization: Bearer a\r\nauthorization: Bearer b\r\ncontent-length: 0"), 400],
    "two content types": [post("content-type: application/json\r\ncontent-type: text/plain\r\ncontent-length: 0"), 400],
    "two lengths": [post("content-length: 1\r\ncontent-length: 2", "xx"), 400],
    "a length of 20 digits": [post("content-length: 99999999999999999999"), 400],
    "a length and chunks": [post("content-length: 5\r\ntransfer-encoding: chunked", "0\r\n\r\n"), 400],
    "a coding before chunked": [post("transfer-encoding: gzip, chunked", "0\r\n\r\n"), 400],
    "chunks on HTTP/1.0": [post("transfer-encoding: chunked", "0\r\n\r\n", "/chat/completions", "HTTP/1.0"), 400],
    "a bad chunk size": [post("transfer-encoding: chunked\r\ncontent-type: application/json", "zz\r\n"), 400],
    "a folded header": [get("/livez", "host: localhost\r\nx-a: 1\r\n  folded"), 400],
    "a body on GET": [`GET /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc`, 400],
    "150 headers": [get("/livez", `host: localhost${"\r\nx-a: 1".repeat(150)}`), 431],
    "2,100 headers and then a token": [
      post(`${"x-a: 1\r\n".repeat(2_100)}authorization: Bearer x\r\ncontent-length: 0`),
      431,
    ],
    "17 KiB of headers": [get("/livez", `host: localhost\r\nx-a: ${"x".repeat(17_000)}`), 431],
    "an unknown expectation": [post("expect: 200-ok\r\ncontent-length: 0"), 417],
    "random bytes": ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400],
    "an SSH banner": ["SSH-2.0-OpenSSH_9.2\r\n\r\n", 400],
    "HTTP/2's preface": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    CONNECT: ["CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n", 400],
    TRACE: ["TRACE /chat/completions HTTP/1.1\r\nhost: localhost\r\n\r\n", 405],
    "an unknown method": ["FOO /chat/completions HTTP/1.1\r\nhost: localhost\r\n\r\n", 400],
  };
  for (const [name, [bytes, status]] of Object.entries(refused)) {
    it(`answers ${status} to ${name}`, async () => {
      const received = await exchangeRaw(gateway.port, bytes);
      assert.equal(readStatuses(received)[0], status, received.slice(0, 300));
      assert.match(received, /\{"error":\{"message":/);
      assert.match(received, /x-request-id: \S+/i);
      assert.doesNotMatch(received, /^(?:server|x-powered-by):/im);
    });
  }

  it("answers 404 to unknown paths and 405 with the allowed methods to wrong ones", async () => {
    for (const path of ["/admin", "/CHAT/completions", "/livez/x", "/constructor", "/__proto__"]) {
      assert.equal((await send(gateway.url + path)).status, 404, path);
    }
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
      const { status, headers } = await send(`${gateway.url}/v1/chat/completions`, { method });
      assert.deepEqual([status, headers.allow], [405, "POST"], method);
    }
    assert.equal((await send(`${gateway.url}/livez`, { method: "HEAD" })).status, 200);
  });

  it("survives what would be written to nobody: HEAD with an expectation or a body, CONNECT and a reset", async () => {
    for (const headers of [
      "expect: x",
      "expect: 100-continue",
      "transfer-encoding: chunked",
      "content-length: 90000",
    ]) {
      for (const path of ["/livez", "/chat/completions", "/nowhere"]) {
        await exchangeRaw(gateway.port, `HEAD ${path} HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n`, 50);
      }
    }
    for (let count = 0; count < 20; count++) {
      const socket = connect(gateway.port, "127.0.0.1");
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n");
      setImmediate(() => socket.resetAndDestroy());
    }
    // An uncaught error fails this file; and it still serves.
    assert.equal((await send(`${gateway.url}/livez`)).status, 200);
  });

  it("needs a token on every route that does not say why it needs none", async () => {
    for (const [path, methods] of gateway.app.routes) {
      for (const [method, route] of Object.entries(methods)) {
        if (route.access === "public") {
          assert.ok(route.because.length > 10, path);
          continue;
        }
        const body = method === "GET" || method === "DELETE" ? {} : { body: chat() };
        const { status } = await send(gateway.url + path.replaceAll("*", "x"), { method, ...body });
        assert.equal(status, 401, `${method} ${path}`);
      }
    }
  });

  it("serves pipelined requests in order, each judged alone", async () => {
    const body = JSON.stringify(chat());
    const good = post(
      `authorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`,
      body,
    );
    const bad = post(
      `authorization: Bearer x${token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`,
      body,
    );
    const received = await exchangeRaw(gateway.port, good + bad + good + get("/livez"), 400);
    assert.deepEqual(readStatuses(received), [200, 401, 200, 200]);
  });

  it("keeps the client's own request id when it is sane", async () => {
    const idOf = async (id: string) =>
      (await send(`${gateway.url}/livez`, { headers: { "x-request-id": id } })).headers["x-request-id"];
    assert.equal(await idOf("my-request-0001"), "my-request-0001");
    for (const bad of ["short", "x".repeat(200), "with space 123", 'quote"12345'])
      assert.notEqual(await idOf(bad), bad);
  });
});

describe("the body", () => {
  const url = () => `${gateway.url}/chat/completions`;

  it("must be JSON in UTF-8 that nests at most 64 levels", async () => {
    const nested = (levels: number) => `{"model":"m","messages":[1],"x":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    const bad = ["", "{", "[]", "null", '"x"', "\uFEFF{}", nested(64), "[".repeat(90_000)];
    for (const body of [...bad, Buffer.from([0x7b, 0xff, 0x7d]), Buffer.from('{"model":1}', "utf16le")]) {
      const headers = { "content-type": "application/json" };
      const { status } = await send(url(), { method: "POST", token, body, headers });
      assert.equal(status, 400, String(body).slice(0, 30));
    }
    assert.equal(
      (await send(url(), { token, body: nested(60), headers: { "content-type": "application/json" } })).status,
      400,
    );
  });

  it("must have a model, messages, and a stream that is true or false; the field at fault is named", async () => {
    const cases: [object, string][] = [
      [{ messages: [1] }, "model"],
      [{ model: 5, messages: [1] }, "model"],
      [{ model: "x".repeat(300), messages: [1] }, "model"],
      [{ model: "m" }, "messages"],
      [{ model: "m", messages: {} }, "messages"],
      [{ model: "m", messages: [] }, "messages"],
      [chat("x", { stream: "true" }), "stream"],
      [chat("x", { stream: 1 }), "stream"],
    ];
    for (const [body, param] of cases) {
      const { status, json } = await send(url(), { token, body });
      assert.deepEqual([status, (json as { error: { param: string } }).error.param], [400, param]);
    }
  });

  it("must say that it is JSON, and not be compressed", async () => {
    for (const type of ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-7", ""]) {
      const { status } = await send(url(), { token, body: chat(), headers: { "content-type": type } });
      assert.equal(status, 415, type);
    }
    const { status } = await send(url(), { token, body: chat(), headers: { "content-encoding": "gzip" } });
    assert.equal(status, 415);
    const fine = await send(url(), {
      token,
      body: chat(),
      headers: { "content-type": "application/json; charset=UTF-8" },
    });
    assert.equal(fine.status, 200);
  });

  it("is refused by its length before it is read, at exactly the limit", async () => {
    const exact = JSON.stringify(chat("x".repeat(100_000 - JSON.stringify(chat("")).length)));
    assert.equal(exact.length, 100_000);
    const headers = { "content-type": "application/json" };
    assert.equal((await send(url(), { token, body: exact, headers })).status, 200);
    const { status, json } = await send(url(), { token, body: `${exact} `, headers });
    assert.equal(status, 413);
    assert.match((json as { error: { message: string } }).error.message, /100000 bytes.*server\.body_limit_bytes/);
  });

  it("is refused at the limit when it comes in chunks without a length, and the answer arrives", async () => {
    const head = post(`authorization: Bearer ${token}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked`);
    const chunk = `ffff\r\n${"x".repeat(0xffff)}\r\n`;
    const received = await exchangeRaw(gateway.port, head + chunk.repeat(20), 1_500);
    assert.deepEqual(readStatuses(received), [413]);
    assert.match(received, /connection: close/i);
  });

  it("is asked for only after the token was found good (expect: 100-continue)", async () => {
    const body = JSON.stringify(chat());
    const request = (bearer: string) =>
      post(
        `authorization: Bearer ${bearer}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${body.length}`,
      );
    assert.deepEqual(readStatuses(await exchangeRaw(gateway.port, request("bad"), 300)), [401]);
    const socket = connect(gateway.port, "127.0.0.1");
    let received = "";
    socket.on("data", (data) => {
      received += data.toString();
    });
    socket.write(request(token));
    await until("it is asked for", () => received.includes("100 Continue"));
    socket.write(body);
    await until("it is answered", () => received.includes("HTTP/1.1 200"));
    socket.destroy();
  });

  it("with another destination or key in it goes where the configuration says all the same", async () => {
    const body = chat("x", { api_base: "http://127.0.0.1:9", base_url: "http://127.0.0.1:9", api_key: "mine" });
    const headers = { "x-portkey-custom-host": "http://127.0.0.1:9", "x-forwarded-host": "evil.example" };
    assert.equal((await send(url(), { token, body, headers })).status, 200);
  });

  it("pollutes no prototype", async () => {
    await send(url(), {
      token,
      body: '{"__proto__":{"polluted":1},"model":"m","messages":[1]}',
      headers: { "content-type": "application/json" },
    });
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
});

describe("logging in", () => {
  it("refuses bodies that are too large or no credentials before anything is hashed", async () => {
    const url = `${gateway.url}/auth/login`;
    const statuses = [];
    for (const body of [
      { username: "user1", password: "x".repeat(1_025) },
      { username: "x".repeat(257), password: "x" },
      { username: "", password: "x" },
      { username: "user1", password: "" },
      { username: ["user1"], password: "x" },
      { username: "user1", password: "x".repeat(9_000) },
    ]) {
      statuses.push((await send(url, { body })).status);
    }
    assert.deepEqual(statuses, [400, 400, 400, 400, 400, 413]);
    assert.equal(
      (
        await send(url, {
          body: "username=user1&password=pass123",
          headers: { "content-type": "application/x-www-form-urlencoded" },
        })
      ).status,
      415,
    );
  });

  it("tells in Chinese what went wrong when that is asked for, with the same code", async () => {
    const body = { username: "user1", password: "wrong" };
    const { json } = await send(`${gateway.url}/auth/login`, {
      body,
      headers: { "accept-language": "zh-CN,zh;q=0.9" },
    });
    const { error } = json as { error: { message: string; code: string } };
    assert.equal(error.code, "wrong_credentials");
    assert.match(error.message, /登录失败/);
  });

  it("tells when to come back when there were too many failures", async () => {
    const body = { username: "user2", password: "wrong" };
    let last = await send(`${gateway.url}/auth/login`, { body });
    for (let count = 0; count < 5; count++) last = await send(`${gateway.url}/auth/login`, { body });
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers["retry-after"]) >= 1);
  });
});
