// A document that takes long to parse is refused before it is parsed, on every route that takes JSON; and what an upstream
// answers beyond its bounds is not looked into. Refusals are asserted, not times.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { depthMax } from "../../src/admin/json-body.ts";
import { answerBounds, type JsonBounds, requestBounds } from "../../src/base/json-scan.ts";
import { catalogue, countTokensPaths } from "../../src/surfaces/catalogue.ts";
import { type AdminScene, openAdminScene, routeTable } from "../support/admin-scene.ts";
import { send, startGateway } from "../support/gateway.ts";
import { onRequest, respond, startSocketUpstream } from "../support/socket-upstream.ts";

/** A value that alone has so many of what a bound is about. */
const values: Readonly<Record<keyof JsonBounds, (count: number) => string>> = {
  depth: (count) => "[".repeat(count) + "]".repeat(count),
  members: (count) => `{${Array.from({ length: count }, (_, at) => `"${at}":0`).join(",")}}`,
  texts: (count) => `[${Array.from({ length: count }, () => '""').join(",")}]`,
  values: (count) => `[${"1,".repeat(count - 1)}1]`,
};
const bounds = Object.keys(values) as (keyof JsonBounds)[];
/** What the bodies here have beside the value, at most. */
const others = 100;

/** A body with enough to be a call, and the value. */
const withValue = (value: string) => {
  const body = {
    model: "glm-4.5-flash",
    messages: [{ role: "user", content: "x" }],
    input: "x",
    max_tokens: 1,
    prompt: "x",
  };
  return `${JSON.stringify(body).slice(0, -1)},"metadata":${value}}`;
};

const codeOf = (json: unknown) => {
  const { error, code } = (json ?? {}) as { error?: { code?: string }; code?: string };
  return error?.code ?? code;
};

describe("a body of a call", () => {
  let scene: AdminScene;
  before(async () => {
    scene = await openAdminScene({ server: { bodyBytesMax: 8 * 1024 * 1024 }, rateLimit: { queueCapacity: 1_000 } });
  });
  after(() => scene.stop());

  async function post(method: string, path: string, body: string) {
    const { status, json } = await send(`${scene.gateway.url}${path}`, { method, token: scene.adaToken, body });
    return { status, code: codeOf(json) };
  }

  const calls = [
    ...catalogue
      .filter(({ endpoint }) => endpoint.takes !== "nothing")
      .map(({ method, path }) => [method, path] as const),
    ...countTokensPaths.map((path) => ["POST", path] as const),
  ];
  for (const [method, path] of calls) {
    it(`${method} ${path}: is refused beyond each bound`, async () => {
      for (const name of bounds) {
        const beyond = await post(method, path.replace("*", "x"), withValue(values[name](requestBounds[name] + 1)));
        assert.deepEqual(beyond, { status: 400, code: "invalid_json" }, name);
      }
    });
  }

  for (const path of ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", ...countTokensPaths]) {
    it(`POST ${path}: is taken up to each bound`, async () => {
      for (const name of bounds) {
        const less = name === "depth" || name === "members" ? 1 : others;
        const { code } = await post("POST", path, withValue(values[name](requestBounds[name] - less)));
        assert.notEqual(code, "invalid_json", name);
      }
    });
  }

  for (const { method, path, body, access } of routeTable) {
    if (body === null || access === "operator") continue;
    it(`${method.toUpperCase()} ${path}: is refused beyond the bounds of the control plane`, async () => {
      const url = `${scene.gateway.url}${path.replace(/\{\w+\}/g, "x")}`;
      const visit = (value: string) =>
        send(url, { method: method.toUpperCase(), token: scene.rootToken, body: `{"a":${value}}` });
      const deep = await visit(values.depth(depthMax));
      assert.deepEqual([deep.status, codeOf(deep.json)], [400, "invalid_json"]);
      // So much has no room in these bodies.
      for (const name of ["members", "texts", "values"] as const) {
        assert.equal((await visit(values[name](requestBounds[name] + 1))).status, 413, name);
      }
    });
  }

  it("POST /auth/login: is refused beyond the bounds", async () => {
    const logIn = async (value: string) => {
      const body = `{"username":"ada","password":"x","more":${value}}`;
      const { status, json } = await send(`${scene.gateway.url}/auth/login`, { body });
      return [status, codeOf(json)];
    };
    assert.deepEqual(await logIn(values.depth(requestBounds.depth)), [400, "invalid_json"]);
    assert.deepEqual(await logIn(values.depth(requestBounds.depth - 1)), [401, "wrong_credentials"]);
    assert.equal((await logIn(values.members(requestBounds.members + 1)))[0], 413);
  });
});

describe("an upstream's answer", () => {
  it("is passed on up to each bound, and unusable beyond", async () => {
    let answer = "";
    const upstream = await startSocketUpstream((socket) => onRequest(socket, () => socket.write(respond(answer))));
    const gateway = await startGateway({ glm: { baseUrl: upstream.origin } });
    try {
      const token = await gateway.logIn();
      const ask = () => send(`${gateway.url}/v1/chat/completions`, { token, body: withValue("1") });
      for (const name of bounds) {
        answer = `{"choices":[],"more":${values[name](answerBounds[name] - 10)}}`;
        const good = await ask();
        assert.equal(good.status, 200, name);
        assert.equal(good.text, answer);
        answer = `{"choices":[],"more":${values[name](answerBounds[name] + 1)}}`;
        const { status, json } = await ask();
        assert.deepEqual([status, codeOf(json)], [502, "upstream_unexpected"], name);
      }
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
});
