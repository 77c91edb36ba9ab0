// What an upstream can do wrong, as data: what it says, and what the client of a whole answer and of a stream gets.

import { gzipSync } from "node:zlib";
import {
  begun,
  chunk,
  event,
  frames,
  glmError,
  goodTexts,
  goodWhole,
  gzipped,
  reset,
  respond,
  silence,
  stream,
  wholeBody,
} from "./replies.ts";
import type { Reply } from "./upstream.ts";

export interface Expected {
  readonly status: number;
  /** Of the error in the body. */
  readonly code?: string;
  /** Of the error event in a stream that had begun. */
  readonly event?: string;
  /** Times that the upstream was asked. Default: 1. */
  readonly sends?: number;
  /** The client's stream is what the upstream said, to the byte. */
  readonly isSame?: boolean;
  /** What may never be in it. */
  readonly never?: RegExp;
}

export interface UpstreamCase {
  readonly name: string;
  readonly reply: Reply;
  /** For a call that is asked again. Default: the same. */
  readonly next?: Reply;
  readonly whole?: Expected;
  readonly stream?: Expected;
  /** Bytes beside the prompt. */
  readonly padding?: number;
  /** Also in the short form. */
  readonly isShort?: true;
}

const served: Expected = { status: 200 };
const refusedWith = (status: number, code: string, sends = 1): Expected => ({ status, code, sends });
const cutWith = (code: string): Expected => ({ status: 200, event: code });
const both = (expected: Expected) => ({ whole: expected, stream: expected });
const sse = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
const json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const html = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
const said = (texts: readonly string[]) => texts.map(event);
const bytesOf = (text: string) => Array.from(text, (byte) => byte);
const jsonLength = `content-length: ${wholeBody.length}\r\n\r\n`;
const done = "data: [DONE]\n\n";

