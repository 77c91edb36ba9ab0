// GLM as a server on this machine: the same paths, answers, limits and errors, and whatever can go wrong on request.
// The one double of the project. It judges by itself whether its limits were kept, so that nobody else has to say so.
//
//   head ─▶ route ─▶ key ─▶ judge ─▶ body ─▶ reply (endpoints/) ─▶ judge ─▶ fault, if one is scripted ─▶ play.ts
//
// A prompt steers its own answer: [frames=40] content frames, [reasoning=9] frames of thought, [delay=25] ms between
// frames, [first=100] ms before the first; naming a tool that came along has it called. More: docs/simulator.md.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { systemClock } from "../base/clock.ts";
import { acceptAnybody, createAuthenticator, maskKeyId } from "./account.ts";
import { administer, isAdminPath } from "./admin.ts";
import type { Dialect } from "./dialect.ts";
import { atOnce, createId, type Endpoint, type Refused, type World } from "./endpoints/endpoint.ts";
import { applyFault } from "./fault-effects.ts";
import { createFaultScript } from "./fault-script.ts";
import type { ScriptedFault } from "./faults.ts";
import { glmCodes, toGlmError } from "./glm-errors.ts";
import { createJudge, type Limits, readsLane, type Visit } from "./judge.ts";
import { isMediaPath, toMediaPlan } from "./media.ts";
import { createObjectStore } from "./object-store.ts";
import { createObservations, type NotedArrival } from "./observations.ts";
import type { Simulator, SimulatorOptions, SimulatorReport } from "./options.ts";
import type { Plan } from "./plan.ts";
import { type Pace, play } from "./play.ts";
import { createRandom } from "./random.ts";
import { drain, receive } from "./request-body.ts";
import { anthropicBasePath, findRoute, readCredential, toSurfaces } from "./routes.ts";

