// Clients that leave, stall or read slowly, at every stage of a call. After each: every ticket is back, the upstream
// is closed, and the next call is served.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { chat, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

let gateway: TestGateway;
let token: string;

before(async () => {
  gateway = await startGateway({
    rateLimit: { concurrencyMax: 1, abortLingerMs: 20 },
    server: { writeStallMs: 1_000 },
  });
  token = await gateway.logIn();
});

afterEach(async () => {
  await until("every ticket is back", () => gateway.app.snapshot().running === 0);
  await until("nobody waits", () => gateway.app.snapshot().waiting === 0);
  await until("the upstream sees no call", () => gateway.simulator.report().inFlight === 0);
  const { status } = await send(`${gateway.url}/chat/completions`, { token, body: chat() });
  assert.equal(status, 200, "the next call is served");
  gateway.simulator.reset();
});

after(() => gateway.stop());

/** A request on a bare socket, so that the way of leaving is ours. */
async function open(body: object): Promise<Socket & { received: string }> {
  const socket = Object.assign(connect(gateway.port, "127.0.0.1"), { received: "" });
  socket.on("error", () => {});
  const text = JSON.stringify(body);
  socket.write(
    `POST /chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}

function read(socket: Socket & { received: string }): void {
  socket.on("data", (chunk) => {
    socket.received += chunk.toString();
  });
}

const ways = {
  "a FIN": (socket: Socket) => socket.end(),
  "a RST": (socket: Socket) => socket.resetAndDestroy(),
} as const;

const lastRecord = () => gateway.callLines().at(-1) as Record<string, unknown>;

for (const [way, leave] of Object.entries(ways)) {
  describe(`a client that leaves with ${way}`, () => {
    it("while its call waits: is out of the queue at once and never reaches the upstream", async () => {
      const running = await open(chat("[frames=500] [delay=5]", { stream: true }));
      await until("the first runs", () => gateway.simulator.report().inFlight === 1);
      const waiting = await open(chat("never sent"));
      await until("the second waits", () => gateway.app.snapshot().waiting === 1);
      const leftAt = performance.now();
      leave(waiting);
      await until("it is gone from the queue", () => gateway.app.snapshot().waiting === 0);
      assert.ok(performance.now() - leftAt < 100);
      leave(running);
      await until(
        "both are recorded",
        () => gateway.callLines().filter(({ outcome }) => outcome === "cancelled").length >= 2,
      );
      assert.equal(gateway.simulator.report().callCount, 1);
    });

    it("before the upstream's head: the upstream is closed within 100 ms", async () => {
      const client = await open(chat("[first=10000]"));
      await until("the upstream has it", () => gateway.simulator.report().inFlight === 1);
      await checkUpstreamClosed(() => leave(client));
    });

    it("in the middle of a stream: the upstream is closed within 100 ms", async () => {
      const client = await open(chat("[frames=1000] [delay=5]", { stream: true }));
      read(client);
      await until("some frames have come", () => client.received.split("\n\n").length > 3);
      await checkUpstreamClosed(() => leave(client));
      assert.equal(lastRecord().outcome, "cancelled");
    });

    it("in the middle of a whole answer: the upstream is closed within 100 ms", async () => {
      gateway.simulator.script({ fault: "drip", ms: 50 });
      const client = await open(chat());
      await until("some bytes have come", () => gateway.simulator.report().bytesWritten > 2);
      await checkUpstreamClosed(() => leave(client));
    });

    it("in the middle of its own request: nothing is queued", async () => {
      const client = connect(gateway.port, "127.0.0.1");
      client.on("error", () => {});
      client.write(
        `POST /chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n` +
          'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"model"',
      );
      const before = gateway.callLines().length;
      await new Promise((resolve) => setTimeout(resolve, 50));
      leave(client);
      await until("the call is recorded", () => gateway.callLines().length > before);
      assert.equal(lastRecord().outcome, "cancelled");
      assert.equal(gateway.simulator.report().callCount, 0);
    });
  });
}

async function checkUpstreamClosed(leave: () => void): Promise<void> {
  const leftAt = performance.now();
  leave();
  await until("the upstream saw it close", () => gateway.simulator.report().aborts.length === 1);
  const closedAfterMs = performance.now() - leftAt;
  assert.ok(closedAfterMs < 100, `closed after ${closedAfterMs.toFixed(0)} ms`);
  await until("the call is recorded", () => gateway.app.snapshot().running === 0);
}

describe("a client that reads slowly", () => {
  it("gets every byte, while the upstream's place is free as soon as the upstream is done", async () => {
    gateway.simulator.script({ fault: "hugeAnswer", bytes: 900_000 });
    const client = await open(chat("", { stream: true }));
    client.pause();
    await until(
      "the upstream is done",
      () => gateway.simulator.report().callCount === 1 && gateway.simulator.report().inFlight === 0,
    );
    await until("its place is free", () => gateway.app.snapshot().running === 0, 900);
    read(client);
    client.resume();
    await until("all of it has come", () => client.received.includes("data: [DONE]"));
    client.destroy();
  });

  it("makes the upstream pause when it is too far behind, and loses nothing", async () => {
    const bytes = 30 * 1024 * 1024;
    gateway.simulator.script({ fault: "hugeAnswer", bytes });
    const client = await open(chat("", { stream: true }));
    client.pause();
    let before = -1;
    await until("the upstream has stopped", async () => {
      const { bytesWritten } = gateway.simulator.report();
      const hasStopped = bytesWritten === before && bytesWritten > 0;
      before = bytesWritten;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return hasStopped;
    });
    // The gateway's bound, and what the sockets of a loopback connection hold on both sides.
    assert.ok(before < 16 * 1024 * 1024, `${before} bytes were taken`);
    let received = 0;
    client.on("data", (chunk) => {
      received += chunk.length;
    });
    client.resume();
    await until("all of it has come", () => received > bytes && gateway.app.snapshot().running === 0, 20_000);
    client.destroy();
  });

  it("and then not at all is cut after the stall time, and the upstream is closed", async () => {
    gateway.simulator.script({ fault: "hugeAnswer", bytes: 30 * 1024 * 1024 });
    const client = await open(chat("", { stream: true }));
    client.pause();
    const startedAt = performance.now();
    await until("the call has ended", () => lastRecord()?.reason === "client_stalled", 8_000);
    assert.ok(performance.now() - startedAt >= 1_000);
    assert.equal(lastRecord().outcome, "cancelled");
    client.destroy();
  });

  it("and leaves while it is behind frees everything at once", async () => {
    gateway.simulator.script({ fault: "hugeAnswer", bytes: 30 * 1024 * 1024 });
    const client = await open(chat("", { stream: true }));
    client.pause();
    await until("some bytes have come", () => gateway.simulator.report().bytesWritten > 1024 * 1024);
    client.resetAndDestroy();
    await until("the call has ended", () => gateway.app.snapshot().running === 0, 500);
  });

  it("of a whole answer does not hold the upstream either", async () => {
    gateway.simulator.script({ fault: "hugeAnswer", bytes: 8 * 1024 * 1024 });
    const client = await open(chat());
    client.pause();
    await until("the upstream's place is free", () => {
      const { callCount, inFlight } = gateway.simulator.report();
      return callCount === 1 && inFlight === 0 && gateway.app.snapshot().running === 0;
    });
    await until("it is cut after the stall time", () => lastRecord()?.reason === "client_stalled", 8_000);
    client.destroy();
  });
});
