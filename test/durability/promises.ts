// What an answer of the gateway promises, one row for each kind of thing that is stored: something is asked for, the process
// is killed as soon as the last byte of the answer is there, and the next process must keep the promise.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { chat, type Sent, send } from "../support/gateway.ts";
import type { Workspace } from "../support/process.ts";

export interface Scene {
  readonly url: string;
  readonly workspace: Workspace;
  /** Over the operator's socket. */
  backUp(file: string): Promise<number>;
  /** Of the administrator's session. */
  readonly root: string;
  /** Names are used once. */
  fresh(): string;
}

export interface Promised {
  /** As the table of docs/storage.md names it. */
  readonly row: string;
  readonly what: string;
  /** Asks several times at once; resolves, for each answer, with what the next process must keep. */
  ask(scene: Scene): Promise<Keep>;
}

/** Asked of the next process. */
type Keep = (scene: Scene) => Promise<void>;

const base = "/api/paas/v4";
const password = "correct horse battery staple";

async function ask({ url }: Scene, token: string | null, method: string, path: string, body?: object): Promise<Sent> {
  return send(url + path, { method, ...(token !== null && { token }), ...(body && { body }) });
}

async function must(scene: Scene, token: string | null, method: string, path: string, body?: object): Promise<unknown> {
  const { status, text, json } = await ask(scene, token, method, path, body);
  assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
  return json;
}

async function statusOf(scene: Scene, token: string | null, path: string): Promise<number> {
  return (await ask(scene, token, "GET", path)).status;
}

async function logIn(scene: Scene, username: string, secret = password): Promise<string> {
  return ((await must(scene, null, "POST", "/auth/login", { username, password: secret })) as { token: string }).token;
}

async function makeUser(scene: Scene, more: object = {}): Promise<string> {
  const name = scene.fresh();
  await must(scene, scene.root, "POST", "/admin/users", { name, password, ...more });
  return name;
}

async function makeKey(scene: Scene, owner: string): Promise<{ id: string; secret: string }> {
  const made = await must(scene, scene.root, "POST", "/admin/keys", { owner, name: "tool" });
  const { key, secret } = made as { key: { id: string }; secret: string };
  return { id: key.id, secret };
}

async function upload(scene: Scene, token: string, purpose = "batch"): Promise<string> {
  const body = Buffer.from(
    `--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n${purpose}\r\n` +
      `--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"custom_id":"1"}\n\r\n--b--\r\n`,
  );
  const headers = { "content-type": "multipart/form-data; boundary=b" };
  const { status, text, json } = await send(`${scene.url}${base}/files`, { method: "POST", token, body, headers });
  assert.equal(status, 200, text);
  return (json as { id: string }).id;
}

async function auditHas(scene: Scene, action: string, target: string): Promise<void> {
  const { data } = (await must(scene, scene.root, "GET", `/admin/audit?target=${target}`)) as {
    data: { action: string }[];
  };
  assert.ok(
    data.some((entry) => entry.action === action),
    `${action} of ${target} is in the audit`,
  );
}

const people = "a user, group or key that was made, changed or removed, its audit record";
const objects = "whose a file, task, batch, voice or the like is";

/** Rows of the table that other tests hold. */
export const heldElsewhere: Readonly<Record<string, string>> = {
  "that a call is about to be sent": "durability.test.ts",
  "that a call was sent": "kill-charges.test.ts",
  "how a call ended": "durability.test.ts",
  "prompts and answers that are kept": "test/contracts/ledger.contract.ts",
  "when a key was last used": "test/contracts/people.contract.ts",
  "which process a database belongs to, migrations": "src/store/migrations.test.ts",
  "records that PostgreSQL has not taken": "durability.test.ts",
  "sums of pruned days": "src/ledger/retention.test.ts",
  // Every trial begins with it: the first administrator's session outlives the first process.
  "the generated secret": "promise-trial.ts",
};

