import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { until } from "../../test/support/gateway.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { heldBytesMax, lingerMs, requestsMax } from "./connection.ts";
import { type ConnectionSettings, type Connections, createConnections } from "./connections.ts";

const stallMs = 8_000;

interface Room {
  readonly clock: ManualClock;
  readonly connections: Connections;
  /** Requests that were served, in order. */
  readonly served: [IncomingMessage, ServerResponse][];
  open(address?: string): Promise<Client>;
}

interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly isClosed: () => boolean;
  /** The server's side of it. */
  readonly ownSocket: Socket;
}

let server: Server;
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function openRoom(settings: Partial<ConnectionSettings> = {}): Promise<Room> {
  const clock = createManualClock();
  const served: Room["served"] = [];
  server = createServer({ requestTimeout: 0, requireHostHeader: false });
  const current = { perAddressMax: null, isProxy: () => false, writeStallMs: stallMs, ...settings };
  const connections = createConnections(server, {
    clock,
    settings: () => current,
    formatRefusal: ({ reason, facts }) => `HTTP/1.1 429 ${reason} ${facts.limit}\r\nconnection: close\r\n\r\n`,
  });
  server.on(
    "request",
    connections.inTurn((request, response) => served.push([request, response])),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    clock,
    connections,
    served,
    async open(localAddress = "127.0.0.1") {
      const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
      const { port } = server.address() as AddressInfo;
      const socket = connect({ port, host: "127.0.0.1", localAddress, allowHalfOpen: true, noDelay: true });
      let received = "";
      let isClosed = false;
      socket
        .on("error", () => {})
        .on("data", (chunk) => {
          received += chunk.toString("latin1");
        });
      for (const event of ["end", "close"]) {
        socket.on(event, () => {
          isClosed = true;
        });
      }
      return { socket, received: () => received, isClosed: () => isClosed, ownSocket: await accepted };
    },
  };
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\n\r\n`;
const post = (length: number, body = "") => `POST / HTTP/1.1\r\ncontent-length: ${length}\r\n\r\n${body}`;
const answer = (room: Room, index: number) => room.served[index]?.[1].end(`answer ${index}`);

describe("requests on one connection", () => {
  it("are served one at a time, each when the answer before it is written", async () => {
    const room = await openRoom();
    const client = await room.open();
    client.socket.write(get("/0") + post(3, "abc") + get("/2"));
    for (let index = 0; index < 3; index++) {
      await until(`request ${index} is served`, () => room.served.length === index + 1);
      assert.ok(!client.received().includes(`answer ${index}`));
      room.served[index]?.[0].resume();
      answer(room, index);
      await until("it is answered", () => client.received().includes(`answer ${index}`));
    }
    assert.deepEqual(
      room.served.map(([request]) => request.url),
      ["/0", "/", "/2"],
    );
  });

  it("are not read any more when too many bytes wait, and all are served in the end", async () => {
    const room = await openRoom();
    const client = await room.open();
    const count = Math.ceil((heldBytesMax * 2) / get("/x").length);
    assert.ok(count > requestsMax, "the last of a connection is among them");
    client.socket.write(get("/x").repeat(count));
    await until("reading has stopped", () => client.ownSocket.isPaused());
    assert.equal(room.served.length, 1);
    for (let index = 0; index < requestsMax; index++) {
      await until("the next is served", () => room.served.length === index + 1);
      answer(room, index);
    }
    await until("the connection is closed", client.isClosed);
    assert.equal(room.served.length, requestsMax);
    assert.match(client.received(), /answer 998[\s\S]*connection: close[\s\S]*answer 999$/i);
  });

  it("end with a client that leaves while one is at work, though others wait", async () => {
    const room = await openRoom();
    const client = await room.open();
    client.socket.write(get("/0") + get("/1"));
    await until("the first is served", () => room.served.length === 1);
    let isGone = false;
    room.served[0]?.[1].once("close", () => {
      isGone = true;
    });
    client.socket.resetAndDestroy();
    await until("that is noticed", () => isGone);
    await until("no timer is left", () => room.clock.armedCount === 0);
    assert.equal(room.served.length, 1);
  });
});

describe("an answer before its request has ended", () => {
  for (const headers of ["", "connection: close\r\n"]) {
    const name = headers === "" ? "that keeps the connection" : "that is the last";
    it(`${name} is followed by a linger of its time, whatever still comes`, async () => {
      const room = await openRoom();
      const client = await room.open();
      client.socket.write(`POST / HTTP/1.1\r\n${headers}content-length: 60000\r\n\r\nx`);
      await until("it is served", () => room.served.length === 1);
      answer(room, 0);
      await until("it is answered", () => client.received().includes("answer 0"));
      await until("it lingers", () => room.clock.armedCount === 2);
      for (let count = 0; count < 9; count++) {
        client.socket.write("x");
        await room.clock.advance(lingerMs / 10);
      }
      await room.clock.advance(lingerMs / 10 - 1);
      assert.ok(!client.ownSocket.destroyed);
      await room.clock.advance(1);
      assert.ok(client.ownSocket.destroyed);
      await until("no timer is left", () => room.clock.armedCount === 0);
    });
  }

  it("leaves the connection to the next request when the rest comes in time", async () => {
    const room = await openRoom();
    const client = await room.open();
    client.socket.write(post(4, "ab"));
    await until("it is served", () => room.served.length === 1);
    answer(room, 0);
    await until("it is answered", () => client.received().includes("answer 0"));
    client.socket.write(`cd${get("/next")}`);
    await until("the next is served", () => room.served.length === 2);
    assert.equal(room.clock.armedCount, 1);
    await room.clock.advance(lingerMs * 2);
    answer(room, 1);
    await until("it is answered", () => client.received().includes("answer 1"));
  });

  it("arrives though its client sends more than the system holds, and ends with the client's end", async () => {
    const room = await openRoom();
    const client = await room.open();
    client.socket.write(`POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 99999999\r\n\r\n`);
    await until("it is served", () => room.served.length === 1);
    answer(room, 0);
    client.socket.write(Buffer.alloc(16 * 1024 * 1024));
    await until("the answer is there", () => client.received().includes("answer 0") && client.isClosed());
    await until("all was taken", () => client.socket.writableLength === 0);
    client.socket.end();
    await until("it is closed before its time", () => client.ownSocket.destroyed);
    assert.equal(room.clock.now(), 0);
  });
});

describe("a client that takes no byte of an answer", () => {
  const large = Buffer.alloc(32 * 1024 * 1024);

  async function stall(room: Room): Promise<Client & { stalled: () => number }> {
    const client = await room.open();
    client.socket.pause();
    client.socket.write(get("/"));
    await until("it is served", () => room.served.length > 0);
    let stalledCount = 0;
    const response = room.served.at(-1)?.[1];
    response?.on("stalled", () => stalledCount++);
    response?.end(large);
    let before = -1;
    // What the system's buffers take is no progress of the client's.
    await until("the system takes no more", () => {
      const { bytesWritten, writeQueueSize } = (client.ownSocket as unknown as { _handle: Record<string, number> })
        ._handle;
      const taken = Number(bytesWritten) - Number(writeQueueSize);
      const isSame = taken === before && taken > 0;
      before = taken;
      return isSame;
    });
    return { ...client, stalled: () => stalledCount };
  }

  it("is reset after the time for it, at most a quarter later, and its call is told before", async () => {
    const room = await openRoom();
    const client = await stall(room);
    await room.clock.advance(stallMs - 1);
    assert.deepEqual([client.stalled(), client.ownSocket.destroyed], [0, false]);
    await room.clock.advance(stallMs / 4 + 1_001);
    assert.deepEqual([client.stalled(), client.ownSocket.destroyed], [1, true]);
  });

  it("is left alone while it takes some", async () => {
    const room = await openRoom();
    const client = await stall(room);
    for (let count = 0; count < 4; count++) {
      await room.clock.advance(stallMs - 2_000);
      let taken = 0;
      client.socket.on("data", function take(chunk) {
        taken += chunk.length;
        if (taken > 4 * 1024 * 1024) client.socket.off("data", take).pause();
      });
      client.socket.resume();
      await until("it has taken some", () => client.socket.isPaused());
    }
    assert.deepEqual([client.stalled(), client.ownSocket.destroyed], [0, false]);
  });
});

describe("a connection without a request", () => {
  it("is closed in the end, though empty lines come", async () => {
    const room = await openRoom();
    const client = await room.open();
    client.socket.write(get("/"));
    await until("it is served", () => room.served.length === 1);
    answer(room, 0);
    await until("it is answered", () => client.received().includes("answer 0"));
    for (let count = 0; count < 9; count++) {
      await room.clock.advance(10_000);
      client.socket.write("\r\n");
    }
    await room.clock.advance(1_000);
    assert.ok(client.ownSocket.destroyed);
  });
});

describe("connections of one address", () => {
  const limits = { perAddressMax: 3, isProxy: (address: string) => address === "127.0.0.9" };

  it("are as many as it may have; the next hears why, and others are served", async () => {
    const room = await openRoom(limits);
    const clients = [await room.open(), await room.open(), await room.open()];
    const refused = await room.open();
    await until("it is refused", refused.isClosed);
    assert.match(refused.received(), /^HTTP\/1\.1 429 too_many_connections 3\r\n/);
    refused.socket.write(get("/refused"));
    const other = await room.open("127.0.0.2");
    other.socket.write(get("/other"));
    clients[0]?.socket.write(get("/first"));
    await until("both are served", () => room.served.length === 2);
    assert.ok(room.served.every(([request]) => request.url !== "/refused"));
    await room.clock.advance(lingerMs);
    assert.ok(refused.ownSocket.destroyed);
  });

  it("give their places back, however they end", async () => {
    const room = await openRoom(limits);
    for (let count = 0; count < 20; count++) {
      const client = await room.open();
      if (count % 2 === 0) client.socket.resetAndDestroy();
      else client.socket.end();
      await until("it has ended", () => client.ownSocket.destroyed);
    }
    const clients = [await room.open(), await room.open(), await room.open()];
    assert.ok(clients.every(({ ownSocket }) => room.connections.of(ownSocket)));
    assert.equal(room.connections.of((await room.open()).ownSocket), undefined);
  });

  it("are not counted where a proxy brings them", async () => {
    const room = await openRoom(limits);
    for (let count = 0; count < 10; count++) {
      const { ownSocket } = await room.open("127.0.0.9");
      assert.ok(room.connections.of(ownSocket));
    }
  });

  it("are closed at once, unread, when many are refused", async () => {
    const room = await openRoom({ ...limits, perAddressMax: 1 });
    await room.open();
    const refused: Client[] = [];
    for (let count = 0; count < 100; count++) refused.push(await room.open());
    // Of the others the clients have to end their side, or to wait.
    await until("most are gone", () => refused.filter(({ ownSocket }) => ownSocket.destroyed).length >= 36);
    await room.clock.advance(lingerMs);
    assert.ok(refused.every(({ ownSocket }) => ownSocket.destroyed));
  });
});
