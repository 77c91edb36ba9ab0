// GLM as a server on this machine: the same paths, answers, limits and errors, and whatever can go wrong on request.
// The one double of the project. It judges by itself whether its limits were kept, so that nobody else has to say so.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, systemClock } from "../base/clock.ts";
import { createAccounts, type Limits } from "./account.ts";
import { composeAnswer, createGlmId } from "./chat-answer.ts";
import { type ChatRequest, models, parseChatRequest } from "./chat-request.ts";
import { applyFault, type Plan, parseFaults, type ScriptedFault } from "./faults.ts";
import { type GlmLanguage, toErrorBody, toGlmError } from "./glm-errors.ts";
import { type Arrival, createObservations, type SimulatorReport } from "./observations.ts";
import { play } from "./play.ts";
import { createRandom, hashText } from "./random.ts";
import { type StreamProfile, toFrames, toJsonBody } from "./stream-shape.ts";

export type { ScriptedFault } from "./faults.ts";
export type { SimulatorReport } from "./observations.ts";

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
  readonly releaseLagMs?: number;
  readonly profile?: StreamProfile;
  /** Before the first byte of an answer. Default: 30. */
  readonly firstTokenMs?: number;
  /** Between two frames. Default: 10. */
  readonly tokenMs?: number;
  readonly language?: GlmLanguage;
}

export interface Simulator {
  readonly origin: string;
  /** What `glm.base_url` must be. */
  readonly baseUrl: string;
  report(): SimulatorReport;
  /** Each fault applies to the next call that no earlier one applies to. */
  script(...faults: ScriptedFault[]): void;
  setLimits(limits: Partial<Limits>): void;
  /** Forgets what it saw and what it was scripted to do. */
  reset(): void;
  close(): Promise<void>;
}