/** The codes are those of GLM; the numbers of sends hold for one call with one key. */
export const upstreamCases: readonly UpstreamCase[] = [
  { name: "answers well", reply: goodWhole, whole: served, isShort: true },
  { name: "streams well", reply: stream(goodTexts), stream: { status: 200, isSame: true }, isShort: true },

  // It breaks off.
  { name: "resets before its head", reply: reset, ...both(refusedWith(502, "upstream_reset")), isShort: true },
  { name: "closes before its head", reply: { steps: ["fin"] }, ...both(refusedWith(502, "upstream_reset")) },
  {
    name: "resets within its head",
    reply: { steps: [{ say: "HTTP/1.1 200 OK\r\ncontent-ty" }, { waitMs: 20 }, "reset"] },
    ...both(refusedWith(502, "upstream_reset")),
  },
  {
    name: "resets within a stream",
    reply: begun({ waitMs: 30 }, "reset"),
    stream: cutWith("upstream_truncated"),
    isShort: true,
  },
  {
    name: "closes within a stream, without its last chunk",
    reply: begun("fin"),
    stream: cutWith("upstream_truncated"),
  },
  {
    name: "closes a stream without a length before its end",
    reply: { steps: [{ say: `${sse}connection: close\r\n\r\n${event(frames[0] as string)}` }, "fin"] },
    stream: cutWith("upstream_truncated"),
  },
  {
    name: "ends a stream properly, but nothing was finished",
    reply: begun({ say: "0\r\n\r\n" }, "keep"),
    stream: cutWith("upstream_truncated"),
  },
  {
    name: "resets within a whole answer",
    reply: { steps: [{ say: json + jsonLength + wholeBody.slice(0, 40) }, { waitMs: 20 }, "reset"] },
    whole: refusedWith(502, "upstream_reset"),
  },
  {
    name: "says more bytes than it sends",
    reply: { steps: [{ say: `${json}content-length: 5000\r\n\r\n${wholeBody}` }, "fin"] },
    whole: refusedWith(502, "upstream_reset"),
  },

  // It is silent or slow.
  { name: "never answers", reply: silence, ...both(refusedWith(504, "upstream_first_byte_timeout")), isShort: true },
  {
    name: "sends a head and nothing more",
    reply: { steps: [{ say: `${json}content-length: 10\r\n\r\n` }, "stall"] },
    whole: refusedWith(504, "upstream_first_byte_timeout"),
  },
  { name: "stalls within a stream", reply: begun("stall"), stream: cutWith("upstream_idle_timeout"), isShort: true },
  {
    name: "stalls within a whole answer",
    reply: { steps: [{ say: json + jsonLength + wholeBody.slice(0, 40) }, "stall"] },
    whole: refusedWith(504, "upstream_idle_timeout"),
  },
  {
    name: "drips a stream below the idle time, longer than the whole time allows",
    reply: {
      steps: [
        { say: `${sse}\r\n` },
        ...Array.from({ length: 12 }, () => [{ say: event(frames[0] as string) }, { waitMs: 200 }]).flat(),
        "fin",
      ],
    },
    stream: cutWith("upstream_timeout"),
  },
  {
    name: "never reads a large request",
    reply: { isEarly: true, steps: ["stall"] },
    whole: { status: 504, sends: 0 },
    padding: 900_000,
  },

  // The stream's end.
  {
    name: "finishes without [DONE]",
    reply: stream(said(frames)),
    stream: { status: 200, never: /\[DONE\]/ },
    isShort: true,
  },
  {
    name: "goes on after [DONE]",
    reply: stream([...goodTexts, event('{"late":true}')]),
    stream: { status: 200, never: /late/ },
  },
  { name: "says [DONE] twice", reply: stream([...goodTexts, done]), stream: served },
  { name: "keeps the connection open after [DONE]", reply: stream(goodTexts, "stall"), stream: served },

  // How the stream is cut, and what is in it.
  {
    name: "cuts a stream into single bytes",
    reply: stream(bytesOf(goodTexts.join(""))),
    stream: { status: 200, isSame: true },
  },
  {
    name: "ends lines with CRLF",
    reply: stream(goodTexts.map((text) => text.replaceAll("\n", "\r\n"))),
    stream: { status: 200, isSame: true },
    isShort: true,
  },
  {
    name: "ends lines with CR",
    reply: stream(goodTexts.map((text) => text.replaceAll("\n", "\r"))),
    stream: { status: 200, isSame: true },
  },
  {
    name: "sends comments between events",
    reply: stream(goodTexts.flatMap((text) => [": alive\n\n", text])),
    stream: { status: 200, isSame: true },
  },
  {
    name: "begins with a byte order mark",
    reply: stream(["\xef\xbb\xbf", ...goodTexts]),
    stream: { status: 200, isSame: true },
  },
  {
    name: "names its events and gives them ids",
    reply: stream(goodTexts.map((text, index) => `id: ${index}\nretry: 5\n${text}`)),
    stream: { status: 200, isSame: true },
  },
  {
    name: "splits characters over chunks",
    reply: stream(goodTexts.flatMap((text) => bytesOf(text.replace("Hello", "\xe4\xbd\xa0\xe5\xa5\xbd")))),
    stream: { status: 200, isSame: true },
  },
  {
    name: "sends an event that is no JSON",
    reply: stream([event('{"choices":[{'), ...goodTexts]),
    stream: { status: 200, isSame: true },
  },
  {
    name: "sends an empty frame",
    reply: stream([event('{"id":"","choices":null,"usage":null}'), ...goodTexts]),
    stream: served,
  },
  {
    name: "sends a line of 8 MiB",
    reply: stream([event(`{"x":"${"x".repeat(8 * 1024 * 1024)}"}`), ...goodTexts]),
    stream: served,
  },
  {
    name: "sends 100,000 tiny events",
    reply: {
      steps: [
        { say: `${sse}transfer-encoding: chunked\r\n\r\n` },
        { say: chunk(event('{"choices":[]}').repeat(100)), times: 1_000 },
        { say: goodTexts.map(chunk).join("") },
        { say: "0\r\n\r\n" },
        "keep",
      ],
    },
    stream: served,
  },

  // Errors by GLM's codes, in each form.
  ...(
    [
      ["401", "401 Unauthorized", 502, "upstream_account"],
      ["1001", "401 Unauthorized", 502, "upstream_account"],
      ["1112", "429 Too Many Requests", 502, "upstream_account"],
      ["1113", "429 Too Many Requests", 429, "upstream_quota"],
      ["1304", "429 Too Many Requests", 429, "upstream_quota"],
      ["1308", "429 Too Many Requests", 429, "upstream_quota"],
      ["1311", "429 Too Many Requests", 502, "upstream_account"],
      ["1313", "429 Too Many Requests", 502, "upstream_account"],
      ["1210", "400 Bad Request", 400, "1210"],
      ["1211", "404 Not Found", 404, "1211"],
      ["1261", "400 Bad Request", 400, "1261"],
      ["1301", "400 Bad Request", 400, "1301"],
    ] as const
  ).flatMap(([code, head, status, refusal]): UpstreamCase[] => {
    const isShort = code === "1113" || code === "1210" ? { isShort: true as const } : {};
    const inStatus = head.startsWith("404") ? refusedWith(404, refusal) : refusedWith(status, refusal);
    const in200 = status === 404 ? refusedWith(400, refusal) : refusedWith(status, refusal);
    return [
      { name: `says ${code} by status`, reply: glmError(head, code), ...both(inStatus), ...isShort },
      { name: `says ${code} as JSON in a 200`, reply: glmError("200 OK", code), ...both(in200) },
      {
        name: `says ${code} as the first event`,
        reply: stream([event(JSON.stringify({ error: { code, message: "no" } }))]),
        stream: in200,
        ...isShort,
      },
    ];
  }),
  ...["1302", "1303", "1305"].flatMap((code): UpstreamCase[] => [
    {
      name: `says ${code} by status, then answers`,
      reply: glmError("429 Too Many Requests", code),
      next: goodWhole,
      whole: { status: 200, sends: 2 },
    },
    {
      name: `says ${code} as JSON in a 200, then answers`,
      reply: glmError("200 OK", code),
      next: goodWhole,
      whole: { status: 200, sends: 2 },
    },
    {
      name: `says ${code} as the first event, then answers`,
      reply: stream([event(JSON.stringify({ error: { code, message: "no" } }))]),
      next: stream(goodTexts),
      stream: { status: 200, sends: 2 },
    },
  ]),
  {
    name: "says to come back in a second",
    reply: glmError("429 Too Many Requests", "1302", "no", "retry-after: 1"),
    next: goodWhole,
    whole: { status: 200, sends: 2 },
  },
  {
    name: "fails by code, then answers",
    reply: glmError("500 Internal Server Error", "1234"),
    next: goodWhole,
    whole: { status: 200, sends: 2 },
    isShort: true,
  },
  {
    name: "fails by code again and again",
    reply: glmError("500 Internal Server Error", "1234"),
    ...both(refusedWith(502, "upstream_failed", 3)),
  },
  {
    name: "fails without a code",
    reply: respond("500 Internal Server Error", '{"error":{"message":"oops"}}'),
    ...both(refusedWith(502, "upstream_failed")),
  },
  {
    name: "is overloaded by status",
    reply: respond("529 Overloaded", "{}"),
    next: goodWhole,
    whole: { status: 200, sends: 2 },
  },
  {
    name: "ends a stream with an error",
    reply: begun({ say: chunk(event('{"error":{"code":"1234","message":"no"}}')) }, { say: "0\r\n\r\n" }, "keep"),
    stream: cutWith("upstream_failed"),
  },
  {
    name: "says a page of HTML, 502",
    reply: respond("502 Bad Gateway", html, "content-type: text/html"),
    ...both(refusedWith(502, "upstream_failed")),
    isShort: true,
  },
  {
    name: "says a page of HTML, 520",
    reply: respond("520 Web Server", html, "content-type: text/html"),
    ...both(refusedWith(502, "upstream_failed")),
  },
  {
    name: "says a page of HTML, 200",
    reply: respond("200 OK", html, "content-type: text/html"),
    ...both(refusedWith(502, "upstream_unexpected")),
  },
  {
    name: "says no type",
    reply: respond("200 OK", wholeBody, "server: x"),
    ...both(refusedWith(502, "upstream_unexpected")),
  },
  {
    name: "says 403 without a code",
    reply: respond("403 Forbidden", "{}"),
    ...both(refusedWith(502, "upstream_account")),
  },
  {
    name: "says 422 without a code",
    reply: respond("422 Unprocessable", '{"error":{"message":"wrong"}}'),
    ...both({ status: 422 }),
  },
  {
    name: "says 204",
    reply: respond("204 No Content", "", "server: x"),
    ...both(refusedWith(502, "upstream_unexpected")),
  },
  {
    name: "says 206",
    reply: respond("206 Partial Content", wholeBody),
    ...both(refusedWith(502, "upstream_unexpected")),
  },
  {
    name: "redirects",
    reply: respond("302 Found", "", "location: http://127.0.0.1:9/elsewhere"),
    ...both(refusedWith(502, "upstream_unexpected")),
  },
  {
    name: "wants another protocol",
    reply: {
      steps: [{ say: "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" }, "stall"],
    },
    whole: { status: 502 },
  },

  // What must not pass.
  {
    name: "sends cookies, policies and locations",
    reply: respond(
      "200 OK",
      wholeBody,
      "content-type: application/json\r\nset-cookie: a=b\r\nlocation: http://x/\r\nstrict-transport-security: max-age=1\r\nclear-site-data: *\r\naccess-control-allow-origin: *",
    ),
    whole: served,
    isShort: true,
  },

  // It breaks HTTP.
  {
    name: "sends a bad chunk size",
    reply: { steps: [{ say: `${sse}transfer-encoding: chunked\r\n\r\nzz\r\n` }, { waitMs: 50 }, "fin"] },
    stream: { status: 502 },
  },
  {
    name: "sends a length and chunks",
    reply: { steps: [{ say: `${json}transfer-encoding: chunked\r\n${jsonLength}${wholeBody}` }, "fin"] },
    whole: { status: 502 },
  },
  {
    name: "sends a NUL in a header",
    reply: { steps: [{ say: `${json}x-a: \0\r\n${jsonLength}${wholeBody}` }, "fin"] },
    whole: { status: 502 },
  },
  {
    name: "is no HTTP at all",
    reply: { steps: [{ say: "SSH-2.0-OpenSSH_9.2\r\n" }, { waitMs: 50 }, "fin"] },
    ...both({ status: 502 }),
    isShort: true,
  },
  {
    name: "sends 2,000 headers",
    reply: {
      steps: [
        {
          say: `${json}${Array.from({ length: 2_000 }, (_, index) => `x-many-${index}: 1\r\n`).join("")}${jsonLength}${wholeBody}`,
        },
        "keep",
      ],
    },
    whole: { status: 502 },
  },
  {
    name: "sends a header of a megabyte",
    reply: { steps: [{ say: `${json}x-huge: ${"x".repeat(1024 * 1024)}\r\n${jsonLength}${wholeBody}` }, "keep"] },
    whole: { status: 502 },
  },
  {
    name: "sends 100 informational heads first",
    reply: { steps: [{ say: "HTTP/1.1 102 Processing\r\n\r\n", times: 100 }, ...goodWhole.steps] },
    whole: served,
  },
  {
    name: "sends bytes after its answer",
    reply: {
      steps: [{ say: `${json}${jsonLength}${wholeBody}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil` }, "keep"],
    },
    whole: { status: 200, never: /evil/ },
  },
  {
    name: "answers before it has read the request",
    reply: { isEarly: true, steps: [{ waitMs: 50 }, ...glmError("400 Bad Request", "1210").steps] },
    whole: { ...refusedWith(400, "1210"), sends: 0 },
    padding: 900_000,
  },
  {
    name: "has a clock that is years off",
    reply: respond("200 OK", wholeBody, "content-type: application/json\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT"),
    whole: served,
  },

  // Codings that nobody asked for.
  {
    name: "compresses a whole answer",
    reply: respond(
      "200 OK",
      gzipSync(wholeBody).toString("latin1"),
      "content-type: application/json\r\ncontent-encoding: gzip",
    ),
    whole: served,
  },
  { name: "compresses twice", reply: gzipped(2, 100), whole: refusedWith(502, "upstream_unexpected") },
  { name: "sends a bomb", reply: gzipped(1, 64 * 1024 * 1024), whole: refusedWith(502, "upstream_too_large") },
  {
    name: "says gzip and sends none",
    reply: respond("200 OK", wholeBody, "content-type: application/json\r\ncontent-encoding: gzip"),
    whole: refusedWith(502, "upstream_unexpected"),
  },
  {
    name: "sends more than an answer may have",
    reply: {
      steps: [
        { say: `${json}content-length: ${17 * 1024 * 1024}\r\n\r\n` },
        { say: "x".repeat(1024 * 1024), times: 17 },
        "keep",
      ],
    },
    whole: refusedWith(502, "upstream_too_large"),
  },

  // What it says of usage.
  ...["null", '"many"', '{"prompt_tokens":-1}', '{"prompt_tokens":1e308,"completion_tokens":1}', "[1]"].map(
    (usage): UpstreamCase => ({
      name: `says usage ${usage}`,
      reply: respond("200 OK", wholeBody.replace(/"usage":\{[^}]*\}/, `"usage":${usage}`)),
      whole: served,
    }),
  ),
  {
    name: "says usage with each event",
    reply: stream(
      said(
        frames.map((frame) => frame.replace(/,?"usage".*|\}$/, ',"usage":{"prompt_tokens":7,"completion_tokens":5}}')),
      ).concat(done),
    ),
    stream: served,
  },
];
