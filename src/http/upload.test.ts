import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { createByteBudget } from "../base/byte-budget.ts";
import type { Refusal } from "../base/refusal.ts";
import type { Incoming } from "../surfaces/endpoint.ts";
import type { FormReader } from "../surfaces/form-reader.ts";
import { keptBytesMax, receiveUpload, silenceMsMax } from "./upload.ts";

const uploadBytesMax = 4 * 1024 * 1024;
const shared = createByteBudget(keptBytesMax * 2, () => keptBytesMax * 2);
const budget = shared.of("ada");
let server: Server;
let serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>;

before(async () => {
  server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
after(() => {
  server.close();
  server.closeAllConnections();
});

/** What a form may be is not decided here. */
const anyForm: FormReader = { push() {}, end() {}, takeFields: () => new Map() };

interface Upload {
  readonly clock: ManualClock;
  readonly refusals: string[];
  readonly received: Promise<Pick<Incoming, "body" | "upload" | "form">>;
}

/** Receives the next request's form; it ends when `end` is called. */
function receiveNext(): Promise<Upload & { end(): void }> {
  const clock = createManualClock();
  const { promise, resolve } = Promise.withResolvers<Upload & { end(): void }>();
  serve = async (request, response) => {
    const controller = new AbortController();
    const refusals: string[] = [];
    const abort = (refusal: Refusal) => {
      refusals.push(refusal.reason);
      controller.abort(refusal);
    };
    response.once("close", () => controller.abort());
    const uploader = { signal: controller.signal, abort };
    const bounds = { bytesMax: 0, budget, clock, uploadBytesMax };
    const received = receiveUpload(request, response, bounds, uploader, anyForm);
    received.catch(() => {});
    resolve({ clock, refusals, received, end: () => response.end("done") });
  };
  return promise;
}

function post(headers: Record<string, string> = {}) {
  const request = openRequest({ port: (server.address() as AddressInfo).port, method: "POST", headers, agent: false });
  request.on("error", () => {}).on("response", (response) => response.resume());
  return request;
}

async function readAll(incoming: Pick<Incoming, "body" | "upload">): Promise<Buffer> {
  if (incoming.upload === null) return incoming.body;
  const chunks: Buffer[] = [];
  for await (const chunk of incoming.upload.stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("receiveUpload()", () => {
  it("keeps a small form whole, so that it can be sent again", async () => {
    const coming = receiveNext();
    post().end("small");
    const upload = await coming;
    assert.deepEqual(await upload.received, { body: Buffer.from("small"), upload: null, form: new Map() });
    upload.end();
    await until("its room is given back", () => shared.used === 0);
    assert.equal(upload.clock.armedCount, 0);
  });

  it("passes a large one on as it comes, byte for byte, with its length where it is known", async () => {
    const bytes = randomBytes(3 * 1024 * 1024);
    const known: Record<string, string> = { "content-length": String(bytes.length) };
    for (const headers of [known, { "transfer-encoding": "chunked" }]) {
      const coming = receiveNext();
      post(headers).end(bytes);
      const upload = await coming;
      const incoming = await upload.received;
      assert.equal(incoming.upload?.byteCount ?? null, headers === known ? bytes.length : null);
      assert.ok(incoming.body.length >= keptBytesMax && bytes.subarray(0, incoming.body.length).equals(incoming.body));
      assert.ok(bytes.equals(await readAll(incoming)));
      upload.end();
      await until("its timer is gone", () => upload.clock.armedCount === 0);
    }
  });

  it("takes no more from its client than the upstream takes", async () => {
    const coming = receiveNext();
    const request = post({ "content-length": String(uploadBytesMax) });
    request.write(randomBytes(uploadBytesMax - 1));
    const upload = await coming;
    const { upload: form } = await upload.received;
    assert.ok(form);
    await until("the client is held back", () => form.stream.readableLength > 0 && request.writableLength > 0);
    assert.ok(form.stream.readableLength < 1024 * 1024, `${form.stream.readableLength} bytes are kept`);
    request.destroy();
    // Its end is only seen by who reads.
    form.stream.on("error", () => {}).resume();
    await until("it is over", () => upload.clock.armedCount === 0);
  });

  it("refuses what says that it is too large before reading it, and breaks off what turns out to be", async () => {
    const announced = receiveNext();
    const request = post({ "content-length": String(uploadBytesMax + 1) });
    request.write("x");
    await assert.rejects((await announced).received, { reason: "body_too_large" });
    request.destroy();

    for (const [size, refusals] of [
      [uploadBytesMax, []],
      [uploadBytesMax + 1, ["body_too_large"]],
    ] as const) {
      const coming = receiveNext();
      post({ "transfer-encoding": "chunked" }).end(randomBytes(size));
      const upload = await coming;
      const incoming = await upload.received;
      await readAll(incoming).catch(() => {});
      assert.deepEqual(upload.refusals, refusals, `${size} bytes`);
      upload.end();
    }
  });

  it("leaves nothing behind when the call was answered and nobody has read it", async () => {
    const coming = receiveNext();
    const request = post({ "content-length": String(uploadBytesMax) });
    request.write(randomBytes(keptBytesMax * 2));
    const upload = await coming;
    const { upload: form } = await upload.received;
    upload.end();
    await until("the form is over", () => form?.stream.destroyed === true);
    assert.equal(upload.clock.armedCount, 0);
    request.destroy();
  });

  it("refuses when there is no room for its beginning", async () => {
    budget.force(keptBytesMax * 2);
    const coming = receiveNext();
    post().end("x");
    const upload = await coming;
    await assert.rejects(upload.received, { reason: "memory_full" });
    budget.force(-keptBytesMax * 2);
    upload.end();
  });

  it("gives up a client that falls silent, at the beginning or later", async () => {
    const first = receiveNext();
    const silent = post({ "content-length": "10" });
    silent.write("x");
    const early = await first;
    await until("it waits", () => early.clock.armedCount === 1);
    early.clock.advance(silenceMsMax);
    await assert.rejects(early.received, { reason: "request_timeout" });
    silent.destroy();

    const second = receiveNext();
    const slow = post({ "content-length": String(keptBytesMax * 2) });
    slow.write(randomBytes(keptBytesMax));
    const late = await second;
    const { upload } = await late.received;
    upload?.stream.resume();
    await until("all that came was taken", () => upload?.stream.readableLength === 0);
    late.clock.advance(silenceMsMax);
    assert.deepEqual(late.refusals, ["request_timeout"]);
    slow.destroy();
  });
});
