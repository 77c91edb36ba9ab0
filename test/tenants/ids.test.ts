// Every route, every place where an id may stand, and every kind of caller: another user's object is never reached, by
// whichever spelling, type or place of its id, and what is refused has not been sent.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { idFields } from "../../src/surfaces/named-ids.ts";
import { nativeEndpoints } from "../../src/surfaces/native-endpoints.ts";
import { type Sent, send } from "../support/gateway.ts";
import { base, chatOf, codeOf, formType, type ObjectKind, openTenantScene, type TenantScene, toForm } from "./scene.ts";

/** Below its base, as a client writes it. */
const pathOf = ({ api, path }: (typeof nativeEndpoints)[number]) => (api === "root" ? `/api${path}` : base + path);
const withBody = nativeEndpoints.filter(({ takes }) => takes !== "nothing");
const withForm = withBody.filter(({ takes }) => takes === "any");
const withIdInPath = nativeEndpoints.filter(({ path }) => path.includes("*"));
/** The dialects of chats take ids in tools and messages. */
const chatPaths = ["/v1/chat/completions", `${base}/chat/completions`, "/v1/messages"];

const kindOfField: Record<string, ObjectKind> = {
  batch_id: "batch",
  async_id: "agentTask",
  task_id: "task",
  conversation_id: "conversation",
  knowledge_id: "knowledge",
  knowledge_ids: "knowledge",
  document_id: "document",
  voice: "voice",
  voice_id: "voice",
};

/** What every route needs beside the id, so that nothing else is wrong with the request. */
const common = { ...chatOf("hello"), agent_id: "a", assistant_id: "a", input: "x", search_query: "x", max_tokens: 10 };

