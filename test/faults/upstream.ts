// A second upstream, independent of the simulator: a process of its own over bare sockets that imports nothing of this
// project. It answers as it is scripted, byte for byte, and keeps its own books of what reached it and when.
//
//   request ── marker in its body ──▶ the replies scripted for it, one for each visit, the last one for all further ones

import { fork } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** What is done with a request, in order. Bytes are latin1, so that a script passes through JSON. */
export type Step =
  | { readonly say: string; readonly times?: number }
  | { readonly waitMs: number }
  /** RST · FIN · nothing more, the connection stays · the connection is open for its next request */
  | "reset"
  | "fin"
  | "stall"
  | "keep";

export interface Reply {
  readonly steps: readonly Step[];
  /** Answers before the body was read. */
  readonly isEarly?: boolean;
}

/** One request as the upstream saw it. Times are its own monotonic milliseconds. */
export interface Visit {
  readonly marker: string | null;
  readonly at: number;
  /** When its body was whole; null: it never was. */
  readonly completeAt: number | null;
  /** When its answer had left, or its connection had closed; null: it is in flight. */
  readonly endedAt: number | null;
  /** The gateway closed the connection before the answer had ended. */
  readonly isAborted: boolean;
  readonly bodyBytes: number;
  readonly bytesOut: number;
  readonly socketId: number;
  readonly target: string;
}

export interface Books {
  readonly visits: readonly Visit[];
  /** Most requests in flight at once. */
  readonly atOnceMax: number;
  readonly openSockets: number;
  /** Bytes that were no request. */
  readonly strayBytes: number;
}

export interface BookedUpstream {
  readonly port: number;
  script(marker: string, replies: readonly Reply[]): Promise<void>;
  books(): Promise<Books>;
  /** Forgets visits and scripts, and closes the connections. */
  clear(): Promise<void>;
  close(): void;
}

type Order =
  | { readonly kind: "script"; readonly marker: string; readonly replies: readonly Reply[] }
  | { readonly kind: "books" }
  | { readonly kind: "clear" };

/** The most starts within any window of so many milliseconds. */
export function countBusiest({ visits }: Books, windowMs: number): number {
  const starts = visits.map(({ at }) => at).sort((one, other) => one - other);
  let [most, oldest] = [0, 0];
  for (const [index, at] of starts.entries()) {
    while ((starts[oldest] as number) <= at - windowMs) oldest++;
    most = Math.max(most, index - oldest + 1);
  }
  return most;
}

export async function startBookedUpstream(): Promise<BookedUpstream> {
  const child = fork(fileURLToPath(import.meta.url), { execArgv: [], env: { PATH: process.env.PATH ?? "" } });
  const answers: ((value: unknown) => void)[] = [];
  child.on("message", (value) => answers.shift()?.(value));
  const ask = (order: Order | null) =>
    new Promise<unknown>((resolve, reject) => {
      answers.push(resolve);
      child.once("exit", () => reject(new Error("the upstream has ended")));
      if (order) child.send(order);
    }).finally(() => child.removeAllListeners("exit"));
  const port = (await ask(null)) as number;
  return {
    port,
    script: async (marker, replies) => void (await ask({ kind: "script", marker, replies })),
    books: () => ask({ kind: "books" }) as Promise<Books>,
    clear: () => ask({ kind: "clear" }) as Promise<never>,
    close: () => child.disconnect(),
  };
}

const unreadMs = 2_000;

type Writable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

