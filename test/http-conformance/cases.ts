// What a server must make of a request's bytes (RFC 9112, 9110), as a table: the bytes, the verdict, and what becomes of
// the connection. Each case is tried on every kind of route, so it says nothing of what the route itself does.

/** good: the route's own answer · a status: refused, without the route · cut: no answer, since there is nobody to have it */
export type Verdict = "good" | "cut" | number;

export interface FramingCase {
  readonly name: string;
  /** Of a request to `route`, byte for byte, as Latin-1. */
  bytes(route: Framed): string;
  readonly verdict: Verdict;
  /** Whether another request may follow on the connection. */
  readonly after: "open" | "closed";
  /** Whether the client ends its side behind the bytes. */
  readonly ends?: boolean;
}

export interface Framed {
  readonly method: string;
  readonly target: string;
  /** Lines that a good request to it has, each with its end, but for Host and framing. */
  readonly fields: string;
  /** A good one; empty where the method has none. */
  readonly body: string;
}

const host = "Host: localhost\r\n";

interface Parts {
  readonly line?: (route: Framed) => string;
  readonly host?: string;
  readonly fields?: string;
  /** Of the framing; default: the length of the body. */
  readonly framing?: (body: string) => string;
  readonly body?: (body: string) => string;
  readonly before?: string;
  readonly end?: string;
}

function build(route: Framed, parts: Parts): string {
  const line = parts.line?.(route) ?? `${route.method} ${route.target} HTTP/1.1`;
  const framing = parts.framing?.(route.body) ?? (route.body === "" ? "" : `Content-Length: ${route.body.length}\r\n`);
  const body = parts.body?.(route.body) ?? route.body;
  const head = `${line}\r\n${parts.host ?? host}${route.fields}${parts.fields ?? ""}${framing}`;
  return `${parts.before ?? ""}${head}${parts.end ?? "\r\n"}${body}`;
}

const good = (name: string, parts: Parts, after: FramingCase["after"] = "open"): FramingCase => ({
  name,
  bytes: (route) => build(route, parts),
  verdict: "good",
  after,
});
const bad = (name: string, parts: Parts, verdict: Verdict = 400): FramingCase => ({
  name,
  bytes: (route) => build(route, parts),
  verdict,
  after: "closed",
});
const line = (format: (method: string, target: string) => string): Parts => ({
  line: ({ method, target }) => format(method, target),
});
const field = (text: string): Parts => ({ fields: `${text}\r\n` });

