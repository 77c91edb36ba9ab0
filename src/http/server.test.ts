import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { until } from "../../test/support/gateway.ts";
import { exchangeRaw, readStatuses } from "../../test/support/raw.ts";
import { createByteBudget } from "../base/byte-budget.ts";
import { systemClock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { Call } from "../call.ts";
import { chatEndpoint } from "../surfaces/chat-endpoint.ts";
import { openAiSurface } from "../surfaces/openai-surface.ts";
import { createAddressBook } from "./client-address.ts";
import { createHttpServer, type HttpServer } from "./server.ts";

describe("createHttpServer()", () => {
  const bodyBudget = createByteBudget(1_000, () => 1_000);
  const failures: unknown[] = [];
  let server: HttpServer;
  let port: number;
  let serveCall: (call: Call) => Promise<void> = async () => {};

  before(async () => {
    server = createHttpServer({
      routes: new Map([["/call", { POST: { access: "call", endpoint: chatEndpoint } }]]),
      control: null,
      clock: systemClock,
      bodyBudget,
      settings: () => ({
        bodyBytesMax: 5_000,
        uploadBytesMax: 5_000,
        writeStallMs: 1_000,
        connectionsPerAddress: 100,
        addresses: createAddressBook([]),
        heartbeats: null,
        sendsIetfFields: true,
      }),
      isDraining: () => false,
      serveCall: (call) => serveCall(call),
      identify: () => Promise.reject(new Refusal("invalid_token")),
      formatFor: () => openAiSurface.formatRefusal,
      findHint: () => undefined,
      onFailure: (error) => failures.push(error),
    });
    port = await server.listen("127.0.0.1", 0);
  });
  after(async () => {
    const closed = server.close();
    server.destroy();
    await closed;
  });

  const post = (body: string) =>
    `POST /call HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

  it("holds request bodies within their shared budget, refuses beyond it, and gives back at the end of each", async () => {
    const held = Promise.withResolvers<void>();
    serveCall = async (call) => {
      try {
        await call.receive("ada");
        await held.promise;
        await call.client.sendWhole({
          kind: "whole",
          status: 200,
          contentType: "application/json",
          upstreamRequestId: null,
          body: Buffer.from("{}"),
          parsed: {},
          format: "chat",
          translation: null,
        });
      } catch (error) {
        await call.refuse(error as Parameters<typeof call.refuse>[0]);
      }
    };
    const first = exchangeRaw(port, post("x".repeat(900)), 500);
    await until("the first body is in memory", () => bodyBudget.used === 900);
    const second = await exchangeRaw(port, post("x".repeat(101)));
    assert.deepEqual(readStatuses(second), [503]);
    assert.match(second, /"code":"memory_full"/);
    assert.match(second, /retry-after: 1/i);
    held.resolve();
    assert.deepEqual(readStatuses(await first), [200]);
    await until("all is given back", () => bodyBudget.used === 0);
  });

  it("gives a body's bytes back when its client leaves in the middle", async () => {
    serveCall = async (call) => {
      await call.receive("ada").catch(() => {});
    };
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(post("x".repeat(900)).slice(0, -400));
    await until("some of it is in memory", () => bodyBudget.used === 500);
    socket.resetAndDestroy();
    await until("all is given back", () => bodyBudget.used === 0);
  });

  it("destroys the connection of a call whose service throws, and reports it", async () => {
    serveCall = async () => {
      throw new Error("a bug");
    };
    assert.equal(await exchangeRaw(port, post("{}")), "");
    assert.match(String(failures.at(-1)), /a bug/);
  });

  it("answers 408 to headers that come too slowly", async () => {
    const socket = connect(port, "127.0.0.1");
    const startedAt = performance.now();
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString();
    });
    socket.write("POST /call HTTP/1.1\r\nhost: a\r\n");
    const dripping = setInterval(() => socket.write("x-a: 1\r\n"), 2_000);
    socket.on("error", () => {});
    await until("it is answered", () => received.length > 0, 13_000);
    clearInterval(dripping);
    const afterMs = performance.now() - startedAt;
    assert.deepEqual(readStatuses(received), [408]);
    assert.ok(afterMs >= 9_900 && afterMs < 12_500, `${afterMs} ms`);
    socket.destroy();
  });
});
