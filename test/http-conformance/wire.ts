// A client that sends bytes as it is told to, and reads answers as a strict one would: each ends where its head says.

import { once } from "node:events";
import { connect } from "node:net";

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Wire {
  /** In pieces, each a segment of its own. */
  send(bytes: string, pieceBytes?: number): Promise<void>;
  end(): void;
  /** Final ones only. Null: the server has closed the connection without another byte. Throws on half an answer. */
  nextAnswer(): Promise<WireAnswer | null>;
  destroy(): void;
}

const answerMsMax = 10_000;

export async function openWire(port: number, address = "127.0.0.1"): Promise<Wire> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: address, noDelay: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  let received = "";
  let isOver = false;
  /** Whether an answer has no body, by the requests that were sent. */
  const methods: string[] = [];
  let wake = () => {};
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    wake();
  });
  for (const event of ["end", "close"]) {
    socket.on(event, () => {
      isOver = true;
      wake();
    });
  }

  function take(): WireAnswer | null | undefined {
    const end = received.indexOf("\r\n\r\n");
    if (end === -1) return isOver ? fail(received) : undefined;
    const [line = "", ...lines] = received.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${line} `)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no answer: ${line}`);
    if (status < 200) {
      received = received.slice(end + 4);
      return take();
    }
    const headers = Object.fromEntries(
      lines.map((text) => [text.slice(0, text.indexOf(":")).toLowerCase(), text.slice(text.indexOf(":") + 1).trim()]),
    );
    const rest = received.slice(end + 4);
    const length = methods[0] === "HEAD" ? 0 : readLength(headers, rest, isOver);
    if (length === null) return isOver ? fail(received) : undefined;
    methods.shift();
    received = rest.slice(length);
    return { status, headers, body: rest.slice(0, length) };
  }

  function fail(left: string): null {
    if (left === "") return null;
    throw new Error(`half an answer: ${left.slice(0, 200)}`);
  }

  return {
    async send(bytes, pieceBytes = Number.POSITIVE_INFINITY) {
      for (const [, method = ""] of bytes.matchAll(/(?:^|\r\n\r\n|[}xy])([A-Z]+) \S+ HTTP\/1\.1\r\n/g))
        methods.push(method);
      for (let at = 0; at < bytes.length && !socket.destroyed; at += pieceBytes) {
        socket.write(bytes.slice(at, at + pieceBytes), "latin1");
        if (pieceBytes !== Number.POSITIVE_INFINITY) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    end: () => socket.end(),
    async nextAnswer() {
      const timer = setTimeout(() => socket.destroy(new Error("no answer")), answerMsMax);
      try {
        for (;;) {
          const answer = take();
          if (answer !== undefined) return answer;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        clearTimeout(timer);
      }
    },
    destroy: () => socket.destroy(),
  };
}

/** Null: not all of it is there. */
function readLength(headers: Record<string, string>, rest: string, isOver: boolean): number | null {
  if (headers["content-length"] !== undefined) {
    const length = Number(headers["content-length"]);
    return rest.length >= length ? length : null;
  }
  if (headers["transfer-encoding"] === "chunked") {
    const end = rest.indexOf("0\r\n\r\n");
    return end === -1 ? null : end + 5;
  }
  return isOver ? rest.length : null;
}