/** Of requests with and without a body. */
export const headCases: readonly FramingCase[] = [
  good("HTTP/1.1", {}),
  good("HTTP/1.1 with connection: close", field("Connection: close"), "closed"),
  good("HTTP/1.1 with connection: Close, among others", field("Connection: x, Close"), "closed"),
  good("HTTP/1.1 with connection: keep-alive", field("Connection: keep-alive")),
  good(
    "HTTP/1.0",
    line((method, target) => `${method} ${target} HTTP/1.0`),
    "closed",
  ),
  good("HTTP/1.0 without Host", { ...line((method, target) => `${method} ${target} HTTP/1.0`), host: "" }, "closed"),
  good("HTTP/1.0 with connection: keep-alive", {
    ...line((method, target) => `${method} ${target} HTTP/1.0`),
    ...field("Connection: keep-alive"),
  }),
  good("an empty line before the request", { before: "\r\n" }),
  good("some empty lines before the request", { before: "\r\n\r\n\r\n" }),
  good(
    "a target in absolute form with the host that Host names",
    line((m, t) => `${m} http://localhost${t} HTTP/1.1`),
  ),
  good("no space behind a field's colon", field("X-A:1")),
  good("spaces and tabs around a field's value", field("X-A: \t 1 \t ")),
  good("a field without a value", field("X-A:")),
  good("bytes beyond ASCII in a field's value", field("X-A: \xe4\xf6\xff")),
  good("every character that a field's name may have", field("!#$%&'*+-.^_`|~09azAZ: 1")),
  good("a field of the connection's that nobody knows", field("Connection: x-a\r\nX-A: 1")),
  good("an upgrade that is not offered", field("Connection: Upgrade\r\nUpgrade: websocket")),
  good("an upgrade to HTTP/2", field("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA")),
  good("Host with a port", { host: "Host: localhost:8080\r\n" }),
  good("Host with an IPv6 address", { host: "Host: [::1]:8080\r\n" }),
  good("Host in capitals", { host: "HOST: LOCALHOST\r\n" }),
  good("TE", field("Connection: TE\r\nTE: trailers")),

  bad(
    "no version",
    line((method, target) => `${method} ${target}`),
  ),
  bad(
    "a version in lower case",
    line((method, target) => `${method} ${target} http/1.1`),
  ),
  bad(
    "a version without a minor",
    line((method, target) => `${method} ${target} HTTP/1`),
  ),
  bad(
    "a minor of two digits",
    line((method, target) => `${method} ${target} HTTP/1.10`),
  ),
  bad(
    "a major of two digits",
    line((method, target) => `${method} ${target} HTTP/11.1`),
  ),
  bad(
    "another protocol",
    line((method, target) => `${method} ${target} XTTP/1.1`),
  ),
  bad(
    "HTTP/0.9",
    line((method, target) => `${method} ${target} HTTP/0.9`),
  ),
  bad(
    "HTTP/1.2",
    line((method, target) => `${method} ${target} HTTP/1.2`),
    505,
  ),
  bad(
    "HTTP/2.0",
    line((method, target) => `${method} ${target} HTTP/2.0`),
    505,
  ),
  bad(
    "HTTP/3.0",
    line((method, target) => `${method} ${target} HTTP/3.0`),
    505,
  ),
  bad(
    "two spaces before the version",
    line((method, target) => `${method} ${target}  HTTP/1.1 x`),
  ),
  bad(
    "two words as a target",
    line((method, target) => `${method} ${target} x HTTP/1.1`),
  ),
  bad(
    "a tab behind the method",
    line((method, target) => `${method}\t${target} HTTP/1.1`),
  ),
  bad(
    "a space before the method",
    line((method, target) => ` ${method} ${target} HTTP/1.1`),
  ),
  bad(
    "a method in lower case",
    line((method, target) => `${method.toLowerCase()} ${target} HTTP/1.1`),
  ),
  bad(
    "a method that nobody knows",
    line((_method, target) => `XYZZY ${target} HTTP/1.1`),
  ),
  bad(
    "no method",
    line((_method, target) => `${target} HTTP/1.1`),
  ),
  bad(
    "no target",
    line((method) => `${method} HTTP/1.1`),
  ),
  bad(
    "a target without its slash",
    line((method, target) => `${method} ${target.slice(1)} HTTP/1.1`),
  ),
  bad(
    "a target with a NUL",
    line((method, target) => `${method} ${target}\0 HTTP/1.1`),
  ),
  bad(
    "a target beyond ASCII",
    line((method, target) => `${method} ${target}\xe4 HTTP/1.1`),
  ),
  bad(
    "a target in absolute form with another host",
    line((m, t) => `${m} http://elsewhere.example${t} HTTP/1.1`),
  ),
  bad(
    "a target in absolute form of another scheme",
    line((m, t) => `${m} ftp://localhost${t} HTTP/1.1`),
  ),
  bad(
    "a target that is an authority",
    line((method) => `${method} localhost:80 HTTP/1.1`),
  ),

  bad("no Host", { host: "" }),
  bad("two Hosts that agree", { host: `${host}${host}` }),
  bad("two Hosts that do not", { host: `${host}Host: elsewhere\r\n` }),
  bad("an empty Host", { host: "Host:\r\n" }),
  bad("Host with a path", { host: "Host: localhost/x\r\n" }),
  bad("Host with a user", { host: "Host: user@localhost\r\n" }),
  bad("Host with a space", { host: "Host: local host\r\n" }),
  bad("a list of Hosts", { host: "Host: localhost, elsewhere\r\n" }),
  bad("a Host whose port is no number", { host: "Host: localhost:http\r\n" }),
  bad("no Host on an upgrade", { host: "", ...field("Connection: Upgrade\r\nUpgrade: websocket") }),

  bad("a space before a field's colon", field("X-A : 1")),
  bad("a tab before a field's colon", field("X-A\t: 1")),
  bad("a space before the first field", { host: ` ${host}` }),
  bad("a space in a field's name", field("X A: 1")),
  bad("a field without a name", field(": 1")),
  bad("a field without a colon", field("X-A")),
  bad("a bracket in a field's name", field("X(A): 1")),
  bad("a byte beyond ASCII in a field's name", field("X-\xe4: 1")),
  bad("a NUL in a field's value", field("X-A: a\0b")),
  bad("a control character in a field's value", field("X-A: a\x01b")),
  bad("DEL in a field's value", field("X-A: a\x7fb")),
  bad("a CR alone in a field's value", field("X-A: a\rb")),
  bad("a CR alone behind a field", { fields: "X-A: 1\rX-B: 2\r\n" }),
  bad("an LF alone behind a field", { fields: "X-A: 1\nX-B: 2\r\n" }),
  bad("an LF alone behind the line", { line: ({ method, target }) => `${method} ${target} HTTP/1.1\nX-A: 1` }),
  bad("a folded field, by a space", field("X-A: 1\r\n 2")),
  bad("a folded field, by a tab", field("X-A: 1\r\n\t2")),
  bad("an LF alone as the empty line", { end: "\n" }),
  bad("101 fields and more", field(Array(120).fill("X-A: 1").join("\r\n")), 431),
  bad("fields of more than 16 KiB", field(`X-A: ${"x".repeat(17_000)}`), 431),
  bad("an expectation that nobody knows", field("Expect: the-unexpected"), 417),
];