export const promises: readonly Promised[] = [
  {
    row: people,
    what: "a user that was made",
    async ask(scene) {
      const name = await makeUser(scene, { limits: { "requests/day": 7 } });
      return async (next) => {
        const me = await must(next, await logIn(next, name), "GET", "/me");
        assert.match(JSON.stringify(me), /"limit":7/);
        await auditHas(next, "user.create", name);
      };
    },
  },
  {
    row: people,
    what: "a password, a quota and a role that were changed",
    async ask(scene) {
      const name = await makeUser(scene);
      const changed = { password: `${password}!`, limits: { "tokens/total": 5 }, role: "admin" };
      await must(scene, scene.root, "PATCH", `/admin/users/${name}`, changed);
      return async (next) => {
        const old = await ask(next, null, "POST", "/auth/login", { username: name, password });
        assert.equal(old.status, 401);
        assert.equal(await statusOf(next, await logIn(next, name, `${password}!`), "/admin/users"), 200);
        const user = await must(next, next.root, "GET", `/admin/users/${name}`);
        assert.deepEqual((user as { limits: object }).limits, { "tokens/total": 5 });
        await auditHas(next, "user.change", name);
      };
    },
  },
  {
    row: people,
    what: "a user that was disabled, and one that was removed",
    async ask(scene) {
      const [disabled, removed] = [await makeUser(scene), await makeUser(scene)];
      const tokens = [await logIn(scene, disabled), await logIn(scene, removed)];
      await must(scene, scene.root, "DELETE", `/admin/users/${removed}`);
      await must(scene, scene.root, "PATCH", `/admin/users/${disabled}`, { is_enabled: false });
      return async (next) => {
        for (const token of tokens) assert.equal(await statusOf(next, token, "/me"), 401);
        assert.equal(await statusOf(next, next.root, `/admin/users/${removed}`), 404);
      };
    },
  },
  {
    row: people,
    what: "a group that was made, changed and removed, and who is in it",
    async ask(scene) {
      const [group, gone] = [scene.fresh(), scene.fresh()];
      for (const name of [group, gone]) await must(scene, scene.root, "POST", "/admin/groups", { name });
      await must(scene, scene.root, "DELETE", `/admin/groups/${gone}`);
      const member = await makeUser(scene, { group });
      await must(scene, scene.root, "PATCH", `/admin/groups/${group}`, { limits: { concurrency: 3 } });
      return async (next) => {
        const kept = (await must(next, next.root, "GET", `/admin/groups/${group}`)) as { limits: object };
        assert.deepEqual(kept.limits, { concurrency: 3 });
        assert.equal(await statusOf(next, next.root, `/admin/groups/${gone}`), 404);
        const user = await must(next, next.root, "GET", `/admin/users/${member}`);
        assert.equal((user as { group: string }).group, group);
      };
    },
  },
  {
    row: people,
    what: "a key that was made",
    async ask(scene) {
      const { secret } = await makeKey(scene, await makeUser(scene));
      return async (next) => assert.equal(await statusOf(next, secret, "/v1/models"), 200);
    },
  },
  {
    row: people,
    what: "a key that was rotated, and one that signs its tokens",
    async ask(scene) {
      const name = await makeUser(scene);
      const { id, secret } = await makeKey(scene, name);
      const signing = await must(scene, await logIn(scene, name), "POST", "/me/keys", {
        name: "old sdk",
        signs_tokens: true,
      });
      const rotated = await must(scene, scene.root, "POST", `/admin/keys/${id}/rotate`, { overlap_seconds: 0 });
      return async (next) => {
        assert.equal(await statusOf(next, secret, "/v1/models"), 401);
        assert.equal(await statusOf(next, (rotated as { secret: string }).secret, "/v1/models"), 200);
        assert.equal(await statusOf(next, (signing as { secret: string }).secret, "/v1/models"), 200);
      };
    },
  },
  {
    row: people,
    what: "a key that was revoked",
    async ask(scene) {
      const { id, secret } = await makeKey(scene, await makeUser(scene));
      await must(scene, scene.root, "DELETE", `/admin/keys/${id}`);
      return async (next) => assert.equal(await statusOf(next, secret, "/v1/models"), 401);
    },
  },
  {
    row: "a logout",
    what: "a session that was logged out",
    async ask(scene) {
      const name = await makeUser(scene);
      const [token, other] = [await logIn(scene, name), await logIn(scene, name)];
      await must(scene, token, "POST", "/auth/logout");
      return async (next) => {
        assert.equal(await statusOf(next, token, "/me"), 401);
        assert.equal(await statusOf(next, other, "/me"), 200);
      };
    },
  },
  {
    row: objects,
    what: "a file",
    async ask(scene) {
      const [owner, other] = [await makeUser(scene), await makeUser(scene)];
      const id = await upload(scene, await logIn(scene, owner));
      return async (next) => {
        assert.equal(await statusOf(next, await logIn(next, owner), `${base}/files/${id}`), 200);
        assert.equal(await statusOf(next, await logIn(next, other), `${base}/files/${id}`), 404);
      };
    },
  },
  {
    row: objects,
    what: "a task",
    async ask(scene) {
      const owner = await makeUser(scene);
      const made = await must(scene, await logIn(scene, owner), "POST", `${base}/async/chat/completions`, chat());
      const { id } = made as { id: string };
      return async (next) => {
        assert.equal(await statusOf(next, await logIn(next, owner), `${base}/async-result/${id}`), 200);
      };
    },
  },
  {
    row: objects,
    what: "a batch",
    async ask(scene) {
      const owner = await makeUser(scene);
      const token = await logIn(scene, owner);
      const file = await upload(scene, token);
      const made = await must(scene, token, "POST", `${base}/batches`, {
        input_file_id: file,
        endpoint: "/v4/chat/completions",
        completion_window: "24h",
      });
      const { id } = made as { id: string };
      return async (next) => {
        assert.equal(await statusOf(next, await logIn(next, owner), `${base}/batches/${id}`), 200);
      };
    },
  },
  {
    row: objects,
    what: "a voice",
    async ask(scene) {
      const owner = await makeUser(scene);
      const token = await logIn(scene, owner);
      const sound = await upload(scene, token, "voice-clone-input");
      const clone = { model: "glm-tts-clone", voice_name: "mine", input: "x", text: "x", file_id: sound };
      const { voice } = (await must(scene, token, "POST", `${base}/voice/clone`, clone)) as { voice: string };
      return async (next) => {
        await must(next, await logIn(next, owner), "POST", `${base}/voice/delete`, { voice });
      };
    },
  },
  {
    row: "that a file, voice or the like was deleted",
    what: "a file that was deleted",
    async ask(scene) {
      const owner = await makeUser(scene);
      const token = await logIn(scene, owner);
      const id = await upload(scene, token);
      await must(scene, token, "DELETE", `${base}/files/${id}`);
      return async (next) => {
        const { status, text } = await ask(next, await logIn(next, owner), "GET", `${base}/files/${id}`);
        assert.deepEqual([status, /"unknown_object"/.test(text)], [404, true], text);
      };
    },
  },
  {
    row: "a backup",
    what: "a copy of the database",
    async ask(scene) {
      const user = await makeUser(scene);
      const file = scene.workspace.path(`${scene.fresh()}.sqlite`);
      assert.equal(await scene.backUp(file), 201);
      return async () => {
        const copy = new DatabaseSync(file, { readOnly: true });
        const [check] = copy.prepare("pragma integrity_check").all();
        assert.deepEqual({ ...check }, { integrity_check: "ok" });
        assert.equal(copy.prepare("select name from users where name = ?").all(user).length, 1);
        copy.close();
      };
    },
  },
];