const basePaths = ["/api/paas/v4", "/api/coding/paas/v4"];
const json = { "content-type": "application/json; charset=UTF-8" };
const bodyBytesMax = 32 * 1024 * 1024;

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, seed = 1, apiKeys = ["sim.secret"], clock = systemClock } = options;
  const { profile = "wire2026", firstTokenMs = 30, tokenMs = 10, language = "en" } = options;
  const limits: Limits = {
    concurrencyMax: options.concurrencyMax ?? null,
    requestsPerSecond: options.requestsPerSecond ?? null,
    windowMs: 1_000,
    releaseLagMs: options.releaseLagMs ?? 0,
  };
  const accounts = createAccounts(apiKeys, limits, clock);
  const observations = createObservations(clock);
  const ids = createRandom(seed);
  const sockets = new Set<Socket>();
  const runningRequestIds = new Set<string>();
  let script: { fault: ScriptedFault; times: number }[] = [];
  let unsentBytesMax = 0;
  let bytesWritten = 0;

  // Chats are bounded by their clients, not by this server.
  const server = createServer(
    { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 },
    (request, response) => {
      void serve(request, response).catch(() => response.destroy());
    },
  );
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").split("?", 1)[0] as string;
    if (path.startsWith("/__sim/")) return administer(path.slice(7), request, response);
    const base = basePaths.find((candidate) => path.startsWith(`${candidate}/`));
    const endpoint = base === undefined ? "" : `${request.method} ${path.slice(base.length)}`;
    const arrival = observations.noteArrival(request);
    const identity = accounts.authenticate(request.headers.authorization);
    if ("code" in identity) return answer(toErrorPlan(identity.code), request, response, noPace, arrival);
    switch (endpoint) {
      case "POST /chat/completions":
        return serveChat(identity.keyId, request, response, arrival);
      case "GET /models":
        return answer(toPlan(listModels()), request, response, noPace, arrival);
      case "POST /tokenizer":
      case "POST /embeddings":
        return serveText(endpoint, request, response, arrival);
      default:
        return answer({ ...toErrorPlan("1222"), status: 404 }, request, response, noPace, arrival);
    }
  }

  async function serveChat(
    keyId: string,
    request: IncomingMessage,
    response: ServerResponse,
    arrival: Arrival,
  ): Promise<void> {
    const fault = takeFault();
    const context = { authorization: request.headers.authorization ?? "", language, wallNowMs: clock.wallNow() };
    const disturb = (plan: Plan) => (fault ? applyFault(plan, fault, context) : plan);
    const early = disturb(toErrorPlan("1210"));
    if (early.isEarly) return answer(early, request, response, noPace, arrival);

    arrival.body = await readBody(request);
    const chat = parseChatRequest(arrival.body);
    // The judge counts every arrival on the lane that it asked for, good or bad.
    const lane = accounts.enter(keyId, "code" in chat ? "" : chat.model);
    if ("code" in lane) return answer(toErrorPlan(lane.code), request, response, noPace, arrival);
    const requestId = "code" in chat ? null : chat.requestId;
    response.once("close", () => {
      lane.leave();
      if (requestId !== null) runningRequestIds.delete(requestId);
    });
    if ("code" in chat) return answer(disturb(toErrorPlan(chat.code)), request, response, noPace, arrival);
    if (requestId !== null && runningRequestIds.has(requestId)) {
      return answer(toErrorPlan("1231"), request, response, noPace, arrival);
    }
    if (requestId !== null) runningRequestIds.add(requestId);
    const pace = { firstMs: chat.wishes.firstMs ?? firstTokenMs, betweenMs: chat.wishes.delayMs ?? tokenMs };
    return answer(disturb(toChatPlan(chat)), request, response, pace, arrival);
  }

  function toChatPlan(chat: ChatRequest): Plan {
    const answered = composeAnswer(chat, seed, createGlmId(ids, clock.wallNow()), clock.wallNow());
    if (!chat.isStream) return toPlan(JSON.parse(toJsonBody(answered, chat.requestId)) as object);
    const frames = toFrames(answered, profile, chat.hasToolStream).map((frame) => `data: ${JSON.stringify(frame)}\n\n`);
    return {
      before: "answer",
      status: 200,
      headers: { "content-type": "text/event-stream;charset=UTF-8" },
      pieces: [...frames, "data: [DONE]\n\n"].map((text) => Buffer.from(text)),
      isStream: true,
      ending: "end",
    };
  }

  function toPlan(body: object, status = 200): Plan {
    const pieces = [Buffer.from(JSON.stringify(body))];
    return { before: "answer", status, headers: json, pieces, isStream: false, ending: "end" };
  }

  function toErrorPlan(code: string): Plan {
    const error = toGlmError(code, language, clock.wallNow());
    return toPlan(JSON.parse(toErrorBody(error)) as object, error.status);
  }

  async function answer(
    plan: Plan,
    request: IncomingMessage,
    response: ServerResponse,
    pace: typeof noPace,
    arrival: Arrival,
  ): Promise<void> {
    if (!plan.isEarly && !request.complete && request.method === "POST") arrival.body = await readBody(request);
    const code = plan.status === 200 ? null : (/"code":"(-?\w+)"/.exec(plan.pieces[0]?.toString() ?? "")?.[1] ?? null);
    observations.noteAnswer(plan.before === "answer" ? plan.status : 0, code);
    let pieces = 0;
    response.once("close", () => {
      const isOurEnd = plan.before !== "answer" || plan.ending === "cut" || plan.ending === "reset";
      if (!response.writableFinished && !isOurEnd) observations.noteAbort(pieces);
    });
    await play(plan, pace, response, clock, (piece) => {
      pieces++;
      bytesWritten += piece.length;
      unsentBytesMax = Math.max(unsentBytesMax, response.writableLength);
    });
  }

  async function serveText(
    endpoint: string,
    request: IncomingMessage,
    response: ServerResponse,
    arrival: Arrival,
  ): Promise<void> {
    arrival.body = await readBody(request);
    let fields: { model?: unknown; messages?: unknown; input?: unknown };
    try {
      fields = JSON.parse(arrival.body.toString("utf8")) as typeof fields;
    } catch {
      return answer(toErrorPlan("1210"), request, response, noPace, arrival);
    }
    const asked = endpoint === "POST /tokenizer" ? fields.messages : fields.input;
    if (typeof fields.model !== "string" || asked === undefined) {
      return answer(toErrorPlan("1213"), request, response, noPace, arrival);
    }
    const tokens = Math.max(1, Math.ceil(JSON.stringify(asked).length / 4));
    const usage = { prompt_tokens: tokens, completion_tokens: 0, total_tokens: tokens };
    const id = createGlmId(ids, clock.wallNow());
    if (endpoint === "POST /tokenizer") {
      return answer(toPlan({ id, model: fields.model, usage }), request, response, noPace, arrival);
    }
    const inputs = Array.isArray(asked) ? asked : [asked];
    const data = inputs.map((input, index) => ({ object: "embedding", index, embedding: embed(String(input)) }));
    return answer(toPlan({ object: "list", model: fields.model, data, usage }), request, response, noPace, arrival);
  }

  function takeFault(): ScriptedFault | undefined {
    const next = script[0];
    if (!next) return undefined;
    if (--next.times <= 0) script.shift();
    return next.fault;
  }

  async function administer(verb: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const text = (await readBody(request)).toString("utf8");
      if (verb === "faults") addFaults(parseFaults(JSON.parse(text)));
      else if (verb === "limits") accounts.setLimits(JSON.parse(text) as Partial<Limits>);
      else if (verb === "reset") reset();
      else if (verb !== "report") throw new Error(`unknown: ${verb}; known: report, faults, limits, reset`);
      const shown = {
        ...report(),
        arrivals: report().arrivals.map(({ at, path, body }) => ({ at, path, bytes: body.length })),
      };
      response.writeHead(200, json).end(`${JSON.stringify(shown, null, 2)}\n`);
    } catch (error) {
      response.writeHead(400, json).end(`${JSON.stringify({ error: (error as Error).message })}\n`);
    }
  }

  function addFaults(faults: readonly ScriptedFault[]): void {
    script.push(...faults.map((fault) => ({ fault, times: fault.times ?? 1 })));
  }

  function report(): SimulatorReport {
    const { violations, inFlight, inFlightMax } = accounts;
    return {
      ...observations.report(),
      violations: [...violations],
      inFlight,
      inFlightMax,
      openSockets: sockets.size,
      unsentBytesMax,
      bytesWritten,
    };
  }

  function reset(): void {
    script = [];
    unsentBytesMax = 0;
    bytesWritten = 0;
    observations.reset();
    accounts.reset();
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    baseUrl: origin + (basePaths[0] as string),
    report,
    script: (...faults) => addFaults(faults),
    setLimits: accounts.setLimits,
    reset,
    close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
      return promise;
    },
  };
}

const noPace = { firstMs: 0, betweenMs: 0 };

function listModels(): object {
  const data = Array.from(models.keys(), (id) => ({ id, object: "model", created: 1_700_000_000, owned_by: "z-ai" }));
  return { object: "list", data };
}

/** Eight numbers that stand for a text: the same for the same text. */
function embed(text: string): number[] {
  const random = createRandom(hashText(text));
  return Array.from({ length: 8 }, () => Math.round((random.next() * 2 - 1) * 1e6) / 1e6);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > bodyBytesMax) throw new Error("body too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
