// Files, tasks and the like live upstream, under one key, and belong to who made them: the seam between calls and what
// is remembered of such objects.

import type { Answer, WholeAnswer } from "./base/answer.ts";
import type { Caller } from "./base/principal.ts";
import { Refusal } from "./base/refusal.ts";
import type { UpstreamObjects } from "./objects/objects.ts";
import type { CallRequest, ObjectUse } from "./surfaces/endpoint.ts";

export interface ObjectGuard {
  /**
   * The upstream key that the call is bound to; null: any will do. Rejects with `unknown_object` when it names what is
   * not its caller's: whether it exists is nobody else's business. Rejects with `store_unavailable` when it would make
   * something whose owner could not be written down.
   */
  locate(caller: Caller, request: CallRequest): Promise<string | null>;
  /** Remembers what the answer made, durably before it resolves; forgets what it ended, and leaves out of lists what is not the caller's. */
  review(caller: Caller, request: CallRequest, upstreamKey: string, answer: Answer): Promise<Answer>;
}

/** Where an answer says what it has made, and what it lists. */
const idNames = ["id", "task_id", "async_id", "voice"] as const;
const listNames = ["data", "list", "voice_list"] as const;
interface Listed {
  readonly id?: unknown;
  readonly voice?: unknown;
  readonly voice_type?: unknown;
}

/** Tasks whose tokens have been counted: their result may be fetched often. */
const countedTasksMax = 10_000;

export function createObjectGuard(objects: UpstreamObjects): ObjectGuard {
  const countedTasks = new Set<string>();

  async function requireOwn(caller: Caller, id: string): Promise<string | null> {
    const object = await objects.find(id);
    const isAdmin = caller.role === "admin";
    if (object !== null && (isAdmin || object.owner === caller.userId)) return object.upstreamKey;
    // What was made elsewhere is an administrator's alone.
    if (object === null && isAdmin) return null;
    throw new Refusal("unknown_object", { detail: "there is no such object, or it is not yours" });
  }

  async function locate(caller: Caller, { object }: CallRequest): Promise<string | null> {
    if (object === null) return null;
    if (object.creates) objects.requireWritable();
    let home: string | null = null;
    for (const id of object.uses) home = (await requireOwn(caller, id)) ?? home;
    return home;
  }

  async function review(caller: Caller, request: CallRequest, upstreamKey: string, answer: Answer): Promise<Answer> {
    const { object, family } = request;
    if (object === null) return answer;
    if (object.deletes) for (const id of object.uses) await objects.forget(id);
    if (answer.kind !== "whole") return answer;
    if (object.creates) await noteCreated(caller, object, upstreamKey, answer);
    if (object.lists && caller.role !== "admin") return hideOthers(caller, answer);
    return family === "poll" && object.kind === "task" ? countOnce(object, answer) : answer;
  }

  async function noteCreated(
    caller: Caller,
    { kind }: ObjectUse,
    upstreamKey: string,
    { parsed }: WholeAnswer,
  ): Promise<void> {
    const { userId: owner, keyId } = caller;
    const answer = (parsed ?? {}) as Record<string, unknown>;
    // A file for a body of knowledge comes back as the documents that were made of it.
    const documents = Array.isArray(answer.successInfos) ? (answer.successInfos as { documentId?: unknown }[]) : [];
    const made: [id: unknown, kind: string][] = [
      ...idNames.map((name): [unknown, string] => [answer[name], kind]),
      ...documents.map((document): [unknown, string] => [document?.documentId, "document"]),
    ];
    await Promise.all(
      made.map(
        ([id, ofKind]) => typeof id === "string" && objects.note({ id, kind: ofKind, upstreamKey, owner, keyId }),
      ),
    );
  }

  async function hideOthers(caller: Caller, answer: WholeAnswer): Promise<WholeAnswer> {
    const parsed = (answer.parsed ?? {}) as Record<string, unknown>;
    const name = listNames.find((one) => Array.isArray(parsed[one]));
    if (name === undefined) throw new Refusal("upstream_unexpected", { detail: "it lists nothing" });
    const own = [];
    for (const item of parsed[name] as Listed[]) {
      const id = item?.id ?? item?.voice;
      const known = typeof id === "string" ? await objects.find(id) : null;
      // Voices that everybody has are nobody's.
      if (known?.owner === caller.userId || item?.voice_type === "OFFICIAL") own.push(item);
    }
    const shown = { ...parsed, [name]: own };
    return { ...answer, parsed: shown, body: Buffer.from(JSON.stringify(shown)) };
  }

  /** Only the first result that reports tokens is read for them. */
  function countOnce({ uses }: ObjectUse, answer: WholeAnswer): WholeAnswer {
    const [id = ""] = uses;
    if (countedTasks.has(id)) return { ...answer, parsed: null };
    if ((answer.parsed as { usage?: unknown } | null)?.usage) {
      if (countedTasks.size >= countedTasksMax) countedTasks.clear();
      countedTasks.add(id);
    }
    return answer;
  }

  return { locate, review };
}
