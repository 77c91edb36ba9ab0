// GLM as a server on this machine: the same paths, answers, limits and errors, and whatever can go wrong on request.
// The one double of the project. It judges by itself whether its limits were kept, so that nobody else has to say so.
//
//   head ─▶ key ─▶ judge ─▶ body ─▶ reply (endpoints.ts) ─▶ judge ─▶ fault, if one is scripted ─▶ play.ts
//
// A prompt steers its own answer: [frames=40] content frames, [reasoning=9] frames of thought, [delay=25] ms between
// frames, [first=100] ms before the first; naming a tool that came along has it called.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, systemClock } from "../base/clock.ts";
import { createAuthenticator, maskKeyId } from "./account.ts";
import { administer, isAdminPath } from "./admin.ts";
import { atOnce, type Endpoint, findEndpoint, listModels, mainBasePath, refuse, type World } from "./endpoints.ts";
import { applyFault } from "./fault-effects.ts";
import { createFaultScript } from "./fault-script.ts";
import type { ScriptedFault } from "./faults.ts";
import type { GlmLanguage } from "./glm-errors.ts";
import { createJudge, type LaneCount, type Limits, type Violation } from "./judge.ts";
import { createObservations, type NotedArrival, type SeenCalls } from "./observations.ts";
import type { Plan } from "./plan.ts";
import { type Pace, play } from "./play.ts";
import { createRandom } from "./random.ts";
import { readBody } from "./request-body.ts";
import type { StreamProfile } from "./stream-shape.ts";

export type { ScriptedFault } from "./faults.ts";

export interface SimulatorOptions {
  /** Default: 127.0.0.1 and a free port. */
  readonly host?: string;
  readonly port?: number;
  /** Default: 1. All chance comes from it. */
  readonly seed?: number;
  /** `id.secret`. Default: ["sim.secret"]. */
  readonly apiKeys?: readonly string[];
  readonly clock?: Clock;
  /** Limits that it enforces and judges; null, the default, is none. */
  readonly concurrencyMax?: number | null;
  readonly requestsPerSecond?: number | null;
  /** The window in which arrivals are counted. Default: 1000. */
  readonly windowMs?: number;
  /** How long a call counts as in flight after its end. Default: 0. */
  readonly releaseLagMs?: number;
  /** The code that answers too many arrivals. Default: "1303". */
  readonly rateCode?: Limits["rateCode"];
  /** The shape of streams. Default: wire2026. */
  readonly profile?: StreamProfile;
  /** Before the first byte of an answer. Default: 30. */
  readonly firstTokenMs?: number;
  /** Between two frames. Default: 10. */
  readonly tokenMs?: number;
  /** Of error messages. Default: en. */
  readonly language?: GlmLanguage;
}

/** Goes through JSON unharmed. Times are milliseconds of the simulator's clock. */
export interface SimulatorReport extends SeenCalls {
  /** The first 10,000, oldest first. */
  readonly violations: readonly Violation[];
  readonly violationCount: number;
  readonly inFlight: number;
  readonly inFlightMax: number;
  /** By key and model. */
  readonly lanes: readonly LaneCount[];
  readonly openSockets: number;
  /** Calls that scripted faults still wait for. */
  readonly pendingFaults: number;
}