export type { ScriptedFault } from "./faults.ts";
export type { Limits } from "./judge.ts";
export type { Simulator, SimulatorOptions, SimulatorReport } from "./options.ts";

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: string;
  readonly arrival: NotedArrival;
  readonly dialect: Dialect;
  /** As it came. */
  readonly credential: string;
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, flavour = "glm", clock = systemClock, language = "en" } = options;
  const { accounts = {}, limitsByKey = {}, countsReads = false, countsTokens = true } = options;
  const surfaces = toSurfaces(flavour, countsTokens);
  const mainBasePath = surfaces[0]?.bases[0] ?? "";
  const isOpen = flavour === "openai" && options.apiKeys === undefined;
  const authenticate = isOpen ? acceptAnybody : createAuthenticator(options.apiKeys ?? ["sim.secret"]);
  const accountOf = (keyId: string): string => (Object.hasOwn(accounts, keyId) ? (accounts[keyId] as string) : keyId);
  const judge = createJudge(toLimits(options), clock, maskKeyId, { accountOf, limitsByKey });
  const observations = createObservations(clock);
  const faults = createFaultScript();
  const keyStates = new Map<string, string>();
  const runningRequestIds = new Set<string>();
  const sockets = new Set<Socket>();

  // Chats are bounded by their clients, not by this server.
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen({ host, port }, resolve);
  server.on("request", (request, response) => void serve(request, response).catch(() => response.destroy()));
  await listening;
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
  const world = createWorld(options, origin);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    if (isAdminPath(path)) return administer(request, response, controls);
    if (isMediaPath(path)) return play(toMediaPlan(path), atOnce, response, clock, () => {});
    const { surface, endpoint, ids } = findRoute(surfaces, request.method ?? "", path);
    const { headers } = request;
    const dialect = surface.openDialect({ headers, createId: () => createId(world) });
    const credential = readCredential(headers, surface) ?? "";
    const arrival = observations.noteArrival(request);
    const exchange = { request, response, path, query, arrival, dialect, credential };
    const identity = authenticate(credential, clock.wallNow());
    const refusal = "code" in identity ? identity.code : (keyStates.get(identity.keyId) ?? null);
    if ("keyId" in identity) arrival.noteKey(maskKeyId(identity.keyId));
    if ("keyId" in identity && refusal === null && endpoint) return serveCall(exchange, endpoint, identity.keyId, ids);
    await drain(request, arrival);
    if (refusal !== null) return send(exchange, toPlan({ refuses: refusal, param: "" }, exchange), atOnce);
    return send(exchange, dialect.toErrorPlan(toGlmError("1222", language, clock.wallNow()), 404), atOnce);
  }

  async function serveCall(
    exchange: Exchange,
    endpoint: Endpoint,
    keyId: string,
    ids: readonly string[],
  ): Promise<void> {
    const { request, response, path, query, arrival } = exchange;
    const isRead = endpoint.method === "GET" || endpoint.method === "DELETE";
    const visit: Visit =
      isRead && !countsReads ? { enter: () => null, leave: judge.arriveToRead(keyId) } : judge.arrive(keyId);
    response.once("close", () => visit.leave());
    const head = { keyId, path, isRead };
    const early = faults.takeEarly(head);
    if (early) {
      visit.enter(null);
      return send(exchange, disturb(toPlan({ refuses: "1210", param: "" }, exchange), early, exchange), atOnce);
    }

    const received = await receive(request, endpoint.takes, arrival);
    // Calls that have arrived meanwhile are timed first, so that composing answers makes none look later than it was.
    await new Promise(setImmediate);
    const call = { ids, query: new URLSearchParams(query), account: accountOf(keyId), ...received };
    const { plan: asked, pace, model, isStream, requestId } = received.refusal ?? endpoint.reply(call, world);
    arrival.noteMeaning(model, isStream);
    const refusal = visit.enter(isRead ? readsLane : model) ?? holdRequestId(requestId, response);
    const plan = toPlan(refusal === null ? asked : { refuses: refusal, param: "" }, exchange);
    if (refusal !== null) return send(exchange, plan, atOnce);
    const fault = faults.take({ model: model ?? "", isStream, ...head });
    return send(exchange, fault ? disturb(plan, fault, exchange) : plan, pace);
  }

  /** GLM's code if another running call has the same id. */
  function holdRequestId(requestId: string | null, response: ServerResponse): "1231" | null {
    if (requestId === null) return null;
    if (runningRequestIds.has(requestId)) return "1231";
    runningRequestIds.add(requestId);
    response.once("close", () => runningRequestIds.delete(requestId));
    return null;
  }

  function toPlan(plan: Plan | Refused, { dialect }: Exchange): Plan {
    if (!("refuses" in plan)) return plan;
    return dialect.toErrorPlan(toGlmError(plan.refuses, language, clock.wallNow(), plan.param));
  }

  function disturb(plan: Plan, fault: ScriptedFault, { credential, dialect }: Exchange): Plan {
    return applyFault(plan, fault, { authorization: credential, language, wallNowMs: clock.wallNow(), dialect });
  }

  async function send({ response }: Exchange, plan: Plan, pace: Pace): Promise<void> {
    const { status, code } = plan;
    observations.noteAnswer(plan.before === "answer" ? status : 0, code);
    let pieces = 0;
    response.once("close", () => {
      if (!response.writableFinished && !isOurEnd(plan)) observations.noteAbort(pieces);
    });
    await play(plan, pace, response, clock, (piece) => {
      pieces++;
      observations.notePiece(piece.length, response.writableLength);
    });
  }

  const controls = {
    report(): SimulatorReport {
      const { violations, violationCount, inFlight, inFlightMax, lanes } = judge;
      const seen = observations.report();
      const openSockets = sockets.size;
      const pendingFaults = faults.pendingCount;
      const judged = { violations: [...violations], violationCount, inFlight, inFlightMax, lanes };
      return { ...seen, ...judged, openSockets, pendingFaults };
    },
    script: (...scripted: ScriptedFault[]) => faults.add(scripted),
    setLimits: judge.setLimits,
    setKeyState(keyId: string, code: string | null) {
      if (code !== null && !glmCodes.includes(code)) throw new RangeError(`GLM has no code ${code}`);
      if (code === null) keyStates.delete(keyId);
      else keyStates.set(keyId, code);
    },
    reset() {
      faults.clear();
      keyStates.clear();
      observations.reset();
      judge.reset();
    },
  };

  return {
    ...controls,
    origin,
    baseUrl: origin + mainBasePath,
    anthropicBaseUrl: origin + anthropicBasePath,
    async close() {
      const closing = [server, ...sockets].map((one) => new Promise((resolve) => one.once("close", resolve)));
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(closing);
    },
  };
}

function createWorld(options: SimulatorOptions, origin: string): World {
  const { seed = 1, clock = systemClock, profile = "wire2026", taskMs = 200, models = null } = options;
  const pace = { firstMs: options.firstTokenMs ?? 30, betweenMs: options.tokenMs ?? 10 };
  const store = createObjectStore(clock);
  return { seed, clock, profile, pace, origin, store, taskMs, modelNames: models, ids: createRandom(seed) };
}

function toLimits(options: SimulatorOptions): Limits {
  const { concurrencyMax = null, requestsPerSecond = null, windowMs = 1_000, releaseLagMs = 0 } = options;
  return { concurrencyMax, requestsPerSecond, windowMs, releaseLagMs, rateCode: options.rateCode ?? "1303" };
}

/** A connection that breaks as planned is not the client's doing. */
function isOurEnd({ before, ending }: Plan): boolean {
  return before === "refuse" || before === "reset" || ending === "cut" || ending === "reset";
}
