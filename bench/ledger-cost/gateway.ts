// The gateway as it is put together for production, but for a switch before its ledger.

import { pino } from "pino";
import { createMemoryScheduler } from "../../src/admission/memory-scheduler.ts";
import { createByteBudget } from "../../src/base/byte-budget.ts";
import { systemClock as clock } from "../../src/base/clock.ts";
import { openBooks } from "../../src/books.ts";
import { createAnswerCache } from "../../src/cache/answer-cache.ts";
import { createCallRegistry } from "../../src/call-registry.ts";
import { serveCall } from "../../src/gateway.ts";
import { createAddressBook } from "../../src/http/client-address.ts";
import { createHttpServer } from "../../src/http/server.ts";
import { createIdentity } from "../../src/identity/identity.ts";
import { createPasswordChecker } from "../../src/identity/passwords.ts";
import { createSessionTokens } from "../../src/identity/session-tokens.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import type { CallRecord } from "../../src/ledger/record.ts";
import { createObjectGuard } from "../../src/object-guard.ts";
import { describeCall } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { createCallRules } from "../../src/rules.ts";
import type { Stages } from "../../src/stages.ts";
import { chatEndpoint } from "../../src/surfaces/chat-endpoint.ts";
import { openAiSurface } from "../../src/surfaces/openai-surface.ts";
import { createUpstreamPool } from "../../src/upstream/upstream-pool.ts";
import { testSettings, withLimits } from "../../test/support/gateway.ts";
import { until } from "../../test/support/until.ts";
import { upstreamKey } from "./child.ts";

export interface BenchedGateway {
  readonly url: string;
  readonly token: string;
  switchLedger(isOn: boolean): void;
  /** Resolves when all records are written. */
  isIdle(): Promise<void>;
  close(): Promise<void>;
}

const budget = () => createByteBudget(256 * 1024 * 1024);

export async function openGateway(baseUrl: string, folder: string): Promise<BenchedGateway> {
  const settings = {
    ...testSettings,
    dataFolder: folder,
    store: { kind: "sqlite", file: `${folder}/store.sqlite` } as const,
    prices: { currency: "CNY", models: [{ pattern: "glm-*", input: 2, cachedInput: null, output: 8 }] },
    rateLimit: withLimits(testSettings.rateLimit, { startsPerSecond: 1_000_000, queueCapacity: 1_000 }),
  };
  const log = pino({ level: "info", base: null }, pino.destination({ dest: "/dev/null", sync: false }));
  const books = await openBooks(settings, clock, log);
  const lifetimes = { tokenSeconds: 86_400, consoleIdleSeconds: 28_800, sessionSeconds: 86_400 };
  const sessionTokens = createSessionTokens(settings.auth.jwtSecret, lifetimes, clock);
  const passwords = createPasswordChecker({ runningMax: 2, waitingMax: 32 });
  const identity = createIdentity({
    directory: books.people.directory,
    sessionTokens,
    passwords,
    signingKeys: books.signingKeys,
    clock,
  });
  const scheduler = createMemoryScheduler(settings.rateLimit, clock);
  const upstream = createUpstreamPool({
    targets: [{ name: "default", kind: "glm", apiKey: upstreamKey, baseUrl, anthropicBaseUrl: null }],
    product: "bench",
    proxy: null,
    clock,
    collectBudget: budget(),
    connectTimeoutMs: 10_000,
    firstEventMs: () => 1_000,
  });
  const calls = createCallRegistry(clock);
  const metrics = createMetrics({
    version: "0",
    gauges: () => scheduler.gauges(),
    ledger: () => books.ledger.gauges(),
    cache: () => ({ entries: 0, bytes: 0, hits: 0, misses: 0, joined: 0 }),
    unsentBytes: () => 0,
    userLabelsMax: () => 0,
  });
  const silent: Ledger = { ...books.ledger, begin: () => Promise.resolve(), settle: () => {} };
  let hasLedger = true;

  /** As the gateway's own, but for the record when there is no ledger. */
  function settle(record: CallRecord): void {
    if (hasLedger) books.settle(record);
    else record.reservation?.settle(record.charge);
    metrics.countCall(record);
    log.info(describeCall(record), `call ${record.outcome}`);
  }

  const rules = createCallRules(settings.glm.timeouts, [], new Map());
  const unsentBudget = budget();
  const stages: Stages = {
    calls,
    identity,
    objects: createObjectGuard({
      requireWritable() {},
      async note() {},
      find: () => Promise.resolve(null),
      listOwn: () => Promise.resolve([]),
      async forget() {},
    }),
    quotas: books.quotas,
    get ledger() {
      return hasLedger ? books.ledger : silent;
    },
    capture: books.capture,
    cache: createAnswerCache({ settings: settings.cache, clock, unsentBudget: budget() }),
    scheduler,
    upstream,
    relayBounds: (userId) => ({ unsentBytesMax: 1024 * 1024, unsentBudget: unsentBudget.of(userId) }),
    settle,
    clock,
    rules: () => rules,
  };
  const server = createHttpServer({
    routes: new Map([["/chat/completions", { POST: { access: "call", endpoint: chatEndpoint } }]]),
    clock,
    bodyBudget: budget(),
    settings: () => ({
      bodyBytesMax: 1024 * 1024,
      uploadBytesMax: 1024 * 1024,
      writeStallMs: 30_000,
      connectionsPerAddress: 10_000,
      addresses: createAddressBook([]),
      heartbeats: null,
      sendsIetfFields: true,
    }),
    isDraining: () => false,
    control: null,
    serveCall: (call) => serveCall(call, stages),
    identify: identity.identify,
    formatFor: () => openAiSurface.formatRefusal,
    findHint: () => undefined,
    onFailure: (error) => console.error(error),
  });
  const port = await server.listen("127.0.0.1", 0);
  const { sessionToken: token } = await identity.logIn({
    username: "user1",
    password: "pass123",
    address: "127.0.0.1",
  });
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    switchLedger(isOn) {
      hasLedger = isOn;
    },
    isIdle: () => until("all is written", () => books.ledger.gauges().waiting === 0),
    async close() {
      scheduler.close();
      const closed = server.close();
      server.destroy();
      await closed;
      await upstream.close();
      await books.close();
    },
  };
}
