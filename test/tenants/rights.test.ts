// What keys, users and groups may not do holds at every route: models, jobs that no quota counts, and what an
// administrator has limited. What is refused has not been sent.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { nativeEndpoints } from "../../src/surfaces/native-endpoints.ts";
import { type Sent, send, until } from "../support/gateway.ts";
import { base, chatOf, codeOf, formType, openTenantScene, type TenantScene, toForm } from "./scene.ts";

const pathOf = ({ api, path }: (typeof nativeEndpoints)[number]) => (api === "root" ? `/api${path}` : base + path);
const named = nativeEndpoints.filter(({ ownName }) => ownName !== null);
const needsModel = nativeEndpoints.filter(({ ownName }) => ownName === null);

describe("rights", () => {
  let scene: TenantScene;

  before(async () => {
    scene = await openTenantScene();
  });
  after(() => scene.stop());

  async function addKey(
    fields: object,
    token = scene.rootToken,
    path = "/admin/keys",
  ): Promise<{ id: string; secret: string }> {
    const owner = path === "/admin/keys" ? { owner: "ada" } : {};
    const { json, text } = await send(scene.gateway.url + path, { token, body: { ...owner, name: "k", ...fields } });
    const { key, secret } = json as { key: { id: string }; secret: string };
    assert.ok(key, text);
    return { id: key.id, secret };
  }

  interface Request {
    readonly method: string;
    readonly path: string;
    readonly body?: object | string | Buffer;
    readonly headers?: Record<string, string>;
  }

  async function isRefused(request: Request, token: string, status: number, code: string): Promise<Sent> {
    const before = scene.upstreamCalls();
    const sent = await send(scene.gateway.url + request.path, { ...request, token });
    const what = `${request.method} ${request.path} ${JSON.stringify(request.body)}`;
    assert.deepEqual([sent.status, codeOf(sent)], [status, code], `${what}: ${sent.text}`);
    assert.equal(scene.upstreamCalls(), before, `${what} was sent`);
    return sent;
  }

  const asForm = (fields: readonly (readonly [string, string])[]) => ({
    body: toForm(fields, Buffer.from("x")),
    headers: { "content-type": formType, "content-length": String(toForm(fields, Buffer.from("x")).length) },
  });

  describe("to models", () => {
    let key: string;
    before(async () => {
      key = (await addKey({ models: ["glm-4.5-flash"], runs_jobs: true })).secret;
    });

    for (const endpoint of named) {
      it(`are asked for at ${endpoint.method} ${endpoint.path}, with and without a model`, async () => {
        const { method, takes } = endpoint;
        const path = pathOf(endpoint).replace("*", scene.ids.file).replace("*", "text");
        const requests: Request[] =
          takes === "nothing"
            ? [
                { method, path },
                { method, path: `${path}?model=glm-4.5-flash` },
              ]
            : [
                { method, path, body: { x: 1 } },
                { method, path, body: { x: 1, model: "glm-4.5-flash" } },
                { method, path, body: { x: 1, model: "glm-4.6" } },
                { method, path, ...asForm([]) },
                { method, path, ...asForm([["model", "glm-4.5-flash"]]) },
              ];
        for (const request of requests) await isRefused(request, key, 403, "model_not_allowed");
      });
    }

    it("are asked for where a model is needed, in JSON and in forms", async () => {
      for (const endpoint of needsModel) {
        const path = pathOf(endpoint);
        await isRefused(
          { method: "POST", path, body: { ...chatOf("x"), model: "glm-4.6" } },
          key,
          403,
          "model_not_allowed",
        );
        await isRefused({ method: "POST", path, body: { x: 1 } }, key, 400, "invalid_field");
        if (endpoint.takes !== "any") continue;
        await isRefused({ method: "POST", path, ...asForm([["model", "glm-4.6"]]) }, key, 403, "model_not_allowed");
        await isRefused({ method: "POST", path, ...asForm([]) }, key, 400, "invalid_field");
      }
      for (const path of ["/v1/chat/completions", "/v1/messages", "/v1/responses"]) {
        const body = { ...chatOf("x"), input: "x", max_tokens: 9, model: "glm-4.6" };
        const sent = await send(scene.gateway.url + path, { token: key, body });
        assert.equal(sent.status, 403, path);
      }
    });

    it("are both needed where a model is one's choice, and a model that means nothing is not recorded", async () => {
      const one = (await addKey({ models: ["rerank", "rerank-2"] })).secret;
      const other = (await addKey({ models: ["rerank-2"] })).secret;
      const rerank = {
        method: "POST",
        path: `${base}/rerank`,
        body: { model: "rerank-2", query: "x", documents: ["y"] },
      };
      await isRefused(rerank, other, 403, "model_not_allowed");
      await isRefused({ ...rerank, body: { ...rerank.body, model: "rerank-3" } }, one, 403, "model_not_allowed");
      assert.equal((await send(scene.gateway.url + rerank.path, { token: one, body: rerank.body })).status, 200);
      const search = { model: "glm-4.5-flash", search_query: "x", search_engine: "search_pro" };
      assert.equal(
        (await send(`${scene.gateway.url}${base}/web_search`, { token: scene.adaToken, body: search })).status,
        200,
      );
      assert.equal(scene.gateway.callLines().at(-1)?.model, "web_search");
    });
  });

  describe("to jobs", () => {
    const jobs = () => [
      {
        method: "POST",
        path: "/v1/batches",
        body: { input_file_id: scene.ids.file, endpoint: "/v4/chat/completions" },
      },
      {
        method: "POST",
        path: `${base}/batches`,
        body: { input_file_id: scene.ids.file, endpoint: "/v4/chat/completions" },
      },
      { method: "POST", path: `${base}/fine_tuning/jobs`, body: { model: "glm-4.5", training_file: scene.ids.file } },
    ];

    it("are needed by keys and users with quotas or models, and an administrator grants them", async () => {
      for (const limits of [
        { models: ["*"] },
        { limits: { "tokens/day": 500 } },
        { limits: { "cost/month": 1 } },
        { limits: { "requests/day": 100 } },
      ]) {
        const { id, secret } = await addKey(limits);
        for (const job of jobs()) {
          const { text } = await isRefused(job, secret, 403, "jobs_not_allowed");
          assert.match(text, /runs_jobs/);
        }
        await scene.visit("PATCH", `/admin/keys/${id}`, { runs_jobs: true });
        for (const { path, body } of jobs()) {
          const sent = await send(scene.gateway.url + path, { token: secret, body });
          assert.equal(sent.status, 200, `${path}: ${sent.text}`);
        }
      }
      const plain = (await addKey({ limits: { concurrency: 3 } })).secret;
      const [job] = jobs();
      assert.equal(
        (await send(scene.gateway.url + (job?.path ?? ""), { token: plain, body: job?.body ?? {} })).status,
        200,
      );
      await scene.visit("PATCH", "/admin/users/ada", { limits: { "tokens/day": 1_000_000 } });
      for (const one of jobs()) {
        await isRefused(one, scene.adaToken, 403, "jobs_not_allowed");
        const { text } = await isRefused(one, (await addKey({ runs_jobs: true })).secret, 403, "jobs_not_allowed");
        assert.match(text, /this user/);
      }
      await scene.visit("PATCH", "/admin/users/ada", { runs_jobs: true });
      assert.equal(
        (await send(scene.gateway.url + (job?.path ?? ""), { token: scene.adaToken, body: job?.body ?? {} })).status,
        200,
      );
      await scene.visit("PATCH", "/admin/users/ada", { limits: {}, runs_jobs: null });
    });

    it("are nobody's to grant to themselves", async () => {
      for (const [method, path] of [
        ["POST", "/me/keys"],
        ["PATCH", `/me/keys/${scene.adaKey.id}`],
      ] as const) {
        const { status } = await send(scene.gateway.url + path, {
          method,
          token: scene.adaToken,
          body: { name: "k", runs_jobs: true },
        });
        assert.equal(status, 400, path);
      }
    });

    it("charge what a job has used, once, when its owner sees that it is done", async () => {
      const key = await addKey({ limits: { "tokens/day": 1_000_000 }, runs_jobs: true });
      const [job] = jobs();
      const made = await send(scene.gateway.url + (job?.path ?? ""), { token: key.secret, body: job?.body ?? {} });
      const path = `${scene.gateway.url}/v1/batches/${(made.json as { id: string }).id}`;
      const poll = async () =>
        (await send(path, { token: key.secret })).json as { status: string; usage?: { total_tokens: number } };
      let batch = await poll();
      await until("the batch is done", async () => {
        batch = await poll();
        return batch.status === "completed";
      });
      await poll();
      const { json } = await send(`${scene.gateway.url}/me`, { token: key.secret });
      const quota = (json as { quotas: { scope: string; used: number }[] }).quotas.find(({ scope }) => scope === "key");
      assert.ok(batch.usage && batch.usage.total_tokens > 0);
      assert.equal(quota?.used, batch.usage.total_tokens);
    });
  });

  describe("that an administrator has limited", () => {
    it("are not for the key's owner to widen, nor to pass on by a rotation", async () => {
      const loosening = [
        { models: null },
        { models: ["*"] },
        { limits: {} },
        { class: null },
        { expires_at: null },
        { name: "other", limits: { "requests/day": 1_000 } },
      ];
      for (const limited of [
        { models: ["glm-4.5-flash"] },
        { limits: { "requests/day": 5 } },
        { expires_at: "2099-01-01T00:00:00Z" },
      ]) {
        const { id } = await addKey(limited);
        for (const body of loosening) {
          const sent = await scene.ask(`/me/keys/${id}`, { method: "PATCH", body });
          assert.equal(sent.status, 403, `${JSON.stringify(body)}: ${sent.text}`);
          assert.match(sent.text, /administrator/);
        }
        const named = await scene.ask(`/me/keys/${id}`, {
          method: "PATCH",
          body: { name: "other", keeps_content: true },
        });
        assert.equal(named.status, 200, named.text);
        const rotated = await scene.ask(`/me/keys/${id}/rotate`, { method: "POST", body: { overlap_seconds: 0 } });
        const { key } = rotated.json as { key: { id: string; is_locked: boolean } };
        assert.ok(key.is_locked);
        assert.equal((await scene.ask(`/me/keys/${key.id}`, { method: "PATCH", body: { limits: {} } })).status, 403);
        assert.equal(
          (await scene.visit("PATCH", `/admin/keys/${key.id}`, { models: null, limits: {}, expires_at: null })).status,
          200,
        );
        assert.equal(
          (await scene.ask(`/me/keys/${key.id}`, { method: "PATCH", body: { models: ["glm-*"] } })).status,
          200,
        );
        assert.equal((await scene.ask(`/me/keys/${key.id}`, { method: "DELETE" })).status, 200);
      }
    });

    it("stay the owner's where the owner has limited a key", async () => {
      const { id } = await addKey(
        { models: ["glm-4.5-flash"], limits: { "requests/day": 5 } },
        scene.adaToken,
        "/me/keys",
      );
      assert.equal(
        (await scene.ask(`/me/keys/${id}`, { method: "PATCH", body: { models: null, limits: {} } })).status,
        200,
      );
      await scene.visit("PATCH", `/admin/keys/${id}`, { name: "renamed" });
      assert.equal((await scene.ask(`/me/keys/${id}`, { method: "PATCH", body: { models: ["glm-*"] } })).status, 200);
      await scene.visit("PATCH", `/admin/keys/${id}`, { limits: { "requests/day": 1 } });
      assert.equal((await scene.ask(`/me/keys/${id}`, { method: "PATCH", body: { models: null } })).status, 403);
    });
  });
});