describe("ids of another user", () => {
  let scene: TenantScene;

  before(async () => {
    scene = await openTenantScene();
  });
  after(() => scene.stop());

  const idFor = (field: string) => scene.ids[kindOfField[field] ?? "file"];

  interface Request {
    readonly method: string;
    readonly path: string;
    readonly body?: string | Buffer;
    readonly type?: string;
  }

  function ask({ method, path, body, type = "application/json" }: Request, token: string): Promise<Sent> {
    const headers =
      body === undefined ? {} : { "content-type": type, "content-length": String(Buffer.byteLength(body)) };
    return send(scene.gateway.url + path, { method, token, headers, ...(body !== undefined && { body }) });
  }

  async function isRefused(request: Request, token: string, status: number, code: string): Promise<void> {
    const before = scene.upstreamCalls();
    const sent = await ask(request, token);
    const what = `${request.method} ${request.path} ${request.body?.toString().slice(0, 300) ?? ""}`;
    assert.deepEqual([sent.status, codeOf(sent)], [status, code], `${what}: ${sent.text}`);
    assert.equal(scene.upstreamCalls(), before, `${what} was sent`);
  }

  async function isSent(request: Request, token: string): Promise<void> {
    const before = scene.upstreamCalls();
    const sent = await ask(request, token);
    const what = `${request.method} ${request.path} ${request.body?.toString().slice(0, 300) ?? ""}`;
    assert.equal(scene.upstreamCalls(), before + 1, `${what}: ${sent.status} ${sent.text}`);
  }

  for (const endpoint of withIdInPath) {
    it(`in the path of ${endpoint.method} ${endpoint.path}`, async () => {
      const { method } = endpoint;
      const body = endpoint.takes === "nothing" ? {} : { body: "{}" };
      const to = (id: string) => ({ method, path: pathOf(endpoint).replace("*", id).replace("*", "text"), ...body });
      for (const id of Object.values(scene.ids)) {
        await isRefused(to(id), scene.bobToken, 404, "unknown_object");
        await isRefused(to(id), scene.bobKey.secret, 404, "unknown_object");
        await isRefused(to(id), scene.rootCallsKey.secret, 404, "unknown_object");
        // An escape is no other id.
        const escaped = `%${id.charCodeAt(0).toString(16)}${id.slice(1)}`;
        await isRefused(to(escaped), scene.bobToken, 404, "unknown_object");
      }
      await isRefused(to("nobodys"), scene.bobToken, 404, "unknown_object");
      // Deleting would take from the other tests what they need.
      if (method === "DELETE") return;
      await isSent(to(scene.ids.file), scene.adaToken);
      await isSent(to(scene.ids.file), scene.adaKey.secret);
      await isSent(to(scene.ids.file), scene.rootToken);
      await isSent(to("nobodys"), scene.rootToken);
    });
  }

  const jsonPaths = [...withBody.map((endpoint) => [endpoint.method, pathOf(endpoint)] as const)].concat(
    chatPaths.map((path) => ["POST", path] as const),
  );
  for (const [method, pattern] of jsonPaths) {
    it(`in the JSON of ${method} ${pattern}`, async () => {
      // A `*` in the path is the caller's own.
      const pathFor = async (token: string) =>
        pattern.includes("*") ? pattern.replace("*", await ownFile(token)) : pattern;
      const [bobs, adas] = [await pathFor(scene.bobToken), await pathFor(scene.adaToken)];
      for (const [field, kind] of idFields) {
        const id = idFor(field);
        const value = kind === "list" ? [id] : id;
        const toBody = (more: object) => JSON.stringify({ ...common, ...more });
        for (const place of [
          { [field]: value },
          { x: { [field]: value } },
          { tools: [{ type: "t", t: { [field]: value } }] },
        ]) {
          await isRefused({ method, path: bobs, body: toBody(place) }, scene.bobToken, 404, "unknown_object");
        }
        await isSent({ method, path: adas, body: toBody({ x: { [field]: value } }) }, scene.adaToken);
      }
      await isRefused(
        { method, path: bobs, body: JSON.stringify({ ...common, x: { voice_id: "7" } }) },
        scene.bobToken,
        404,
        "unknown_object",
      );
      await isSent({ method, path: adas, body: JSON.stringify({ ...common, x: { voice_id: "7" } }) }, scene.rootToken);
    });
  }

  it("in other types, spellings and repetitions, at each route in turn", async () => {
    const shapes = (field: string, id: string): string[] => {
      const value = JSON.stringify(id);
      const isList = idFields.get(field) === "list";
      return [
        `"${field}":${isList ? value : `[${value}]`}`,
        `"${field}":${isList ? `[[${value}]]` : `{"id":${value}}`}`,
        `"${field}":1791021399316246528`,
        `"${field}":true`,
        `"${field}":${isList ? `[${value}]` : value},"${field}":null`,
        `"${field}":null,"${field}":${isList ? `[${value}]` : value}`,
        `"${field.toUpperCase()}":${value}`,
        `"${field.replace(/(^|_)./g, (start) => start.toUpperCase())}":${value}`,
        `"x":{"y":{"${field}":${isList ? `[${value}]` : value}},"y":{}}`,
        `"x":[{"${field.slice(0, -1)}\\u00${field.charCodeAt(field.length - 1).toString(16)} ":${value}}]`,
      ];
    };
    const fields = [...idFields.keys()];
    for (const [index, [method, pattern]] of jsonPaths.entries()) {
      const path = pattern.includes("*") ? pattern.replace("*", await ownFile(scene.bobToken)) : pattern;
      for (const field of [
        fields[index % fields.length] as string,
        fields[(index * 5 + 1) % fields.length] as string,
      ]) {
        for (const shape of shapes(field, idFor(field))) {
          const body = `${JSON.stringify(common).replace('"input":"x",', "").slice(0, -1)},${shape}}`;
          await isRefused({ method, path, body }, scene.bobToken, 400, "invalid_field");
        }
      }
    }
  });

  it("in forms, where forms are taken; elsewhere there are none", async () => {
    const model = ["model", "glm-asr"] as const;
    for (const endpoint of withBody) {
      const path = pathOf(endpoint).replace("*", await ownFile(scene.bobToken));
      const to = (fields: readonly (readonly [string, string])[]) => ({
        method: endpoint.method,
        path,
        body: toForm(fields, Buffer.from("x")),
        type: formType,
      });
      if (endpoint.takes === "json") {
        await isRefused(to([["file_id", scene.ids.file]]), scene.bobToken, 415, "unsupported_media_type");
        continue;
      }
      for (const [field, kind] of idFields) {
        const id = idFor(field);
        if (kind === "list") await isRefused(to([model, [field, id]]), scene.bobToken, 400, "invalid_field");
        else await isRefused(to([model, [field, id]]), scene.bobToken, 404, "unknown_object");
        await isRefused(to([model, [field, "x"], [field, id]]), scene.bobToken, 400, "invalid_field");
        await isRefused(to([model, [field.toUpperCase(), id]]), scene.bobToken, 400, "invalid_field");
        await isRefused(to([model, [`${field}[]`, id]]), scene.bobToken, 400, "invalid_field");
      }
      await isSent(to([model, ["purpose", "batch"], ["knowledge_id", scene.ids.knowledge]]), scene.adaToken);
    }
    assert.ok(withForm.length >= 6);
  });

  it("in queries", async () => {
    for (const path of ["/v1/files", `${base}/files`, "/v1/batches", "/v1/fine_tuning/jobs"]) {
      for (const id of [scene.ids.file, "nobodys", ""]) {
        const after = `${path}?after=${id}`;
        await isRefused({ method: "GET", path: after }, scene.bobToken, 404, "unknown_object");
      }
      await isRefused(
        { method: "GET", path: `${path}?after=x&%61fter=${scene.ids.file}` },
        scene.bobToken,
        400,
        "bad_request",
      );
      await isSent({ method: "GET", path: `${path}?after=${scene.ids.file}` }, scene.adaToken);
    }
    const documents = (id: string) => ({ method: "GET", path: `${base}/files?purpose=retrieval&knowledge_id=${id}` });
    await isRefused(documents(scene.ids.knowledge), scene.bobToken, 404, "unknown_object");
    await isSent(documents(scene.ids.knowledge), scene.adaToken);
  });

  it("send no parameter on that the route does not know", async () => {
    const path = `${base}/files?limit=2&purpose=batch&authentication=x&%61uth_user=y&Limit=3&after%00=${scene.ids.file}`;
    await isSent({ method: "GET", path }, scene.bobToken);
    assert.equal(scene.gateway.simulator.report().arrivals.at(-1)?.path, `${base}/files?limit=100&purpose=batch`);
    for (const name of ["authorization", "auth", "sk", "%6bey"]) {
      await isRefused({ method: "GET", path: `${base}/files?${name}=x` }, scene.adaToken, 400, "bad_request");
    }
  });

  it("let everybody use the voices that everybody has", async () => {
    const speak = (voice: string) => ({
      method: "POST",
      path: "/v1/audio/speech",
      body: JSON.stringify({ model: "glm-tts", input: "x", voice }),
    });
    await isSent(speak("tongtong"), scene.bobToken);
    await isRefused(speak(scene.ids.voice), scene.bobToken, 404, "unknown_object");
    await isSent(speak(scene.ids.voice), scene.adaToken);
  });

  it("of what a batch has made are the owner's to read, and another's to find nothing", async () => {
    const content = `/v1/files/${scene.ids.output}/content`;
    const own = await ask({ method: "GET", path: content }, scene.adaToken);
    assert.equal(own.status, 200);
    assert.match(own.text, /"custom_id":"1"/);
    await isRefused({ method: "GET", path: content }, scene.bobToken, 404, "unknown_object");
  });

  it("of a conversation that was streamed are its owner's", async () => {
    const body = { agent_id: "a", stream: true, messages: [{ role: "user", content: "hello" }] };
    const path = "/api/v1/agents";
    const streamed = await ask({ method: "POST", path, body: JSON.stringify(body) }, scene.adaToken);
    const id = /"conversation_id":"([^"]+)"/.exec(streamed.text)?.[1] ?? "";
    assert.match(String(streamed.headers["content-type"]), /^text\/event-stream/);
    const show = {
      method: "POST",
      path: `${path}/conversation`,
      body: JSON.stringify({ agent_id: "a", conversation_id: id }),
    };
    await isRefused(show, scene.bobToken, 404, "unknown_object");
    assert.equal((await ask(show, scene.adaToken)).status, 200);
    const further = { ...body, conversation_id: id };
    await isRefused({ method: "POST", path, body: JSON.stringify(further) }, scene.bobToken, 404, "unknown_object");
  });

  it("are of no use to a new user of the same name", async () => {
    const { visit, gateway } = scene;
    const eva = { name: "eva", password: "a long enough one" };
    const files = "/v1/files";
    const logIn = async () => gateway.logIn(eva.name, eva.password);
    await visit("POST", "/admin/users", eva);
    const id = await upload(await logIn());
    await visit("DELETE", "/admin/users/eva");
    await visit("POST", "/admin/users", eva);
    const token = await logIn();
    await isRefused({ method: "GET", path: `${files}/${id}` }, token, 404, "unknown_object");
    assert.deepEqual(((await ask({ method: "GET", path: files }, token)).json as { data: object[] }).data, []);
  });

  async function upload(token: string): Promise<string> {
    const body = toForm([["purpose", "batch"]], Buffer.from("x"));
    const { json, text } = await ask({ method: "POST", path: `${base}/files`, body, type: formType }, token);
    assert.ok(json, text);
    return (json as { id: string }).id;
  }

  const ownFiles = new Map<string, string>();
  async function ownFile(token: string): Promise<string> {
    const id = ownFiles.get(token) ?? (await upload(token));
    ownFiles.set(token, id);
    return id;
  }
});
