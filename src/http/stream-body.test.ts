import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { describe, it } from "node:test";
import { openStreamBody } from "./stream-body.ts";

/** What a client gets for `sent`, until the server closes the connection. */
async function exchange(sent: string, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  try {
    socket.write(sent);
    const received: Buffer[] = [];
    for await (const bytes of socket) received.push(bytes as Buffer);
    return Buffer.concat(received).toString("latin1");
  } finally {
    server.close();
  }
}

const bodyOf = (answer: string) => answer.slice(answer.indexOf("\r\n\r\n") + 4);
const get = (path: string, version = "1.1", connection = "close") =>
  `GET ${path} HTTP/${version}\r\nhost: x\r\nconnection: ${connection}\r\n\r\n`;
const noop = () => {};

describe("openStreamBody()", () => {
  it("writes chunks as the protocol has them, small and large, in order", async () => {
    const large = "l".repeat(9_000);
    const answer = await exchange(get("/"), (_request, response) => {
      response.writeHead(200).flushHeaders();
      const body = openStreamBody(response, noop);
      for (const piece of ["a", "", large, "é", "x".repeat(8_192)]) body.write(Buffer.from(piece));
      response.end();
    });
    assert.match(answer, /^transfer-encoding: chunked\r$/im);
    const chunks = [`1\r\na`, `2328\r\n${large}`, `2\r\nÃ©`, `2000\r\n${"x".repeat(8_192)}`, "0\r\n"];
    assert.ok(bodyOf(answer) === `${chunks.join("\r\n")}\r\n`, `${bodyOf(answer).length} bytes`);
  });

  it("writes a small chunk at once, in one piece", async () => {
    let written: unknown[] = [];
    await exchange(get("/"), (_request, response) => {
      response.writeHead(200).flushHeaders();
      const { socket } = response;
      const write = socket?.write.bind(socket) as (...args: unknown[]) => boolean;
      Object.assign(socket as object, { write: (...args: unknown[]) => written.push(args[0]) && write(...args) });
      openStreamBody(response, noop).write(Buffer.from("data: 1\n\n"));
      written = written.map(String);
      Object.assign(socket as object, { write });
      response.end();
    });
    assert.deepEqual(written, ["9\r\ndata: 1\n\n\r\n"]);
  });

  it("leaves bodies that are not chunked as they are", async () => {
    const answer = await exchange(get("/", "1.0"), (_request, response) => {
      response.writeHead(200).flushHeaders();
      openStreamBody(response, noop).write(Buffer.from("data: 1\n\n"));
      response.end();
    });
    assert.equal(bodyOf(answer), "data: 1\n\n");
  });

  it("lets an answer wait for the one before it on the same connection", async () => {
    const answers = await exchange(get("/first", "1.1", "keep-alive") + get("/second"), (request, response) => {
      response.writeHead(200).flushHeaders();
      const body = openStreamBody(response, noop);
      body.write(Buffer.from(`${request.url} begins`));
      setTimeout(
        () => {
          body.write(Buffer.from(`${request.url} ends`));
          response.end();
        },
        request.url === "/first" ? 30 : 0,
      );
    });
    const marks = ["/first begins", "/first ends", "0\r\n\r\n", "/second begins", "/second ends"];
    const places = marks.map((mark) => answers.indexOf(mark));
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
    assert.ok(!places.includes(-1), answers);
  });

  it("writes nothing to the connection once the answer has ended", async () => {
    const answer = await exchange(get("/", "1.1", "keep-alive") + get("/"), (_request, response) => {
      response.on("error", noop);
      response.writeHead(200).flushHeaders();
      const body = openStreamBody(response, noop);
      body.write(Buffer.from("a"));
      response.end();
      body.write(Buffer.from("late"));
    });
    assert.ok(!answer.includes("late"), answer);
  });

  it("tells when a reader who was behind has it all, and lets go of the connection at the end", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
    try {
      client.write(get("/", "1.1", "keep-alive"));
      const [, response] = await once(server, "request");
      const { socket } = response;
      const listenersBefore = socket.listenerCount("drain");
      response.writeHead(200).flushHeaders();
      const drained = Promise.withResolvers<void>();
      const body = openStreamBody(response, drained.resolve);
      const frame = Buffer.alloc(8_000, "x");
      let count = 1;
      while (body.write(frame)) count++;
      assert.ok(count < 10_000);
      client.resume();
      await drained.promise;
      assert.equal(response.writableLength, 0);
      response.end();
      await once(response, "close");
      assert.equal(socket.listenerCount("drain"), listenersBefore);
    } finally {
      client.destroy();
      server.close();
    }
  });
});
