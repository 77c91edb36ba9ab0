// Builds everything and wires it up: it chooses implementations, as books.ts does for what is kept. What it is made of
// lives elsewhere.

import type { ConfigRow } from "./admin/control-parts.ts";
import { createControlPlane } from "./admin/control-plane.ts";
import { createLiveFeed } from "./admin/live-feed.ts";
import { createFamilyScheduler } from "./admission/family-scheduler.ts";
import type { Decision, PastCalls, SchedulerSnapshot } from "./admission/scheduler.ts";
import { createByteBudget } from "./base/byte-budget.ts";
import type { Clock } from "./base/clock.ts";
import { openBooks } from "./books.ts";
import { createAnswerCache } from "./cache/answer-cache.ts";
import { createCallRegistry } from "./call-registry.ts";
import type { Settings } from "./config/settings.ts";
import { serveCall } from "./gateway.ts";
import { controlSocketFile, createControlSocket } from "./http/control.ts";
import { createCountTokensRoute } from "./http/count-tokens-route.ts";
import { createLoginRoute, type LoginRecord } from "./http/login-route.ts";
import { createModelsRoute } from "./http/models-route.ts";
import { createMetricsRoute, createReadinessRoute, frontDoorRoute, livenessRoute } from "./http/operations-routes.ts";
import type { Route, RouteTable } from "./http/routes.ts";
import { createHttpServer } from "./http/server.ts";
import { createHashingThread } from "./identity/hashing-thread.ts";
import { createIdentity } from "./identity/identity.ts";
import { createPasswordChecker, hashPassword } from "./identity/passwords.ts";
import { createSessionTokens, type TokenLifetimes } from "./identity/session-tokens.ts";
import { findOtherCosts } from "./identity/unknown-names.ts";
import type { CallRecord } from "./ledger/record.ts";
import type { SendHistory } from "./ledger/send-history.ts";
import { toLive } from "./live.ts";
import { bytesMax } from "./memory-bounds.ts";
import { listModels } from "./model-list.ts";
import { createObjectGuard } from "./object-guard.ts";
import { describeCall, type Logger, logDecision } from "./observe/log.ts";
import { createMetrics, type Metrics } from "./observe/metrics.ts";
import { createSetup } from "./people/setup.ts";
import { checkQuotasHourly, type QuotaCheck } from "./quota-check.ts";
import type { Stages } from "./stages.ts";
import {
  catalogue,
  countTokensPaths,
  familiesOf,
  findHint,
  modelsPaths,
  namesOfOthers,
  surfaceOf,
} from "./surfaces/catalogue.ts";
import { createUpstreamPool } from "./upstream/upstream-pool.ts";

export interface App {
  readonly routes: RouteTable;
  readonly metrics: Metrics;
  /** Resolves with the port that it listens on. Rejects when the port can't be had. */
  start(): Promise<number>;
  /** Takes what of new settings can change while running (see config's diff); the rest stays. */
  apply(settings: Settings): void;
  snapshot(): SchedulerSnapshot;
  /** The secret of a one-time link for the first administrator; null: there is one. */
  openSetup(): string | null;
  /** How long `stop` lets calls go on. */
  shutdownGraceMs(): number;
  /** Lets what lives end, within the grace period, then closes everything. May be called once. */
  stop(): Promise<void>;
  /** Cuts the grace period short. */
  abort(): void;
}

/** Of users in a notice. */
const shownUsersMax = 5;
/** One thread computes them. */
const hashingLimits = { runningMax: 1, waitingMax: 32 };

