// What a call is taken to cost before it is counted, over real sockets: reservations, limits of tokens, count_tokens, the
// first event of a translated message, and what is learned from counted calls.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { startWireUpstream, type WireUpstream } from "../support/wire-upstream.ts";

const admin = { username: "root", password: "root's password", role: "admin", weight: 1, class: "default" } as const;
const data = "A".repeat(700_000);
const words = "word ".repeat(70_000);
const usage = { prompt_tokens: 1_200, completion_tokens: 5 };
const answer = { choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }], usage };
const picture = [
  { type: "text", text: "what" },
  { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
];
const pictureMessage = {
  role: "user",
  content: [{ type: "image", source: { type: "base64", media_type: "image/png", data } }],
};

describe("estimates", () => {
  let upstream: WireUpstream;
  let gateway: TestGateway;
  let token: string;
  before(async () => {
    upstream = await startWireUpstream();
    upstream.say("application/json", [Buffer.from(JSON.stringify(answer))]);
    const target = {
      name: "default",
      kind: "openai",
      apiKey: null,
      baseUrl: `${upstream.origin}/v1`,
      anthropicBaseUrl: null,
    } as const;
    gateway = await startGateway({
      auth: { users: [admin] },
      glm: { upstreams: [target] },
      rateLimit: { tokensPerMinute: 60_000 },
    });
    token = await gateway.logIn("root", "root's password");
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  async function addKey(name: string, tokensPerDay: number): Promise<string> {
    await send(`${gateway.url}/admin/users`, { token, body: { name, limits: { "tokens/day": tokensPerDay } } });
    const { json } = await send(`${gateway.url}/admin/keys`, { token, body: { owner: name, name: "test" } });
    return (json as { secret: string }).secret;
  }

  const ask = (key: string, body: object): Promise<Sent> =>
    send(`${gateway.url}/v1/chat/completions`, { token: key, body });
  const askPicture = (key: string, more: object = {}) =>
    ask(key, { model: "m1", max_tokens: 100, messages: [{ role: "user", content: picture }], ...more });

  async function countTokens(messages: readonly object[]): Promise<number> {
    const { json } = await send(`${gateway.url}/v1/messages/count_tokens`, { token, body: { model: "m1", messages } });
    return (json as { input_tokens: number }).input_tokens;
  }

  const codeOf = ({ json }: Sent) => (json as { error?: { code: string } }).error?.code ?? "served";

  it("take a picture for what models take for one: within a quota and a limit of tokens, twice in a minute", async () => {
    const key = await addKey("pia", 100_000);
    assert.equal(codeOf(await askPicture(key)), "served");
    assert.equal(codeOf(await askPicture(key)), "served");
    const { json } = await send(`${gateway.url}/me`, { token: key });
    assert.equal((json as { quotas: [{ used: number }] }).quotas[0].used, 2 * 1_205);
  });

  it("of text are the same before and after pictures were counted", async () => {
    const key = await addKey("tom", 10_000_000);
    const text = [{ role: "user", content: words }];
    const before = await countTokens(text);
    for (let count = 0; count < 3; count++) await askPicture(key);
    assert.ok(before > 90_000 && before < 110_000, String(before));
    assert.equal(await countTokens(text), before);
    const small = await addKey("eva", 50_000);
    assert.equal(codeOf(await ask(small, { model: "m1", max_tokens: 5, messages: text })), "insufficient_quota");
  });

  it("of a message with a picture are near what it takes, and the first event has the same", async () => {
    const counted = await countTokens([pictureMessage]);
    assert.ok(counted >= 1_000 && counted <= 5_000, String(counted));
    const events = [
      'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
      'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ];
    upstream.say(
      "text/event-stream",
      events.map((event) => Buffer.from(event)),
    );
    const body = { model: "m1", max_tokens: 50, stream: true, messages: [pictureMessage] };
    const { text } = await send(`${gateway.url}/v1/messages`, { token, body });
    upstream.say("application/json", [Buffer.from(JSON.stringify(answer))]);
    const started = Number(/"input_tokens":(\d+)/.exec(text)?.[1]);
    assert.ok(started >= 1_000 && started <= 5_000, text.slice(0, 300));
  });

  it("reserve the largest of several bounds on an answer, for each of its choices", async () => {
    const key = await addKey("max", 1_000);
    const both = await ask(key, chat("hi", { model: "m1", max_tokens: 1, max_completion_tokens: 90_000 }));
    assert.deepEqual([both.status, codeOf(both)], [429, "insufficient_quota"]);
    assert.match(both.text, /may need 900\d\d/);
    assert.equal(codeOf(await ask(key, chat("hi", { model: "m1", max_tokens: 400, n: 3 }))), "insufficient_quota");
    assert.equal(codeOf(await ask(key, chat("hi", { model: "m1", max_tokens: 200 }))), "served");
    await until("nothing is reserved", async () => {
      const { json } = await send(`${gateway.url}/me`, { token: key });
      return (json as { quotas: [{ reserved: number }] }).quotas[0].reserved === 0;
    });
  });
});
