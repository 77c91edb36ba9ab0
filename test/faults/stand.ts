// A gateway in front of the second upstream for one case, and what must hold after it: the upstream's books, the ledger's
// rows, the log and the metrics tell the same story, and every slot, byte and socket is back.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { Agent, request as openRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { chat, startGateway, type TestGateway, testSettings, until, upstreamKey } from "../support/gateway.ts";
import { goodStream, goodWhole } from "./replies.ts";
import { type BookedUpstream, type Books, countBusiest, type Reply, type Visit } from "./upstream.ts";

export type Overrides = Parameters<typeof startGateway>[0];

/** What the client of one request saw. */
export interface Seen {
  readonly marker: string;
  readonly isStream: boolean;
  /** 0: no head came. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** whole: the response ended properly · broken: the gateway broke it off · left: the client did */
  readonly end: "whole" | "broken" | "left";
  readonly durationMs: number;
}

export interface CallOptions {
  readonly isStream?: boolean;
  /** What the upstream says, visit by visit. Default: a good answer. */
  readonly replies?: readonly Reply[];
  readonly body?: object;
  readonly path?: string;
  readonly user?: 0 | 1;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onData?: (text: string) => void;
  /** Bytes a second that the client reads; 0: none. Default: all. */
  readonly readsPerSecond?: number;
  /** Default: none. */
  readonly padding?: number;
}

interface Row {
  readonly request_id: string;
  readonly state: string;
  readonly status: number | null;
  readonly tries: number;
  readonly sent_at: number | null;
  readonly requests: number;
  readonly user_name: string;
}

export interface RawClient {
  readonly socket: Socket;
  received: string;
  isClosed: boolean;
}

export const startsPerSecond = 20;
export const concurrencyMax = 4;
/** How much later than another the upstream may notice a request that has reached it: it is a process of this machine. */
export const jitterMs = 50;
const totalMs = 1_500;

let caseCount = 0;
let tokens: readonly [string, string] | null = null;

export class Stand {
  readonly upstream: BookedUpstream;
  gateway!: TestGateway;
  readonly seen: Seen[] = [];
  readonly #number = ++caseCount;
  readonly #folder = mkdtempSync(join(tmpdir(), "glm-proxy-faults-"));
  readonly #fdCount = countFds();
  #markerCount = 0;
  readonly #running: Promise<unknown>[] = [];
  readonly #rawMarkers = new Set<string>();
  /** The case has stopped the gateway itself. */
  hasStopped = false;
  /** Cases that take these away say so. */
  limits: { startsPerSecond: number | null; concurrencyMax: number | null } = { startsPerSecond, concurrencyMax };

  constructor(upstream: BookedUpstream) {
    this.upstream = upstream;
  }

  async open(overrides: Overrides = {}): Promise<void> {
    const origin = `http://127.0.0.1:${this.upstream.port}`;
    const baseUrl = `${origin}/api/paas/v4`;
    const target = { name: "default", kind: "glm", apiKey: upstreamKey, baseUrl, anthropicBaseUrl: null } as const;
    this.gateway = await startGateway({
      store: { kind: "sqlite", file: join(this.#folder, "store.sqlite") },
      dataFolder: this.#folder,
      ...overrides,
      glm: { upstreams: [target], timeouts: { totalMs, firstByteMs: 900, idleMs: 500 }, ...overrides.glm },
      rateLimit: { startsPerSecond, concurrencyMax, sendGuardMs: 100, queueTimeoutMs: 4_000, ...overrides.rateLimit },
      server: { writeStallMs: 1_000, ...overrides.server },
      auth: { ...testSettings.auth, tokenTtlSeconds: 600, ...overrides.auth },
    });
    // Those of one gateway are good at the next: all have one secret, and each login costs a hash.
    tokens ??= [await this.gateway.logIn(), await this.gateway.logIn("user2", "pass456")];
  }

  token(user: 0 | 1 = 0): string {
    return tokens?.[user] as string;
  }

  newMarker(): string {
    return `fault-${this.#number}-${++this.#markerCount}`;
  }

  /** One request, as any client sends it, to its end. */
  call(options: CallOptions = {}): Promise<Seen> {
    const done = this.#call(options);
    this.#running.push(done);
    return done;
  }

  async #call(options: CallOptions): Promise<Seen> {
    const { isStream = false, replies = [isStream ? goodStream : goodWhole], path = "/v1/chat/completions" } = options;
    const marker = this.newMarker();
    await this.upstream.script(marker, replies);
    const prompt = marker + "x".repeat(options.padding ?? 0);
    const body = JSON.stringify({ ...chat(prompt, { stream: isStream }), ...options.body });
    return this.#send(marker, body, path, isStream, options);
  }

  #send(marker: string, body: string, path: string, isStream: boolean, options: CallOptions): Promise<Seen> {
    const startedAt = performance.now();
    const headers = {
      authorization: `Bearer ${this.token(options.user)}`,
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "x-request-id": marker,
      ...options.headers,
    };
    const agent = new Agent();
    return new Promise((resolve) => {
      let status = 0;
      let received: Seen["headers"] = {};
      let text = "";
      const finish = (end: Seen["end"]) => {
        agent.destroy();
        const durationMs = performance.now() - startedAt;
        const one = { marker, isStream, status, headers: received, text, end, durationMs };
        this.seen.push(one);
        resolve(one);
      };
      const broken = () => finish(options.signal?.aborted ? "left" : "broken");
      const request = openRequest(
        this.gateway.url + path,
        { method: "POST", headers, agent, ...(options.signal && { signal: options.signal }) },
        (response) => {
          status = response.statusCode ?? 0;
          received = response.headers;
          response.setEncoding("latin1");
          response.on("data", (chunk: string) => {
            text += chunk;
            options.onData?.(chunk);
            if (options.readsPerSecond === undefined) return;
            response.pause();
            if (options.readsPerSecond > 0)
              setTimeout(() => response.resume(), (chunk.length / options.readsPerSecond) * 1_000);
          });
          response.on("end", () => finish("whole"));
          response.on("error", broken);
          response.on("close", () => response.complete || broken());
        },
      );
      request.on("error", () => status === 0 && broken());
      request.end(body);
    });
  }

