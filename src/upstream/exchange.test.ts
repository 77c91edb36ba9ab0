import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Dispatcher } from "undici";
import { createManualClock, settle } from "../../test/support/manual-clock.ts";
import { createByteBudget } from "../base/byte-budget.ts";
import { Refusal } from "../base/refusal.ts";
import { createAnswerJudge } from "./answer-judge.ts";
import { createExchange } from "./exchange.ts";
import type { Flight } from "./upstream.ts";

type Event = "abort" | "consume" | "discard" | "pause" | "resume" | "tick";

const frame = Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n');
const json = { "content-type": "application/json" };
const eventStream = { "content-type": "text/event-stream" };

function setUp(isStream: boolean) {
  const clock = createManualClock();
  const client = new AbortController();
  const ends: string[] = [];
  const flight: Flight = {
    upstreamKey: "default",
    userId: "ada",
    signal: client.signal,
    onSent() {},
    onHead() {},
    onBytes() {},
    onPause() {},
    onConcluded() {},
    onVerdict() {},
    onEnd: (how) => void ends.push(how),
  };
  const collectBudget = createByteBudget(1024 * 1024, () => 1024 * 1024);
  const judge = createAnswerJudge("id.secret-of-the-upstream", clock);
  const context = { judge, clock, connectTimeoutMs: 1_000, firstEventMs: 1_000, collectBudget };
  const way = {
    isStream,
    answers: "json",
    format: "chat",
    translation: null,
    dropsUsageChunk: false,
    isRepeatable: false,
  } as const;
  const exchange = createExchange(way, flight, context);
  let isAborted = false;
  const controller = {
    aborted: false,
    paused: false,
    reason: null,
    pause() {},
    resume() {},
    // As undici does: the error comes back within the call.
    abort(reason: Error) {
      if (isAborted) return;
      isAborted = true;
      exchange.handler.onResponseError?.(controller, reason);
    },
  } satisfies Dispatcher.DispatchController;
  return { clock, client, ends, exchange, controller, collectBudget, wasAborted: () => isAborted };
}

describe("createExchange()", () => {
  it("ends its flight exactly once and settles its answer, in whatever order things happen", async () => {
    const wire = fc.record({
      isStream: fc.boolean(),
      isSent: fc.boolean(),
      status: fc.constantFrom(null, 200, 429, 302),
      chunks: fc.nat(3),
      ending: fc.constantFrom<"end" | "error" | "none">("end", "error", "none"),
    });
    const others = fc.array(
      fc.tuple(fc.nat(8), fc.constantFrom<Event>("abort", "consume", "discard", "pause", "resume", "tick")),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(wire, others, async ({ isStream, isSent, status, chunks, ending }, disturbances) => {
        const { clock, client, ends, exchange, controller, collectBudget, wasAborted } = setUp(isStream);
        const { handler } = exchange;
        const sinkEvents: string[] = [];
        const settled = exchange.answer.then(
          (answer) => answer,
          (error: unknown) => {
            assert.ok(error instanceof Refusal, String(error));
            return null;
          },
        );

        const steps: (() => void)[] = [];
        if (isSent) steps.push(() => handler.onRequestStart?.(controller, null));
        if (isSent && status !== null) {
          const headers = isStream && status === 200 ? eventStream : json;
          steps.push(() => handler.onResponseStart?.(controller, status, headers));
          for (let count = 0; count < chunks; count++) {
            steps.push(() => handler.onResponseData?.(controller, isStream ? frame : Buffer.from("{}")));
          }
        }
        if (ending === "end" && status !== null && isSent) steps.push(() => handler.onResponseEnd?.(controller, {}));
        else if (ending !== "none") steps.push(() => handler.onResponseError?.(controller, new Error("gone")));

        const disturb = async (event: Event): Promise<void> => {
          if (event === "abort") return client.abort(new Refusal("client_gone"));
          if (event === "tick") return clock.advance(2_000);
          const answer = await Promise.race([settled, settle()]);
          if (answer?.kind !== "stream") return;
          const isConsumed = sinkEvents.includes("consumed");
          if (event === "discard" && isConsumed) void answer.discard();
          else if (event === "pause") answer.pause();
          else if (event === "resume") answer.resume();
          else if (event === "consume" && !isConsumed) {
            sinkEvents.push("consumed");
            answer.consume({
              onData() {},
              onEnd: () => void sinkEvents.push("over"),
              onError: () => void sinkEvents.push("over"),
            });
          }
        };
        for (let index = 0; index <= 8; index++) {
          // Nothing more comes over a connection that was closed.
          if (!wasAborted()) steps[index]?.();
          for (const [at, event] of disturbances) if (at === index) await disturb(event);
        }
        client.abort(new Refusal("client_gone"));
        await settle();
        await settled;
        assert.deepEqual(ends.length, 1, ends.join());
        assert.equal(collectBudget.used, 0);
        assert.equal(clock.armedCount, 0, "no timer is left");
        assert.ok(sinkEvents.filter((event) => event === "over").length <= 1);
      }),
      { numRuns: 2_000 },
    );
  });

  it("writes nothing of a call that was given up while it waited for a connection", async () => {
    const { client, ends, exchange, controller, wasAborted } = setUp(false);
    client.abort(new Refusal("client_gone"));
    await assert.rejects(exchange.answer, { reason: "client_gone" });
    exchange.handler.onRequestStart?.(controller, null);
    assert.equal(wasAborted(), true);
    assert.deepEqual(ends, ["aborted"]);
  });

  it("refuses an answer when the gateway's memory for answers is full, and gives back what it took", async () => {
    const { exchange, controller, collectBudget } = setUp(false);
    collectBudget.of("bob").force(1024 * 1024 - 3);
    exchange.handler.onRequestStart?.(controller, null);
    exchange.handler.onResponseStart?.(controller, 200, json);
    exchange.handler.onResponseData?.(controller, Buffer.from("{}"));
    exchange.handler.onResponseData?.(controller, Buffer.from("  "));
    await assert.rejects(exchange.answer, { reason: "memory_full" });
    assert.equal(collectBudget.used, 1024 * 1024 - 3);
  });
});
