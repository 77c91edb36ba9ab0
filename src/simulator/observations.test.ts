import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createObservations } from "./observations.ts";

const request = {
  method: "POST",
  url: "/api/paas/v4/chat/completions",
  headers: { "x-test": "1" },
} as unknown as IncomingMessage;

describe("observations of the simulated GLM", () => {
  it("keep a call's head, body, hash and meaning", () => {
    const observations = createObservations(createManualClock(5));
    const arrival = observations.noteArrival(request);
    arrival.noteKey("sim");
    arrival.noteBody(Buffer.from("{}"));
    arrival.noteMeaning("glm-4.7", true);
    assert.deepEqual(observations.report().arrivals, [
      {
        at: 5,
        method: "POST",
        key: "sim",
        path: "/api/paas/v4/chat/completions",
        model: "glm-4.7",
        isStream: true,
        bodyBytes: 2,
        bodySha256: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        headers: { "x-test": "1" },
        body: "{}",
      },
    ]);
  });

  it("count answers by status and code, pieces by bytes, and aborts", () => {
    const observations = createObservations(createManualClock());
    observations.noteAnswer(200, null);
    observations.noteAnswer(429, "1302");
    observations.noteAnswer(429, "1302");
    observations.notePiece(10, 4);
    observations.notePiece(20, 1);
    observations.noteAbort(2);
    const { answers, bytesWritten, unsentBytesMax, abortCount, aborts } = observations.report();
    assert.deepEqual(answers, { "200": 1, "429 1302": 2 });
    assert.deepEqual([bytesWritten, unsentBytesMax, abortCount, aborts], [30, 4, 1, [{ at: 0, pieces: 2 }]]);
  });

  it("keep 10,000 calls, of which the newest 500 with headers and body", () => {
    const observations = createObservations(createManualClock());
    for (let count = 0; count < 10_001; count++) observations.noteArrival(request).noteBody(Buffer.from("{}"));
    const { arrivals, callCount } = observations.report();
    assert.deepEqual([callCount, arrivals.length], [10_001, 10_000]);
    assert.equal(arrivals.filter(({ body }) => body !== "").length, 500);
    assert.deepEqual([arrivals.at(-501)?.headers, arrivals.at(-501)?.bodyBytes], [{}, 2]);
    assert.deepEqual(arrivals.at(-500)?.headers, { "x-test": "1" });
  });

  it("keep 16 MiB of bodies, and the newest one however large it is", () => {
    const observations = createObservations(createManualClock());
    const body = Buffer.alloc(5 * 1024 * 1024, "x");
    for (let count = 0; count < 4; count++) observations.noteArrival(request).noteBody(body);
    observations.noteArrival(request).noteBody(Buffer.alloc(20 * 1024 * 1024, "y"));
    assert.deepEqual(
      observations.report().arrivals.map(({ body }) => body.length),
      [0, 0, 0, 0, 20 * 1024 * 1024],
    );
  });

  it("keep counting right when bodies are read after their calls were forgotten", () => {
    const observations = createObservations(createManualClock());
    const early = observations.noteArrival(request);
    for (let count = 0; count < 500; count++) observations.noteArrival(request);
    early.noteBody(Buffer.from("late"));
    const [arrival] = observations.report().arrivals;
    assert.deepEqual([arrival?.bodyBytes, arrival?.body], [4, ""]);
  });

  it("are gone after a reset, and calls that still run do not come back", () => {
    const observations = createObservations(createManualClock());
    const running = observations.noteArrival(request);
    observations.notePiece(10, 0);
    observations.reset();
    running.noteBody(Buffer.from("{}"));
    const { callCount, arrivals, bytesWritten } = observations.report();
    assert.deepEqual([callCount, arrivals, bytesWritten], [0, [], 0]);
  });
});
