// Lists of objects show what is known to be the caller's, whatever the upstream answers: other types, other shapes, others'
// objects at any place. Over sockets, against an upstream of fixed bytes; the combinations are in src/object-guard.test.ts.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { nativeEndpoints } from "../../src/surfaces/native-endpoints.ts";
import { send, startGateway, type TestGateway, testSettings } from "../support/gateway.ts";
import { startWireUpstream, type WireUpstream } from "../support/wire-upstream.ts";
import { base, codeOf } from "./scene.ts";

const json = "application/json";

/** Each route that lists, how its objects are made, and how the upstream wraps them. */
const routes: readonly {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly make: readonly [path: string, toAnswer: (id: string) => object];
  readonly toItem: (id: string) => object;
  readonly wrap: (items: unknown) => object;
  readonly empty: object;
}[] = [
  ...["/files", "/batches", "/fine_tuning/jobs"].map((path) => ({
    method: "GET" as const,
    path,
    make: [path, (id: string) => ({ id })] as const,
    toItem: (id: string) => ({ id, filename: `salary of ${id}` }),
    wrap: (items: unknown) => ({ object: "list", data: items, first_id: "a-1", last_id: "a-2", has_more: true }),
    empty: { object: "list", data: [], first_id: null, last_id: null, has_more: false },
  })),
  {
    method: "GET",
    path: "/voice/list",
    make: ["/voice/clone", (voice) => ({ voice })],
    toItem: (voice) => ({ voice, voice_type: "PRIVATE" }),
    wrap: (items) => ({ voice_list: items, total: 9 }),
    empty: { voice_list: [] },
  },
  {
    method: "GET",
    path: "/knowledge",
    make: ["/knowledge", (id) => ({ id })],
    toItem: (id) => ({ id, name: `of ${id}` }),
    wrap: (items) => ({ object: "list", list: items, total: 9 }),
    empty: { object: "list", list: [], total: 0 },
  },
  {
    method: "POST",
    path: "/assistant/conversation/list",
    make: ["/assistant", (conversation_id) => ({ conversation_id })],
    toItem: (id) => ({ id, name: `of ${id}` }),
    wrap: (items) => ({
      code: 200,
      msg: "success",
      data: { assistant_id: "x", has_more: true, conversation_list: items },
    }),
    empty: { code: 200, msg: "success", data: { assistant_id: "x", has_more: false, conversation_list: [] } },
  },
];

describe("lists of objects", () => {
  let upstream: WireUpstream;
  let gateway: TestGateway;
  const tokens: Record<string, string> = {};

  before(async () => {
    upstream = await startWireUpstream();
    const { origin } = upstream;
    const target = { name: "default", kind: "glm", apiKey: "k.s", baseUrl: `${origin}/api/paas/v4` } as const;
    const root = { username: "root", password: "root's own word", role: "admin", weight: 1, class: "default" } as const;
    gateway = await startGateway({
      glm: { upstreams: [{ ...target, anthropicBaseUrl: null }] },
      auth: { users: [root, ...testSettings.auth.users] },
    });
    tokens.ada = await gateway.logIn();
    tokens.bob = await gateway.logIn("user2", "pass456");
    tokens.root = await gateway.logIn("root", root.password);
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  const say = (answer: object, type: string | null = json) => upstream.say(type, [Buffer.from(JSON.stringify(answer))]);
  const ask = (method: string, path: string, as: string) =>
    send(gateway.url + base + path, {
      method,
      token: tokens[as] as string,
      ...(method === "POST" && { body: { model: "m", assistant_id: "x" } }),
    });

  async function make([path, toAnswer]: (typeof routes)[number]["make"], id: string, as: string): Promise<void> {
    say(toAnswer(id));
    const { status, text } = await ask("POST", path, as);
    assert.equal(status, 200, text);
  }

  it("are all of the routes that list", () => {
    const listing = nativeEndpoints.filter((endpoint) => {
      const body = Buffer.from(endpoint.takes === "nothing" ? "" : '{"model":"m"}');
      const incoming = {
        path: endpoint.path,
        query: "",
        body,
        upload: null,
        form: null,
        contentType: json,
        header: () => "",
      };
      return endpoint.parseRequest(incoming, new Map()).object?.lists;
    });
    assert.deepEqual(listing.map(({ path }) => path).sort(), routes.map(({ path }) => path).sort());
  });

  for (const { method, path, make: maker, toItem, wrap, empty } of routes) {
    it(`at ${method} ${path} are the caller's own, or refused`, async () => {
      const id = (name: string) => `${path.replaceAll("/", "-")}-${name}`;
      for (const [name, owner] of [
        ["a-1", "ada"],
        ["b-1", "bob"],
        ["a-2", "ada"],
      ] as const)
        await make(maker, id(name), owner);
      const others = wrap([toItem(id("a-1")), toItem(id("a-2")), toItem("of nobody")]);
      const text = JSON.stringify(others);

      for (const type of ["text/plain", "text/event-stream", null, "application/octet-stream", "text/html"]) {
        for (const body of [text, `data: ${text}\n\n`]) {
          upstream.say(type, [Buffer.from(body)]);
          const sent = await ask(method, path, "bob");
          assert.deepEqual([sent.status, codeOf(sent)], [502, "upstream_unexpected"], `${type}: ${sent.text}`);
          assert.ok(!sent.text.includes(id("a-1")));
        }
      }
      say(others);
      const seen = await ask(method, path, "bob");
      assert.deepEqual(seen.json, empty);

      say(wrap([toItem(id("a-1")), toItem(id("b-1")), toItem(id("a-2"))]));
      const mixed = await ask(method, path, "bob");
      say(wrap([toItem(id("b-1"))]));
      const alone = await ask(method, path, "bob");
      assert.equal(mixed.text, alone.text);
      assert.ok(alone.text.includes(id("b-1")));

      say(others);
      assert.deepEqual((await ask(method, path, "root")).json, others);
      const own = await ask(method, path, "ada");
      assert.ok(own.text.includes(id("a-1")) && own.text.includes(id("a-2")) && !own.text.includes("nobody"));
    });
  }
});