  /** A bare connection to the gateway. */
  connect(): RawClient {
    const socket = connect({ port: this.gateway.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.setNoDelay(true).on("error", () => {});
    const client: RawClient = { socket, received: "", isClosed: false };
    socket.on("data", (chunk: Buffer) => {
      client.received += chunk.toString("latin1");
    });
    socket
      .on("end", () => socket.end())
      .on("close", () => {
        client.isClosed = true;
      });
    return client;
  }

  /** A chat as bytes, to be sent over a bare connection, and its marker. */
  async rawCall(replies: readonly Reply[], more: { isStream?: boolean; headers?: string; body?: string } = {}) {
    const marker = this.newMarker();
    this.#rawMarkers.add(marker);
    await this.upstream.script(marker, replies);
    const body = more.body ?? JSON.stringify(chat(marker, { stream: more.isStream ?? false }));
    const head =
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${this.token()}\r\n` +
      `content-type: application/json\r\nx-request-id: ${marker}\r\n${more.headers ?? ""}`;
    return { marker, head, body, text: `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}` };
  }

  async visitsOf(marker: string): Promise<readonly Visit[]> {
    return (await this.upstream.books()).visits.filter((visit) => visit.marker === marker);
  }

  rowOf(marker: string): Row | undefined {
    return this.readRows().find(({ request_id }) => request_id === marker);
  }

  /** All that must hold once the case is over. */
  async check(): Promise<void> {
    await Promise.all(this.#running);
    const { app } = this.gateway;
    const isIdle = () => {
      const { running, waiting, lanes } = app.snapshot();
      // Once it has stopped, no time passes in which an aborted call's place becomes free.
      return running === 0 && waiting === 0 && (this.hasStopped || lanes.every((lane) => lane.running === 0));
    };
    await until("every slot is back", isIdle, 4_000);
    await until("every record is written", () => this.#areRecordsWritten(), 4_000);
    await until("the upstream has nothing in flight", async () => (await this.upstream.books()).visits.every(isOver));
    const books = await this.upstream.books();
    this.#checkLimits(books);
    this.#checkLedger(books);
    await this.#checkMetrics();
    for (const one of this.seen) this.#checkSeen(one);
  }

  async #areRecordsWritten(): Promise<boolean> {
    const metrics = await this.gateway.app.metrics.render();
    return /^glm_proxy_ledger_waiting 0$/m.test(metrics) && this.readRows().every(({ state }) => state !== "open");
  }

  #checkLimits(books: Books): void {
    const { limits } = this;
    if (limits.startsPerSecond !== null) {
      const busiest = countBusiest(books, 1_000 - jitterMs);
      assert.ok(busiest <= limits.startsPerSecond, `${busiest} starts in a second`);
    }
    if (limits.concurrencyMax !== null)
      assert.ok(books.atOnceMax <= limits.concurrencyMax, `${books.atOnceMax} calls at once`);
    assert.equal(books.strayBytes, 0, "nothing but requests reached the upstream");
  }

  /** One row for each call that was sent, in a state that agrees with what its client saw and the upstream got. */
  #checkLedger({ visits }: Books): void {
    const rows = this.readRows();
    for (const { marker, status, isStream, end, text } of this.seen) {
      const ofCall = rows.filter(({ request_id }) => request_id === marker);
      const visitCount = visits.filter((visit) => visit.marker === marker).length;
      assert.ok(ofCall.length <= 1, `${marker} has ${ofCall.length} rows`);
      const [row] = ofCall;
      if (visitCount > 0) assert.ok(row, `${marker} was sent and has no row: ${JSON.stringify(rows)}`);
      if (!row) continue;
      assert.ok(visitCount <= row.tries + 1, `${marker} was sent ${visitCount} times, its row says ${row.tries + 1}`);
      if (row.sent_at === null && row.tries === 0) assert.equal(visitCount, 0, `${marker} was sent, says the upstream`);
      if (end === "left") {
        assert.ok(["cancelled", "served", "cut", "refused"].includes(row.state), `${marker}: ${row.state}`);
        continue;
      }
      const isCut = isStream && status === 200 && (end === "broken" || /"error":\{/.test(text.slice(-2_000)));
      const expected = status >= 400 ? "refused" : isCut || end === "broken" ? "cut" : "served";
      assert.equal(row.state, expected, `${marker}: the client saw ${status} ${end}`);
      if (status >= 400) assert.equal(row.status, status, marker);
    }
    const known = new Set([...this.seen.map(({ marker }) => marker), ...this.#rawMarkers]);
    for (const { marker } of visits) assert.ok(marker === null || known.has(marker), `nobody asked for ${marker}`);
  }

  /** Each call is counted once, in the log, in the metrics, and byte gauges are at zero. */
  async #checkMetrics(): Promise<void> {
    const text = await this.gateway.app.metrics.render();
    const sum = (name: string) =>
      Array.from(text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm")), ([, value]) =>
        Number(value),
      ).reduce((total, value) => total + value, 0);
    const ids = this.gateway.callLines().map(({ request_id }) => request_id);
    assert.equal(sum("glm_proxy_calls_total"), ids.length, "calls in the log and in the metrics");
    for (const { marker } of this.seen)
      assert.ok(ids.filter((id) => id === marker).length <= 1, `${marker} is in the log twice`);
    for (const name of ["glm_proxy_unsent_bytes", "glm_proxy_queue_depth", "glm_proxy_calls_running"])
      assert.equal(sum(name), 0, name);
    assert.ok(!text.includes(upstreamKey) && !text.includes(secret), "the upstream's key is in the metrics");
  }

  /** One outcome, in our own words, without the upstream's key. */
  #checkSeen({ marker, status, headers, text, end, isStream }: Seen): void {
    assert.ok(!text.includes(secret) && !JSON.stringify(headers).includes(secret), `${marker}: the upstream's key`);
    if (status === 0) return;
    assert.equal(headers["x-request-id"], marker);
    if (status >= 400) {
      assert.match(String(headers["content-type"]), /^application\/(problem\+)?json/, marker);
      assert.equal(headers["cache-control"], "no-store");
      const { error } = JSON.parse(text) as { error: { code: string; message: string; request_id: string } };
      assert.equal(error.request_id, marker);
      assert.doesNotMatch(text, /<html|node:internal|\.ts:\d/i, "no page, no stack");
      return;
    }
    if (!isStream || end !== "whole") return;
    const doneCount = text.split("data: [DONE]").length - 1;
    const errorCount = text.split("\ndata: ").filter((data) => /^(?:data: )?\{"error":\{/.test(data)).length;
    assert.ok(doneCount + errorCount <= 1, `${marker}: ${doneCount} ends and ${errorCount} errors`);
  }

  readRows(): Row[] {
    const database = new DatabaseSync(join(this.#folder, "store.sqlite"), { readOnly: true });
    try {
      return database.prepare("select * from calls").all() as unknown as Row[];
    } finally {
      database.close();
    }
  }

  get lines(): string {
    return this.gateway.logLines.join("\n");
  }

  async close(): Promise<void> {
    await this.gateway.stop();
    assert.ok(!this.lines.includes(secret), "the upstream's key is in the log");
    await this.upstream.clear();
    rmSync(this.#folder, { recursive: true, force: true });
    await until("every file and socket is closed", () => countFds() <= this.#fdCount + 2, 4_000);
  }
}

const secret = upstreamKey.split(".")[1] as string;
const isOver = ({ endedAt }: { endedAt: number | null }) => endedAt !== null;

function countFds(): number {
  return readdirSync("/proc/self/fd").length;
}
