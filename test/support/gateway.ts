// A real gateway in front of the simulator, both on free loopback ports, for tests over sockets. Keeps what the
// gateway logs, so that a test can look for what must not be there.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { AdmissionLimits, GateLimits } from "../../src/admission/scheduler.ts";
import { type App, createApp } from "../../src/app.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Settings } from "../../src/config/settings.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/simulator/simulator.ts";
import { send } from "./send.ts";

export { chat, type SendOptions, type Sent, send } from "./send.ts";
export { until } from "./until.ts";

/** Limits of the one key may stand beside the others. */
type LimitOverrides = Partial<AdmissionLimits & GateLimits>;
type Whole = "store" | "prices" | "proxy" | "dataFolder";
type Overrides = { readonly [Section in Exclude<keyof Settings, "rateLimit" | Whole>]?: Partial<Settings[Section]> } & {
  readonly [Section in Whole]?: Settings[Section];
} & { readonly rateLimit?: LimitOverrides };

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly app: App;
  readonly simulator: Simulator;
  readonly settings: Settings;
  /** Every line of the log so far. */
  readonly logLines: readonly string[];
  /** The records of the calls that have ended, as logged. */
  readonly callLines: () => Record<string, unknown>[];
  logIn(username?: string, password?: string): Promise<string>;
  stop(): Promise<void>;
}

/** The canary must show up nowhere. */
export const upstreamKey = "zkCANARYid0123456789.zkCANARYsecret9876";

export const testSettings: Settings = {
  server: {
    host: "127.0.0.1",
    port: 0,
    bodyBytesMax: 1024 * 1024,
    uploadBytesMax: 8 * 1024 * 1024,
    shutdownGraceMs: 2_000,
    writeStallMs: 30_000,
    connectionsPerAddress: 10_000,
    trustedProxies: [],
    allowedHosts: [],
    heartbeatMs: null,
    heartbeatGraceMs: 2_000,
    heartbeatStyle: "comment",
    sendsIetfFields: true,
  },
  auth: {
    jwtSecret: "a-test-secret-of-more-than-32-bytes!",
    tokenTtlSeconds: 60,
    users: [
      { username: "user1", password: "pass123", role: "user", weight: 1, class: "default" },
      { username: "user2", password: "pass456", role: "user", weight: 1, class: "default" },
    ],
    sessionTtlSeconds: 43_200,
    consoleIdleSeconds: 28_800,
  },
  glm: {
    apiKey: upstreamKey,
    baseUrl: "http://127.0.0.1:1/api/paas/v4",
    timeouts: { totalMs: 20_000, firstByteMs: null, idleMs: null },
    connectTimeoutMs: 10_000,
    firstEventMs: 1_000,
    models: [],
    aliases: new Map(),
    upstreams: [],
    fallbacks: new Map(),
  },
  rateLimit: {
    keys: [{ name: "default", startsPerSecond: 1_000, concurrencyMax: null, tokensPerMinute: null, models: null }],
    models: [],
    user: { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null },
    userQueueCapacity: null,
    queueCapacity: 20,
    queueTimeoutMs: 5_000,
    refusesEarly: false,
    sendGuardMs: 20,
    abortLingerMs: 300,
  },
  metrics: { userLabelsMax: 0 },
  log: { level: "debug" },
  store: { kind: "sqlite", file: ":memory:" },
  ledger: {
    isStrict: true,
    retentionDays: 400,
    storesContent: false,
    contentRetentionDays: 7,
    spoolBytesMax: 64 * 1024 * 1024,
  },
  quotas: { timeZone: "UTC", assumedOutputTokens: 1_024 },
  prices: { currency: "CNY", models: [] },
  cache: { isEnabled: false, bytesMax: 1024 * 1024, entryBytesMax: 64 * 1024, ttlMs: 60_000, models: [] },
  proxy: null,
  dataFolder: join(tmpdir(), "glm-proxy-test-unused"),
};

/** The simulator, or what stands in its place, as the pool's only upstream. */
function toUpstream({ origin }: Simulator, baseUrl: string): Settings["glm"]["upstreams"][number] {
  const anthropicBaseUrl = `${origin}/api/anthropic`;
  return { name: "default", kind: "glm", apiKey: upstreamKey, baseUrl, anthropicBaseUrl };
}

export function withLimits(limits: AdmissionLimits, overrides: LimitOverrides = {}): AdmissionLimits {
  const { startsPerSecond, concurrencyMax, tokensPerMinute, ...others } = overrides;
  const ofKey = {
    ...(startsPerSecond !== undefined && { startsPerSecond }),
    ...(concurrencyMax !== undefined && { concurrencyMax }),
    ...(tokensPerMinute !== undefined && { tokensPerMinute }),
  };
  return { ...limits, keys: limits.keys.map((key) => ({ ...key, ...ofKey })), ...others };
}

export async function startGateway(
  overrides: Overrides = {},
  simulatorOptions: SimulatorOptions = {},
): Promise<TestGateway> {
  const simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 5, tokenMs: 1, ...simulatorOptions });
  const settings: Settings = {
    server: { ...testSettings.server, ...overrides.server },
    auth: { ...testSettings.auth, ...overrides.auth },
    glm: {
      ...testSettings.glm,
      upstreams: [toUpstream(simulator, overrides.glm?.baseUrl ?? simulator.baseUrl)],
      baseUrl: simulator.baseUrl,
      ...overrides.glm,
    },
    rateLimit: withLimits(testSettings.rateLimit, overrides.rateLimit),
    metrics: { ...testSettings.metrics, ...overrides.metrics },
    log: { ...testSettings.log, ...overrides.log },
    store: overrides.store ?? testSettings.store,
    ledger: { ...testSettings.ledger, ...overrides.ledger },
    quotas: { ...testSettings.quotas, ...overrides.quotas },
    prices: overrides.prices ?? testSettings.prices,
    cache: { ...testSettings.cache, ...overrides.cache },
    proxy: overrides.proxy ?? testSettings.proxy,
    dataFolder: overrides.dataFolder ?? testSettings.dataFolder,
  };
  const logLines: string[] = [];
  const log = pino({ level: settings.log.level, base: null }, { write: (line: string) => void logLines.push(line) });
  const app = await createApp(settings, "0.0.0-test", log, systemClock).catch(async (error: unknown) => {
    await simulator.close();
    throw error;
  });
  const port = await app.start().catch(async (error: unknown) => {
    await app.stop();
    await simulator.close();
    throw error;
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    app,
    simulator,
    settings,
    logLines,
    callLines: () =>
      logLines
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ msg }) => typeof msg === "string" && msg.startsWith("call ")),
    async logIn(username = "user1", password = "pass123") {
      const { status, json } = await send(`${url}/auth/login`, { body: { username, password } });
      if (status !== 200) throw new Error(`login failed: ${status} ${JSON.stringify(json)}`);
      return (json as { token: string }).token;
    },
    async stop() {
      await app.stop();
      await simulator.close();
    },
  };
}
