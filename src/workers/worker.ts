// A worker: a thread with an HTTP server of its own on the gateway's port, that serves chats, messages and responses from
// the first byte to the last. What has to be the same for all calls it asks the main thread; what it does not serve it
// passes on to it. The other side is worker-pool.ts. In a bundle, this file is a part of the whole: it serves only where
// it was started as a worker.

import { isMainThread, type MessagePort, parentPort, workerData } from "node:worker_threads";
import { createSharedByteBudget } from "../base/byte-budget.ts";
import { systemClock as clock } from "../base/clock.ts";
import { createAnswerCache } from "../cache/answer-cache.ts";
import { createCallRegistry } from "../call-registry.ts";
import { serveCall } from "../gateway.ts";
import { createForwarder } from "../http/forward.ts";
import type { Route } from "../http/routes.ts";
import { createHttpServer } from "../http/server.ts";
import { createContentCapture } from "../ledger/content-capture.ts";
import { toLive } from "../live.ts";
import { bytesMax } from "../memory-bounds.ts";
import type { ObjectGuard } from "../object-guard.ts";
import type { Stages } from "../stages.ts";
import { catalogue, dialectEndpoints, findHint, surfaceOf } from "../surfaces/catalogue.ts";
import { createUpstreamPool } from "../upstream/upstream-pool.ts";
import { createMailbox } from "./mailbox.ts";
import { packError, type ToMain, type ToWorker, type WorkerOptions } from "./messages.ts";
import { createRemoteCalls } from "./remote-stages.ts";

/** None of the endpoints here has to do with objects. */
const noObjects: ObjectGuard = {
  locate: () => Promise.resolve(null),
  review: (_caller, _request, _upstreamKey, answer) => Promise.resolve(answer),
};

async function serve(port: MessagePort, options: WorkerOptions): Promise<void> {
  const { memory, thread, version } = options;
  let { settings } = options;
  let live = toLive(settings);

  const mailbox = createMailbox<ToMain>((messages) => port.postMessage(messages));
  const capture = createContentCapture(() => settings.ledger.storesContent, clock);
  const remote = createRemoteCalls(mailbox.post, capture.take, clock);
  const calls = createCallRegistry(clock);
  const unsentBudget = createSharedByteBudget(bytesMax.unsent, memory.unsent, thread);
  const upstream = createUpstreamPool({
    targets: settings.glm.upstreams,
    product: `glm-proxy/${version}`,
    proxy: settings.proxy,
    clock,
    collectBudget: createSharedByteBudget(bytesMax.collected, memory.collected, thread),
  });
  const shared = {
    calls,
    objects: noObjects,
    capture,
    // Of one thread alone it would not be exact: the configuration does not have both.
    cache: createAnswerCache({ settings: { ...settings.cache, isEnabled: false }, clock, unsentBudget }),
    upstream,
    relayBounds: { unsentBytesMax: bytesMax.unsentOfOne, unsentBudget },
    clock,
    rules: () => live.rules,
  };
  const routes = new Map<string, Record<string, Route>>();
  for (const { method, path, endpoint } of catalogue) {
    if (dialectEndpoints.has(endpoint)) routes.set(path, { [method]: { access: "call", endpoint } });
  }
  const server = createHttpServer({
    routes,
    clock,
    bodyBudget: createSharedByteBudget(bytesMax.bodies, memory.bodies, thread),
    settings: () => live.http,
    isDraining: () => calls.isDraining,
    control: createForwarder(
      options.forwardTo,
      (path) => routes.has(path),
      () => live.http.addresses,
    ),
    serveCall(call) {
      const own = remote.open();
      const stages: Stages = { ...shared, identity: own, quotas: own, ledger: own, scheduler: own, settle: own.end };
      return serveCall(call, stages);
    },
    // Routes of that kind are the main thread's.
    identify: () => Promise.reject(new Error("a worker has no routes but those of calls")),
    formatFor: (path) => surfaceOf(path).formatRefusal,
    findHint,
    connectionsMax: options.connectionsMax,
    onFailure: (error, requestId) => mailbox.post({ kind: "failure", requestId, error: packError(error) }),
  });

  async function drain(graceMs: number): Promise<void> {
    await calls.drain(graceMs);
    mailbox.post({ kind: "drained" });
  }

  async function close(): Promise<void> {
    await server.close();
    await upstream.close();
    port.close();
  }

  function take(message: ToWorker): void {
    switch (message.kind) {
      case "apply":
        settings = message.settings;
        live = toLive(settings);
        upstream.configure(settings.glm.upstreams);
        return;
      case "drain":
        void drain(message.graceMs);
        return;
      case "abort_all":
        calls.abortAll();
        return;
      case "close":
        void close();
        return;
      default:
        remote.take(message);
    }
  }

  port.on("message", (messages: readonly ToWorker[]) => {
    for (const message of messages) take(message);
  });
  mailbox.post({ kind: "listening", port: await server.listen(options.listen) });
}

const data = workerData as { worker?: WorkerOptions } | null;
if (!isMainThread && parentPort && data?.worker) void serve(parentPort, data.worker);

/** What a Worker is started with: this very file, or the bundle that it is a part of. */
export const workerUrl = new URL(import.meta.url);