const chunk = (text: string, size = text.length.toString(16)) => `${size}\r\n${text}\r\n`;
const chunked = (format: (body: string) => string, fields = "Transfer-Encoding: chunked\r\n"): Parts => ({
  framing: () => fields,
  body: format,
});
const whole = (body: string) => `${chunk(body)}0\r\n\r\n`;
const length = (format: (body: string) => string): Parts => ({
  framing: (body) => `Content-Length: ${format(body)}\r\n`,
});
const coding = (value: string): Parts => chunked(whole, `Transfer-Encoding: ${value}\r\n`);

/** Of requests with a body. */
export const bodyCases: readonly FramingCase[] = [
  good("a length", {}),
  good(
    "a length with zeros before it",
    length((body) => `000${body.length}`),
  ),
  good(
    "a length with spaces around it",
    length((body) => `  ${body.length}  `),
  ),
  good("a length in capitals", { framing: (body) => `CONTENT-LENGTH: ${body.length}\r\n` }),
  good("one chunk", chunked(whole)),
  good("a coding in capitals", coding("CHUNKED")),
  good(
    "chunks of one byte",
    chunked((body) => `${Array.from(body, (byte) => chunk(byte)).join("")}0\r\n\r\n`),
  ),
  good(
    "sizes with zeros before them",
    chunked((body) => `${chunk(body, `00${body.length.toString(16)}`)}000\r\n\r\n`),
  ),
  good(
    "sizes in capitals",
    chunked((body) => `${chunk(body, body.length.toString(16).toUpperCase())}0\r\n\r\n`),
  ),
  good(
    "an extension",
    chunked((body) => `${chunk(body, `${body.length.toString(16)};a`)}0\r\n\r\n`),
  ),
  good(
    "an extension with a value",
    chunked((body) => `${chunk(body, `${body.length.toString(16)};a=b`)}0;c=d\r\n\r\n`),
  ),
  good(
    "an extension in quotes",
    chunked((body) => `${chunk(body, `${body.length.toString(16)};a="b c"`)}0\r\n\r\n`),
  ),
  good(
    "a trailer",
    chunked((body) => `${chunk(body)}0\r\nX-A: 1\r\n\r\n`),
  ),
  bad(
    "a trailer that would be framing",
    chunked((body) => `${chunk(body)}0\r\nContent-Length: 5\r\n\r\n`),
  ),
  good(
    "a length on HTTP/1.0",
    line((method, target) => `${method} ${target} HTTP/1.0`),
    "closed",
  ),
  good(
    "an expectation on HTTP/1.0, which is nothing there",
    { ...line((method, target) => `${method} ${target} HTTP/1.0`), ...field("Expect: 100-continue") },
    "closed",
  ),

  bad(
    "an empty length",
    length(() => ""),
  ),
  bad(
    "a length with a sign",
    length((body) => `+${body.length}`),
  ),
  bad(
    "a length below nothing",
    length((body) => `-${body.length}`),
  ),
  bad(
    "a length in hexadecimal",
    length((body) => `0x${body.length.toString(16)}`),
  ),
  bad(
    "a length with a fraction",
    length((body) => `${body.length}.0`),
  ),
  bad(
    "a length with a unit",
    length((body) => `${body.length} bytes`),
  ),
  bad(
    "a length of two numbers",
    length((body) => `${body.length} ${body.length}`),
  ),
  bad(
    "a list of lengths that agree",
    length((body) => `${body.length}, ${body.length}`),
  ),
  bad(
    "a list of lengths that do not",
    length((body) => `${body.length}, 1`),
  ),
  bad(
    "a length of words",
    length(() => "many"),
  ),
  bad(
    "a length with an exponent",
    length(() => "1e2"),
  ),
  bad(
    "a length with an underscore",
    length(() => "1_0"),
  ),
  bad(
    "a length beyond 64 bits",
    length(() => "18446744073709551617"),
  ),
  bad(
    "a length of 100 digits",
    length(() => "9".repeat(100)),
  ),
  bad(
    "two lengths that agree",
    length((body) => `${body.length}\r\nContent-Length: ${body.length}`),
  ),
  bad(
    "two lengths that do not",
    length((body) => `${body.length}\r\nContent-Length: 1`),
  ),
  bad("a space before the length's colon", { framing: (body) => `Content-Length : ${body.length}\r\n` }),

  bad("a length and a coding", chunked(whole, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
  bad("a coding and a length", chunked(whole, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
  bad("a length of nothing and a coding", chunked(whole, "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")),
  bad("a coding that nobody knows", coding("xchunked")),
  bad("a coding that begins so", coding("chunkedx")),
  bad("the coding identity", coding("identity")),
  bad("a coding in quotes", coding('"chunked"')),
  bad("a coding in single quotes", coding("'chunked'")),
  bad("a coding with a parameter", coding("chunked;q=1")),
  bad("a coding with another parameter", coding("chunked; a=b")),
  bad("a coding twice", coding("chunked, chunked")),
  bad("a coding before chunked", coding("gzip, chunked")),
  bad("identity before chunked", coding("identity, chunked")),
  bad("a coding behind chunked", coding("chunked, gzip")),
  bad("chunked and nothing behind a comma", coding("chunked,")),
  bad("nothing and chunked behind a comma", coding(", chunked")),
  bad("an empty coding", coding("")),
  bad("a coding alone that is not chunked", coding("gzip")),
  bad("a vertical tab before the coding", coding("\x0bchunked")),
  bad("a form feed behind the coding", coding("chunked\x0c")),
  bad("a NUL behind the coding", coding("chunked\0")),
  bad("two codings in two fields", coding("chunked\r\nTransfer-Encoding: chunked")),
  bad("two codings in two fields, one unknown", coding("chunked\r\nTransfer-Encoding: x")),
  bad("a folded coding", coding("\r\n chunked")),
  bad("a space before the coding's colon", chunked(whole, "Transfer-Encoding : chunked\r\n")),
  bad("a coding on HTTP/1.0", { ...line((m, t) => `${m} ${t} HTTP/1.0`), ...chunked(whole) }),

  bad(
    "a size that is no number",
    chunked((body) => `${chunk(body, "zz")}0\r\n\r\n`),
  ),
  bad(
    "an empty size",
    chunked((body) => `${chunk(body, "")}0\r\n\r\n`),
  ),
  bad(
    "a size with a sign",
    chunked((body) => `${chunk(body, `+${body.length.toString(16)}`)}0\r\n\r\n`),
  ),
  bad(
    "a size below nothing",
    chunked((body) => `${chunk(body, "-5")}0\r\n\r\n`),
  ),
  bad(
    "a size with 0x",
    chunked((body) => `${chunk(body, `0x${body.length.toString(16)}`)}0\r\n\r\n`),
  ),
  bad(
    "a size behind a space",
    chunked((body) => `${chunk(body, ` ${body.length.toString(16)}`)}0\r\n\r\n`),
  ),
  bad(
    "a size beyond 64 bits",
    chunked((body) => `${chunk(body, "10000000000000005")}0\r\n\r\n`),
  ),
  bad(
    "a size of a hundred digits",
    chunked((body) => `${chunk(body, "f".repeat(100))}0\r\n\r\n`),
  ),
  bad(
    "a size and a comma",
    chunked((body) => `${chunk(body, `${body.length.toString(16)},a`)}0\r\n\r\n`),
  ),
  bad(
    "an LF alone behind a size",
    chunked((body) => `${body.length.toString(16)}\n${body}\r\n0\r\n\r\n`),
  ),
  bad(
    "an LF alone behind a chunk",
    chunked((body) => `${body.length.toString(16)}\r\n${body}\n0\r\n\r\n`),
  ),
  bad(
    "no line break behind a chunk",
    chunked((body) => `${body.length.toString(16)}\r\n${body}0\r\n\r\n`),
  ),
  bad(
    "a chunk longer than its size",
    chunked((body) => `${chunk(body, (body.length - 1).toString(16))}0\r\n\r\n`),
  ),
  bad(
    "a chunk shorter than its size",
    chunked((body) => `${chunk(body, (body.length + 1).toString(16))}0\r\n\r\n`),
  ),
  bad(
    "a CR alone behind the extension",
    chunked((body) => `${chunk(body, `${body.length.toString(16)};a\rb`)}0\r\n\r\n`),
  ),
  bad(
    "a NUL in an extension",
    chunked((body) => `${chunk(body, `${body.length.toString(16)};a\0`)}0\r\n\r\n`),
  ),
  bad(
    "extensions of more than 16 KiB",
    chunked((body) => chunk(body, `1;${"x".repeat(20_000)}`)),
    413,
  ),
  bad(
    "a trailer that is no field",
    chunked((body) => `${chunk(body)}0\r\nX A: 1\r\n\r\n`),
  ),
  bad(
    "a trailer without a colon",
    chunked((body) => `${chunk(body)}0\r\nX-A\r\n\r\n`),
  ),
  bad(
    "a folded trailer",
    chunked((body) => `${chunk(body)}0\r\nX-A: 1\r\n 2\r\n\r\n`),
  ),
  bad(
    "trailers of more than 16 KiB",
    chunked((body) => `${chunk(body)}0\r\nX-A: ${"x".repeat(17_000)}\r\n\r\n`),
    431,
  ),
  bad("an expectation that nobody knows, with a body", field("Expect: 200-ok"), 417),

  { ...bad("a body that ends before its length", { body: (body) => body.slice(0, -1) }), ends: true },
  {
    ...bad(
      "chunks that end before the last",
      chunked((body) => chunk(body)),
    ),
    ends: true,
  },
  {
    ...bad(
      "a chunk that ends before its size",
      chunked((body) => chunk(body).slice(0, -4)),
    ),
    ends: true,
  },
];