function serve(): void {
  let visits: Writable<Visit>[] = [];
  let scripts = new Map<string, readonly Reply[]>();
  let visitCounts = new Map<string, number>();
  let atOnce = 0;
  let atOnceMax = 0;
  let strayBytes = 0;
  let socketCount = 0;
  const sockets = new Set<Socket>();
  const fallback: Reply = { steps: [{ say: "HTTP/1.1 500 Unscripted\r\ncontent-length: 0\r\n\r\n" }, "keep"] };

  function open(line: string, socketId: number): Writable<Visit> {
    const visit = {
      marker: null,
      at: performance.now(),
      completeAt: null,
      endedAt: null,
      isAborted: false,
      bodyBytes: 0,
      bytesOut: 0,
      socketId,
      target: line,
    };
    visits.push(visit);
    atOnceMax = Math.max(atOnceMax, ++atOnce);
    return visit;
  }

  function end(visit: Writable<Visit>, isAborted: boolean): void {
    if (visit.endedAt !== null) return;
    visit.endedAt = performance.now();
    visit.isAborted = isAborted;
    atOnce--;
  }

  async function play(visit: Writable<Visit>, { steps }: Reply, socket: Socket): Promise<void> {
    const write = (bytes: Buffer) =>
      new Promise<void>((resolve) => {
        if (socket.destroyed) return resolve();
        socket.once("close", resolve);
        socket.write(bytes, () => {
          socket.off("close", resolve);
          visit.bytesOut += bytes.length;
          resolve();
        });
      });
    for (const step of steps) {
      if (socket.destroyed) return;
      if (step === "stall") return;
      if (step === "keep") return end(visit, false);
      if (step === "fin" || step === "reset") {
        end(visit, false);
        if (step === "fin") socket.end();
        else socket.resetAndDestroy();
        return;
      }
      if ("waitMs" in step) await new Promise((resolve) => setTimeout(resolve, step.waitMs));
      else {
        const bytes = Buffer.from(step.say, "latin1");
        for (let count = 0; count < (step.times ?? 1); count++) await write(bytes);
      }
    }
  }

  const server = createServer((socket) => {
    const socketId = ++socketCount;
    sockets.add(socket);
    socket.setNoDelay(true);
    let received = Buffer.alloc(0);
    let visit: Writable<Visit> | null = null;
    let isPlaying = false;
    let head = "";

    function replyFor(marker: string | null): Reply {
      const replies = (marker === null ? undefined : scripts.get(marker)) ?? [];
      const count = visitCounts.get(marker ?? "") ?? 0;
      visitCounts.set(marker ?? "", count + 1);
      return replies[Math.min(count, replies.length - 1)] ?? fallback;
    }

    /** Takes one request out of what was received: its head, then its body by length or in chunks. */
    function read(): void {
      if (visit === null) {
        const headEnd = received.indexOf("\r\n\r\n");
        if (headEnd < 0) return;
        head = received.subarray(0, headEnd).toString("latin1");
        received = received.subarray(headEnd + 4);
        const line = head.split("\r\n", 1)[0] ?? "";
        if (!/^[A-Z]+ \S+ HTTP\/1\.1$/.test(line)) {
          strayBytes += headEnd;
          socket.destroy();
          return;
        }
        visit = open(line, socketId);
        const early = scripts.get("early")?.[0];
        if (early?.isEarly) {
          isPlaying = true;
          socket.pause();
          void play(visit, early, socket);
          // A socket that is not read does not notice its end.
          setTimeout(() => socket.resume(), unreadMs);
        }
      }
      if (isPlaying) return;
      const body = takeBody(head, received);
      if (body === null) return;
      received = received.subarray(body.length);
      visit.bodyBytes = body.length;
      visit.completeAt = performance.now();
      visit.marker = /fault-\d+-\d+/.exec(String(body))?.[0] ?? null;
      const current = visit;
      isPlaying = true;
      void play(current, replyFor(current.marker), socket).then(() => {
        if (current.endedAt === null || socket.destroyed) return;
        visit = null;
        isPlaying = false;
        read();
      });
    }

    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      read();
    });
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      sockets.delete(socket);
      if (visit) end(visit, true);
    });
  });

  process.on("message", (order: Order) => {
    if (order.kind === "script") {
      scripts.set(order.marker, order.replies);
      process.send?.(null);
      return;
    }
    if (order.kind === "books") {
      process.send?.({ visits, atOnceMax, openSockets: sockets.size, strayBytes } satisfies Books);
      return;
    }
    for (const socket of sockets) socket.destroy();
    visits = [];
    scripts = new Map();
    visitCounts = new Map();
    atOnce = 0;
    atOnceMax = 0;
    strayBytes = 0;
    process.send?.(null);
  });
  process.on("disconnect", () => process.exit());
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    process.send?.(typeof address === "object" ? address?.port : 0);
  });
}

/** Null: not whole yet. */
function takeBody(head: string, received: Buffer): Buffer | null {
  if (!/^transfer-encoding: *chunked$/im.test(head)) {
    const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? 0);
    return received.length < length ? null : received.subarray(0, length);
  }
  const end = received.indexOf("0\r\n\r\n");
  return end < 0 ? null : received.subarray(0, end + 5);
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) serve();
