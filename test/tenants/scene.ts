// Two users and an administrator in front of the simulator, and one object of every kind that one of the users has made.

import assert from "node:assert/strict";
import { type AdminScene, openAdminScene } from "../support/admin-scene.ts";
import { type SendOptions, type Sent, send, until } from "../support/gateway.ts";

export const base = "/api/paas/v4";
export const boundary = "tenants";
export const formType = `multipart/form-data; boundary=${boundary}`;

export interface TenantScene extends Omit<AdminScene, "stop"> {
  /** Ids of what ada has made, by kind. */
  readonly ids: Readonly<Record<ObjectKind, string>>;
  ask(path: string, options?: SendOptions): Promise<Sent>;
  /** How many calls have come to the upstream. */
  upstreamCalls(): number;
  stop(): Promise<void>;
}

export const objectKinds = [
  "file",
  "output",
  "batch",
  "job",
  "task",
  "parsing",
  "voice",
  "knowledge",
  "document",
  "conversation",
  "agentTask",
] as const;
export type ObjectKind = (typeof objectKinds)[number];

export function toForm(fields: readonly (readonly [name: string, value: string])[], file: Buffer | null): Buffer {
  const open = `--${boundary}\r\nContent-Disposition: form-data; name=`;
  const texts = fields.map(([name, value]) => `${open}"${name}"\r\n\r\n${value}\r\n`).join("");
  if (file === null) return Buffer.from(`${texts}--${boundary}--\r\n`);
  const head = `${texts}${open}"file"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), file, Buffer.from(`\r\n--${boundary}--\r\n`)]);
}

export async function openTenantScene(): Promise<TenantScene> {
  const scene = await openAdminScene({}, { taskMs: 1 });
  const { gateway, adaToken } = scene;
  const ask = (path: string, options: SendOptions = {}) => send(gateway.url + path, { token: adaToken, ...options });

  async function make<Made = Record<string, string>>(path: string, body: object | Buffer): Promise<Made> {
    const headers = Buffer.isBuffer(body) ? { headers: { "content-type": formType } } : {};
    const { status, text, json } = await ask(path, { method: "POST", body, ...headers });
    assert.equal(status, 200, `${path}: ${text}`);
    return json as Made;
  }

  const line = { custom_id: "1", method: "POST", url: "/v4/chat/completions", body: chatOf("hello [frames=2]") };
  const { id: file = "" } = await make(
    `${base}/files`,
    toForm([["purpose", "batch"]], Buffer.from(`${JSON.stringify(line)}\n`)),
  );
  const { id: batch = "" } = await make(`${base}/batches`, { input_file_id: file, endpoint: "/v4/chat/completions" });
  const { id: job = "" } = await make(`${base}/fine_tuning/jobs`, { model: "glm-4.5", training_file: file });
  const { id: task = "" } = await make(`${base}/async/chat/completions`, chatOf("hello"));
  const { task_id: parsing = "" } = await make(`${base}/files/parser/create`, toForm([], Buffer.from("x")));
  const { voice = "" } = await make(`${base}/voice/clone`, { file_id: file, voice_name: "mine" });
  const { id: knowledge = "" } = await make(`${base}/knowledge`, { name: "mine", embedding_id: 3 });
  const documentForm = [
    ["purpose", "retrieval"],
    ["knowledge_id", knowledge],
  ] as const;
  const made = await make<{ successInfos: { documentId: string }[] }>(
    `${base}/files`,
    toForm(documentForm, Buffer.from("x")),
  );
  const messages = [{ role: "user", content: "hello [async]" }];
  const agent = await make("/api/v1/agents", { agent_id: "a", messages });

  let output = "";
  await until("the batch is done", async () => {
    const { json } = await ask(`${base}/batches/${batch}`);
    output = (json as { output_file_id: string | null }).output_file_id ?? "";
    return output !== "";
  });
  return {
    ...scene,
    ask,
    ids: {
      ...{ file, output, batch, job, task, parsing, voice, knowledge },
      document: made.successInfos[0]?.documentId ?? "",
      conversation: agent.conversation_id ?? "",
      agentTask: agent.async_id ?? "",
    },
    upstreamCalls: () => gateway.simulator.report().callCount,
    stop: () => scene.stop(),
  };
}

export function chatOf(content: string): Record<string, unknown> {
  return { model: "glm-4.5-flash", messages: [{ role: "user", content }], thinking: { type: "disabled" } };
}

export function codeOf({ json }: Sent): unknown {
  const { error } = (json ?? {}) as { error?: { code?: unknown } };
  return error?.code;
}
