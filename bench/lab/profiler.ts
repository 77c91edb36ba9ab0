// Loaded into the gateway's process by `--import`, before the gateway: records a profile of its main thread between two
// messages of the lab, so that neither the start nor the end is in it.

import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { isMainThread } from "node:worker_threads";

export type ProfileKind = "cpu" | "heap";

export type ProfilerOrder =
  | { readonly kind: "start"; readonly what: ProfileKind }
  | { readonly kind: "stop"; readonly what: ProfileKind; readonly file: string };

/** How often the CPU's profile looks, in microseconds. */
const intervalMicros = 500;
/** Bytes between two objects that the heap's profile notes, on average. */
const samplingBytes = 16_384;

const session = new Session();

async function follow(order: ProfilerOrder): Promise<void> {
  if (order.kind === "start" && order.what === "cpu") {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: intervalMicros });
    await session.post("Profiler.start");
  } else if (order.kind === "start") {
    // Also of what is gone by the end: what a call allocates is the question, not what leaks.
    await session.post("HeapProfiler.startSampling", {
      samplingInterval: samplingBytes,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
  } else {
    const method = order.what === "cpu" ? "Profiler.stop" : "HeapProfiler.stopSampling";
    const { profile } = (await session.post(method as "Profiler.stop")) as { profile: object };
    writeFileSync(order.file, JSON.stringify(profile));
  }
}

// Its threads load this file as well.
if (isMainThread && process.send) {
  session.connect();
  process.on("message", (order: ProfilerOrder) => {
    follow(order).then(
      () => process.send?.({ ok: true }),
      (error: unknown) => process.send?.({ problem: String(error) }),
    );
  });
  // The gateway's end must not wait for more orders.
  process.channel?.unref();
}