/** Rejects with StoreError when its database can't be used. */
export async function createApp(
  initial: Settings,
  version: string,
  log: Logger,
  clock: Clock,
  describeConfig: () => readonly ConfigRow[] = () => [],
): Promise<App> {
  let settings = initial;
  let live = toLive(settings);

  const hashing = createHashingThread();
  const books = await openBooks(settings, clock, log, (password) => hashPassword(password, hashing.derive));
  const { people, quotas, ledger } = books;
  const sessionTokens = createSessionTokens(settings.auth.jwtSecret, toLifetimes(settings), clock);
  const passwords = createPasswordChecker(hashingLimits, hashing.derive);
  const identity = createIdentity({
    directory: people.directory,
    sessionTokens,
    passwords,
    signingKeys: books.signingKeys,
    clock,
  });
  noteOtherCosts();
  const scheduler = createFamilyScheduler(settings.rateLimit, clock, {
    observer: noteDecision,
    tracer,
    past: toPastCalls(books.sendHistory),
  });
  const product = `glm-proxy/${version}`;
  const upstream = createUpstreamPool({
    targets: settings.glm.upstreams,
    product,
    proxy: settings.proxy,
    clock,
    collectBudget: createByteBudget(bytesMax.collected),
    connectTimeoutMs: settings.glm.connectTimeoutMs,
    firstEventMs: () => settings.glm.firstEventMs,
  });
  const unsentBudget = createByteBudget(bytesMax.unsent);
  const cache = createAnswerCache({ settings: settings.cache, clock, unsentBudget });
  const calls = createCallRegistry(clock);
  const metrics = createMetrics({
    version,
    gauges: () => scheduler.gauges(),
    ledger: () => ledger.gauges(),
    cache: cache.gauges,
    unsentBytes: () => unsentBudget.used,
    userLabelsMax: () => settings.metrics.userLabelsMax,
  });
  /** Upstream objects are on an account, which several keys may share. */
  const accountOf = (key: string): string => settings.rateLimit.keys.find(({ name }) => name === key)?.account ?? key;
  const stages: Stages = {
    calls,
    identity,
    objects: createObjectGuard(books.objects, accountOf),
    quotas,
    ledger,
    capture: books.capture,
    cache,
    scheduler,
    upstream,
    relayBounds: (userId) => ({ unsentBytesMax: bytesMax.unsentOfOne, unsentBudget: unsentBudget.of(userId) }),
    settle,
    clock,
    rules: () => live.rules,
  };
  const feed = createLiveFeed({ clock, queue: () => scheduler.snapshot(), currency: books.currency });
  const setup = createSetup(people, clock);
  const control = createControlPlane({
    ...books,
    identity,
    setUp: setup.complete,
    live: feed,
    queue: () => scheduler.snapshot(),
    describeConfig,
    onLogin: noteLogin,
    onFailure,
    clock,
    version,
  });
  const quotaCheck: QuotaCheck = {
    findDrift: books.findQuotaDrift,
    onChecked(drift) {
      metrics.noteQuotaDrift(drift);
      if (drift > 0) log.error({ drift }, "quotas have drifted from the records: this is a bug");
    },
    onFailure: (error) => log.warn({ err: error }, "quotas could not be checked"),
  };
  // Where others write records too, they are more than this process has counted.
  const stopChecking = books.store.kind === "sqlite" ? checkQuotasHourly(quotaCheck, clock) : () => {};
  const controlSocket = createControlSocket(control, clock, onFailure);
  const routes = createRoutes();
  const server = createHttpServer({
    routes,
    clock,
    bodyBudget: createByteBudget(bytesMax.bodies, () => live.http.bodyBytesMax),
    settings: () => live.http,
    isDraining: () => calls.isDraining,
    control,
    serveCall: (call) => serveCall(call, stages),
    identify: identity.identify,
    formatFor: (path) => surfaceOf(path).formatRefusal,
    findHint,
    onFailure,
  });

  function onFailure(error: unknown, requestId: string): void {
    log.error({ request_id: requestId, err: error }, "request failed");
  }

  function createRoutes(): RouteTable {
    const login = createLoginRoute(identity, noteLogin);
    const models = createModelsRoute({ list: (caller) => listModels(live.listing, live.rules, caller, namesOfOthers) });
    const countTokens = createCountTokensRoute(
      (model, bytes) => books.ratios.promptTokens(live.rules.aliases.get(model) ?? model, bytes),
      () => live.http.bodyBytesMax,
    );
    const readiness = createReadinessRoute(() => calls.isDraining);
    const served = new Map<string, Record<string, Route>>();
    for (const { method, path, endpoint } of catalogue) {
      served.set(path, { ...served.get(path), [method]: { access: "call", endpoint } });
    }
    return new Map<string, Record<string, Route>>([
      ...served,
      ...modelsPaths.flatMap((path): [string, Record<string, Route>][] => [
        [path, { GET: models }],
        [`${path}/*`, { GET: models }],
        // Names such as "openai/gpt-x".
        [`${path}/*/*`, { GET: models }],
      ]),
      ...countTokensPaths.map((path): [string, Record<string, Route>] => [path, { POST: countTokens }]),
      ["/", { GET: frontDoorRoute }],
      ["/auth/login", { POST: login }],
      ["/livez", { GET: livenessRoute }],
      ["/healthz", { GET: livenessRoute }],
      ["/readyz", { GET: readiness }],
      ["/metrics", { GET: createMetricsRoute(metrics.contentType, metrics.render) }],
    ]);
  }

  function noteLogin({ outcome, requestId, address, user }: LoginRecord): void {
    metrics.countLogin(outcome);
    log.info({ request_id: requestId, address, user, outcome }, "login");
  }

  /** The time of a login says how its hash was made, though not whose name there is. */
  function noteOtherCosts(): void {
    const names = findOtherCosts(people.directory.listSecrets());
    if (names.length === 0) return;
    log.warn(
      { code: "hash_costs", users: names.slice(0, shownUsersMax), count: names.length },
      "password hashes of other costs than those made here: set these passwords again, so that all logins take the same time",
    );
  }

  /** Where the end of every call comes together. */
  function settle(record: CallRecord): void {
    books.settle(record);
    feed.noteCall(record);
    metrics.countCall(record);
    const fields = describeCall(record);
    if (record.refusal?.reason === "internal_error") log.error({ ...fields, err: record.refusal.cause }, "call failed");
    else log.info(fields, `call ${record.outcome}`);
    if (record.refusal?.reason === "upstream_account") log.error(fields, "the upstream refuses our account or key");
    if (record.refusal?.reason === "upstream_exposed_key") log.error(fields, "the upstream's answer contained its key");
  }

  /** What concerns the upstream and its limits. */
  function noteDecision(decision: Decision): void {
    metrics.countDecision(decision);
    logDecision(log, decision);
  }

  /** What concerns single calls, which nobody wants to know but with the debug log. */
  function tracer(): ((decision: Decision) => void) | null {
    return log.isLevelEnabled("debug") ? (decision) => logDecision(log, decision) : null;
  }

  /** Where nothing is kept on the disk, there is no place for it either. */
  async function openControlSocket(): Promise<void> {
    const { store, dataFolder } = settings;
    if (store.kind === "sqlite" && store.file === ":memory:") return;
    const path = controlSocketFile(dataFolder);
    await controlSocket.listen(path).catch((error: unknown) => {
      log.warn({ err: error }, `${path} can't be opened: the command line needs --url and a key`);
    });
  }

  function apply(changed: Settings): void {
    settings = changed;
    live = toLive(changed);
    books.apply(changed);
    cache.configure(changed.cache);
    sessionTokens.setLifetimes(toLifetimes(changed));
    upstream.configure(changed.glm.upstreams);
    scheduler.configure(changed.rateLimit);
    log.level = changed.log.level;
  }

  async function stop(): Promise<void> {
    await calls.drain(settings.server.shutdownGraceMs);
    stopChecking();
    scheduler.close();
    control.close();
    await Promise.all([server.close(), controlSocket.close()]);
    await upstream.close();
    await books.close();
    await hashing.close();
  }

  return {
    routes,
    metrics,
    async start() {
      const { host, port: wanted } = settings.server;
      const port = await server.listen(host, wanted);
      await openControlSocket();
      // Loaded now, or the first request to it would hold up the calls of that moment.
      void control.prepare();
      return port;
    },
    openSetup: setup.open,
    apply,
    snapshot: () => scheduler.snapshot(),
    shutdownGraceMs: () => settings.server.shutdownGraceMs,
    stop,
    abort: () => calls.abortAll(),
  };
}

/** Records say which endpoint a call came to, of which some are in several families. */
function toPastCalls({ calls, unknownUntil }: SendHistory): PastCalls {
  return { calls: calls.map((call) => ({ ...call, families: familiesOf(call.surface) })), unknownUntil };
}

function toLifetimes({ auth }: Settings): TokenLifetimes {
  return {
    tokenSeconds: auth.tokenTtlSeconds,
    consoleIdleSeconds: auth.consoleIdleSeconds,
    sessionSeconds: auth.sessionTtlSeconds,
  };
}
