// Requests that no honest client sends, as data: bytes, and the statuses with which they may be answered. What is refused
// has never reached the upstream.

export interface InputCase {
  readonly name: string;
  /** The body of a chat; `MARKER` is replaced. */
  readonly body?: string | Buffer;
  readonly headers?: string;
  /** In place of the whole request; `TOKEN` is replaced. */
  readonly raw?: string | Buffer;
  /** 0: closed without an answer. */
  readonly statuses: readonly number[];
  readonly isShort?: true;
}

const messages = '"messages":[{"role":"user","content":"MARKER"}]';
const chatOf = (members: string) => `{"model":"glm-4.5-flash",${messages}${members}}`;
const post = (headers: string, body: string) =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer TOKEN\r\nconnection: close\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
const withToken = (token: string) => post("content-type: application/json\r\n", "{}").replace("TOKEN", token);
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = { sub: "user1", iat: 1_796_000_000, exp: 4_000_000_000 };

export const inputCases: readonly InputCase[] = [
  {
    name: "nests 100,000 arrays",
    body: chatOf(`,"x":${"[".repeat(100_000)}${"]".repeat(100_000)}`),
    statuses: [200, 400],
    isShort: true,
  },
  { name: "nests 100,000 arrays and closes none", body: `{"model":${"[".repeat(100_000)}`, statuses: [400] },
  {
    name: "is longer than a body may be",
    body: chatOf(`,"x":"${"x".repeat(1024 * 1024)}"`),
    statuses: [413],
    isShort: true,
  },
  {
    name: "has a length of 20 digits",
    raw: "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer TOKEN\r\ncontent-type: application/json\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
    statuses: [400, 413],
  },
  { name: "is no JSON", body: "{MARKER", statuses: [400], isShort: true },
  { name: "is empty", body: "", statuses: [400] },
  { name: "is a string", body: '"MARKER"', statuses: [400] },
  {
    name: "is not UTF-8",
    body: Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
    statuses: [400],
  },
  { name: "is UTF-16", body: Buffer.from(chatOf(""), "utf16le"), statuses: [400] },
  {
    name: "sets a prototype",
    body: chatOf(',"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}'),
    statuses: [200, 400],
  },
  { name: "has a number beyond all numbers", body: chatOf(',"max_tokens":1e400'), statuses: [200, 400] },
  { name: "has an integer that no double holds", body: chatOf(',"seed":9007199254740993'), statuses: [200] },
  {
    name: "has an object for messages",
    body: '{"model":"glm-4.5-flash","messages":{},"x":"MARKER"}',
    statuses: [200, 400],
  },
  { name: "has a number for a model", body: `{"model":5,${messages}}`, statuses: [400] },
  { name: "has no model", body: `{${messages}}`, statuses: [400], isShort: true },
  { name: "has a model of a megabyte", body: `{"model":"${"m".repeat(500_000)}",${messages}}`, statuses: [400, 404] },
  { name: 'has a stream of "true"', body: chatOf(',"stream":"true"'), statuses: [400] },
  { name: "has a stream of 1", body: chatOf(',"stream":1'), statuses: [400] },
  {
    name: "names another upstream",
    body: chatOf(',"api_base":"http://127.0.0.1:9","base_url":"http://127.0.0.1:9","api_key":"x"'),
    headers: "x-portkey-custom-host: http://127.0.0.1:9\r\n",
    statuses: [200, 400],
  },
  {
    name: "names authorization as hop-by-hop",
    body: chatOf(""),
    headers: "connection: authorization, x-request-id\r\n",
    statuses: [200, 400, 401],
  },
  {
    name: "says to be somebody else",
    body: chatOf(""),
    headers: "x-user-id: admin\r\nx-forwarded-for: 10.0.0.1\r\nnew-api-user: 1\r\n",
    statuses: [200],
  },
  {
    name: "has a model with line ends and control characters",
    body: `{"model":"glm\\n\\u001b[31m{\\"level\\":50}",${messages}}`,
    statuses: [200, 400, 404],
  },
  { name: "has a NUL in a header", body: chatOf(""), headers: "x-a: a\0b\r\n", statuses: [400] },
  { name: "has a bare CR in a header", body: chatOf(""), headers: "x-a: a\rb\r\n", statuses: [400] },
  {
    name: "has 150 headers",
    body: chatOf(""),
    headers: Array.from({ length: 150 }, (_, index) => `x-${index}: 1\r\n`).join(""),
    statuses: [200, 400, 431],
  },
  { name: "has a header of 64 KiB", body: chatOf(""), headers: `x-a: ${"x".repeat(65_536)}\r\n`, statuses: [400, 431] },
  {
    name: "has two authorizations",
    body: chatOf(""),
    headers: "authorization: Bearer other\r\n",
    statuses: [400, 401],
  },
  {
    name: "has two lengths",
    raw: "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    statuses: [400],
    isShort: true,
  },
  {
    name: "has a length and chunks",
    raw: "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer TOKEN\r\ncontent-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    statuses: [400],
    isShort: true,
  },
  { name: "has two hosts", raw: "GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", statuses: [400] },
  { name: "has no host", raw: "GET /livez HTTP/1.1\r\n\r\n", statuses: [400] },
  { name: "is TLS", raw: Buffer.from("160301020001000001fc0303", "hex"), statuses: [0, 400] },
  { name: "is the preface of HTTP/2", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", statuses: [0, 400, 405, 505] },
  { name: "is a banner of SSH", raw: "SSH-2.0-OpenSSH_9.2\r\n\r\n", statuses: [0, 400] },
  { name: "is HTTP/0.9", raw: "GET /livez\r\n\r\n", statuses: [0, 400, 505] },
  { name: "traces", raw: "TRACE / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", statuses: [400, 405, 501] },
  { name: "connects", raw: "CONNECT 127.0.0.1:9 HTTP/1.1\r\nhost: x\r\n\r\n", statuses: [0, 400, 405, 501] },
  {
    name: "upgrades",
    raw: post("content-type: application/json\r\nupgrade: websocket\r\n", "{}"),
    statuses: [400, 426],
  },
  {
    name: "walks up its path",
    raw: "GET /v1/../admin/users HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    statuses: [400, 401, 404],
  },
  {
    name: "walks up its path in disguise",
    raw: "GET /v1/%2e%2e/admin/users HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    statuses: [400, 401, 404],
  },
  {
    name: "has a target of 64 KiB",
    raw: `GET /${"a".repeat(65_536)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
    statuses: [400, 414, 431],
  },
  { name: "has no type", raw: post("", "{}"), statuses: [400, 415] },
  { name: "has a type of text", raw: post("content-type: text/plain\r\n", "{}"), statuses: [415] },
  {
    name: "has a form's type",
    raw: post("content-type: multipart/form-data; boundary=x\r\n", "--x--"),
    statuses: [415],
  },
  {
    name: "is compressed",
    raw: post("content-type: application/json\r\ncontent-encoding: gzip\r\n", "{}"),
    statuses: [415],
  },
  {
    name: "has no token",
    raw: post("content-type: application/json\r\n", "{}").replace(/authorization.*\r\n/, ""),
    statuses: [401],
    isShort: true,
  },
  {
    name: "has a token without a signature",
    raw: withToken(`${encode({ alg: "none" })}.${encode(claims)}.`),
    statuses: [401],
    isShort: true,
  },
  {
    name: "has a token signed by nobody",
    raw: withToken(`${encode({ alg: "HS256" })}.${encode(claims)}.${"A".repeat(43)}`),
    statuses: [401],
  },
  {
    name: "has a token of another algorithm",
    raw: withToken(`${encode({ alg: "RS256" })}.${encode(claims)}.${"A".repeat(43)}`),
    statuses: [401],
  },
  { name: "has a token of 20,000 characters", raw: withToken("a".repeat(12_000)), statuses: [401, 431] },
  {
    name: "has its token in the address",
    raw: "POST /v1/chat/completions?token=TOKEN HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
    statuses: [400, 401],
  },
];