export interface Simulator {
  readonly origin: string;
  /** What `glm.base_url` must be. */
  readonly baseUrl: string;
  report(): SimulatorReport;
  /** Each fault applies to the next call that no earlier one applies to. */
  script(...faults: ScriptedFault[]): void;
  setLimits(limits: Partial<Limits>): void;
  /** Forgets what it saw and what it was scripted to do. Calls in flight and limits stay. */
  reset(): void;
  /** Ends every socket; resolves when all are closed. */
  close(): Promise<void>;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly arrival: NotedArrival;
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, apiKeys = ["sim.secret"] } = options;
  const world = createWorld(options);
  const { clock } = world;
  const authenticate = createAuthenticator(apiKeys);
  const judge = createJudge(toLimits(options), clock, maskKeyId);
  const observations = createObservations(clock);
  const faults = createFaultScript();
  const runningRequestIds = new Set<string>();
  const sockets = new Set<Socket>();

  // Chats are bounded by their clients, not by this server.
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 });
  server.on("request", (request, response) => void serve(request, response).catch(() => response.destroy()));
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").split("?", 1)[0] as string;
    if (isAdminPath(path)) return administer(request, response, controls);
    const exchange = { request, response, arrival: observations.noteArrival(request) };
    const identity = authenticate(request.headers.authorization, clock.wallNow());
    const endpoint = findEndpoint(request.method ?? "", path);
    if (!("code" in identity) && typeof endpoint === "function") return serveCall(exchange, endpoint, identity.keyId);
    exchange.arrival.noteBody(await readBody(request));
    if ("code" in identity) return send(exchange, refuse(identity.code, world), atOnce);
    return send(exchange, endpoint === "models" ? listModels() : { ...refuse("1222", world), status: 404 }, atOnce);
  }

  async function serveCall(exchange: Exchange, endpoint: Endpoint, keyId: string): Promise<void> {
    const { request, response, arrival } = exchange;
    const visit = judge.arrive(keyId);
    response.once("close", () => visit.leave());
    const early = faults.takeEarly();
    if (early) {
      visit.enter(null);
      return send(exchange, disturb(refuse("1210", world), early, request), atOnce);
    }

    const body = await readBody(request);
    // Calls that have arrived meanwhile are timed first, so that composing answers makes none look later than it was.
    await new Promise(setImmediate);
    arrival.noteBody(body);
    const { plan, pace, model, isStream, requestId } = endpoint(body, world);
    arrival.noteMeaning(model, isStream);
    const refusal = visit.enter(model) ?? holdRequestId(requestId, response);
    if (refusal !== null) return send(exchange, refuse(refusal, world), atOnce);
    const fault = faults.take({ model: model ?? "", isStream });
    return send(exchange, fault ? disturb(plan, fault, request) : plan, pace);
  }

  /** GLM's code if another running call has the same id. */
  function holdRequestId(requestId: string | null, response: ServerResponse): "1231" | null {
    if (requestId === null) return null;
    if (runningRequestIds.has(requestId)) return "1231";
    runningRequestIds.add(requestId);
    response.once("close", () => runningRequestIds.delete(requestId));
    return null;
  }

  function disturb(plan: Plan, fault: ScriptedFault, { headers: { authorization = "" } }: IncomingMessage): Plan {
    return applyFault(plan, fault, { authorization, language: world.language, wallNowMs: clock.wallNow() });
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
    reset() {
      faults.clear();
      observations.reset();
      judge.reset();
    },
  };

  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen({ host, port }, resolve);
  await listening;
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
  return {
    ...controls,
    origin,
    baseUrl: origin + mainBasePath,
    async close() {
      const closing = [server, ...sockets].map((one) => new Promise((resolve) => one.once("close", resolve)));
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(closing);
    },
  };
}

function createWorld(options: SimulatorOptions): World {
  const { seed = 1, clock = systemClock, profile = "wire2026", language = "en" } = options;
  const pace = { firstMs: options.firstTokenMs ?? 30, betweenMs: options.tokenMs ?? 10 };
  return { seed, clock, profile, language, pace, ids: createRandom(seed) };
}

function toLimits(options: SimulatorOptions): Limits {
  const { concurrencyMax = null, requestsPerSecond = null, windowMs = 1_000, releaseLagMs = 0 } = options;
  return { concurrencyMax, requestsPerSecond, windowMs, releaseLagMs, rateCode: options.rateCode ?? "1303" };
}

/** A connection that breaks as planned is not the client's doing. */
function isOurEnd({ before, ending }: Plan): boolean {
  return before === "refuse" || before === "reset" || ending === "cut" || ending === "reset";
}
