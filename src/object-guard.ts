// Files, tasks and the like live upstream, under one key, and belong to their creators: the seam between calls and what is
// remembered of such objects.

import type { Answer, StreamedAnswer, WholeAnswer } from "./base/answer.ts";
import type { Caller } from "./base/principal.ts";
import { Refusal, toRefusal } from "./base/refusal.ts";
import { composeList, cutList, findList, idOf, type Listed } from "./object-list.ts";
import type { UpstreamObject, UpstreamObjects } from "./objects/objects.ts";
import type { CallRequest, ObjectUse } from "./surfaces/endpoint.ts";
import { systemVoicePattern } from "./surfaces/named-ids.ts";

export interface ObjectGuard {
  /**
   * The upstream key that the call is bound to; null: any will do. Rejects with `unknown_object` when it names what is
   * not its caller's, whether it exists or not, with `forbidden` when it is about everybody's, and with
   * `store_unavailable` when it would make something whose owner could not be written down.
   */
  locate(caller: Caller, request: CallRequest): Promise<string | null>;
  /** Remembers what the answer names, durably before its end is told; forgets what it ended, and leaves out of lists what is not the caller's. */
  review(caller: Caller, request: CallRequest, upstreamKey: string, answer: Answer): Promise<Answer>;
}

/** Where an answer names the object that it is about, and others that were made for it. */
const answeredIds: readonly (readonly [name: string, kind: string])[] = [
  ["task_id", "task"],
  ["async_id", "task"],
  ["voice", "voice"],
  ["conversation_id", "conversation"],
  ["file_id", "file"],
  ["output_file_id", "file"],
  ["error_file_id", "file"],
  ["result_files", "file"],
];

/** Who made something, and where. */
type Maker = Pick<UpstreamObject, "owner" | "keyId" | "upstreamKey">;

/** Tasks whose tokens have been counted: their result may be fetched often. */
const countedTasksMax = 10_000;
/** Of a stream, its beginning says what it makes. */
const streamBytesMax = 64 * 1024;

/** `accountOf`: the account of an upstream key. What has the same id on another one is another object. */
export function createObjectGuard(
  objects: UpstreamObjects,
  accountOf: (upstreamKey: string) => string = (key) => key,
): ObjectGuard {
  const countedTasks = new Set<string>();

  async function requireOwn(caller: Caller, id: string): Promise<string | null> {
    const object = await objects.find(id);
    const isAdmin = caller.role === "admin";
    if (object !== null && (isAdmin || isOwn(caller, object))) return object.upstreamKey;
    // What was made elsewhere is an administrator's alone.
    if (object === null && isAdmin) return null;
    throw new Refusal("unknown_object", { detail: "there is no such object, or it is not yours" });
  }

  async function locate(caller: Caller, { object }: CallRequest): Promise<string | null> {
    if (object === null) return null;
    if (object.creates) objects.requireWritable();
    if (object.isAboutAll && caller.role !== "admin") {
      throw new Refusal("forbidden", { detail: "it is about the objects of all users: ask an administrator" });
    }
    let home: string | null = null;
    const bind = (key: string | null): void => {
      if (key === null) return;
      if (home !== null && accountOf(home) !== accountOf(key)) {
        throw new Refusal("unknown_object", { detail: "its objects are not all on the same account" });
      }
      home = key;
    };
    for (const id of object.uses) bind(await requireOwn(caller, id));
    for (const voice of object.voices) {
      const isEverybodys = systemVoicePattern.test(voice) && (await objects.find(voice)) === null;
      if (!isEverybodys) bind(await requireOwn(caller, voice));
    }
    if (object.lists === null || home !== null) return home;
    // Of several accounts, the one where the caller made something last.
    const [newest] = await listRecorded(caller, object.kind);
    return newest?.upstreamKey ?? null;
  }

  async function listRecorded(caller: Caller, kind: string): Promise<readonly UpstreamObject[]> {
    return (await objects.listOwn(caller.userId, kind)).filter((object) => isOwn(caller, object));
  }

  async function review(caller: Caller, request: CallRequest, upstreamKey: string, answer: Answer): Promise<Answer> {
    const { object, family } = request;
    if (object === null) return answer;
    if (object.deletes) for (const id of object.uses) await objects.forget(id);
    if (object.lists !== null && caller.role !== "admin") return listOwn(caller, object, upstreamKey, answer);
    if (object.lists !== null) return answer.kind === "whole" ? cutList(answer, object.lists) : answer;
    const maker = object.deletes ? null : await findMaker(caller, object, upstreamKey);
    if (answer.kind === "stream") return maker === null ? answer : noteFromStream(answer, object, maker);
    if (maker !== null) await noteAnswered(answer.parsed, object, maker);
    return family === "poll" ? countOnce(object, answer) : answer;
  }

  /** Whose are the objects that the answer names? Null: nobody knows. */
  async function findMaker({ userId, keyId }: Caller, object: ObjectUse, upstreamKey: string): Promise<Maker | null> {
    if (object.creates) return { owner: userId, keyId, upstreamKey };
    const [id] = object.uses;
    return id === undefined ? null : objects.find(id);
  }

  async function noteAnswered(parsed: unknown, { creates, kind }: ObjectUse, maker: Maker): Promise<void> {
    const answer = (parsed ?? {}) as Record<string, unknown>;
    // A file for a body of knowledge comes back as the documents that were made of it.
    const documents = Array.isArray(answer.successInfos) ? (answer.successInfos as { documentId?: unknown }[]) : [];
    const named: (readonly [id: unknown, kind: string])[] = [
      [creates ? answer.id : null, kind],
      ...answeredIds.flatMap(([name, ofKind]) => [answer[name]].flat().map((id) => [id, ofKind] as const)),
      ...documents.map((document) => [document?.documentId, "document"] as const),
    ];
    await Promise.all(named.map(([id, ofKind]) => note(id, ofKind, maker, creates)));
  }

  /** `mayBeNew`: the upstream may just have made it, so that it is noted also while nothing can be looked up. */
  async function note(id: unknown, kind: string, maker: Maker, mayBeNew: boolean): Promise<void> {
    if (typeof id !== "string") return;
    const { owner, keyId, upstreamKey } = maker;
    const known = await objects.find(id).catch(() => undefined);
    if (known === null || (known === undefined && mayBeNew))
      await objects.note({ id, kind, owner, keyId, upstreamKey });
  }

  /** Holds the bytes that name something back until it is noted, and those behind them. */
  function noteFromStream(answer: StreamedAnswer, object: ObjectUse, maker: Maker): StreamedAnswer {
    if (!answer.isEvents) return answer;
    let beginning: string | null = "";
    const readNamed = (chunk: Buffer): unknown[] => {
      if (beginning === null) return [];
      beginning += chunk.toString("latin1");
      const end = beginning.lastIndexOf("\n") + 1;
      const lines = beginning.slice(0, end).split("\n");
      beginning = beginning.length > streamBytesMax ? null : beginning.slice(end);
      return lines.filter((line) => line.startsWith("data:")).map((line) => parse(line.slice(5)));
    };
    return {
      ...answer,
      consume(sink) {
        let held: Promise<void> | null = null;
        let isBroken = false;
        const pass = (run: () => void): void => {
          if (held === null) run();
          else held = held.then(() => (isBroken ? undefined : run()));
        };
        const holdUntil = (noted: Promise<unknown>): void => {
          const outcome = noted.then(
            () => {},
            (error: unknown) => {
              if (!isBroken) sink.onError(toRefusal(error));
              isBroken = true;
            },
          );
          held = (held ?? Promise.resolve()).then(() => outcome);
        };
        answer.consume({
          onData(chunk) {
            const named = readNamed(chunk);
            if (named.length > 0) holdUntil(Promise.all(named.map((event) => noteAnswered(event, object, maker))));
            pass(() => sink.onData(chunk));
          },
          onEnd: () => pass(() => sink.onEnd()),
          onError: (refusal) => pass(() => sink.onError(refusal)),
        });
      },
    };
  }

  async function listOwn(
    caller: Caller,
    { kind, lists: wish }: ObjectUse,
    upstreamKey: string,
    answer: Answer,
  ): Promise<WholeAnswer> {
    if (answer.kind !== "whole" || wish === null) throw new Refusal("upstream_unexpected", { detail: "it is no list" });
    const found = findList(answer.parsed, wish.at);
    const own: Listed[] = [];
    for (const item of found.items) {
      const id = idOf(item);
      const known = id === null ? null : await objects.find(id);
      const isHere = known === null || accountOf(known.upstreamKey) === accountOf(upstreamKey);
      if (known !== null && isHere && isOwn(caller, known)) own.push(await cleanItem(caller, item, known));
      // Voices that everybody has are nobody's.
      else if (known === null && kind === "voice" && item.voice_type === "OFFICIAL") own.push(item);
    }
    const recorded = wish.at === "data" ? await listRecorded(caller, kind) : [];
    const shown = composeList(found, own, wish, recorded);
    return { ...answer, parsed: shown, body: Buffer.from(JSON.stringify(shown)) };
  }

  /** Notes what an own item names, and takes out of it what is another's. */
  async function cleanItem(caller: Caller, item: Listed, maker: UpstreamObject): Promise<Listed> {
    const cleaned: Record<string, unknown> = { ...item };
    for (const [name, kind] of answeredIds) {
      const value = item[name];
      for (const id of [value].flat()) {
        await note(id, kind, maker, false);
        const named = typeof id === "string" ? await objects.find(id) : null;
        if (typeof id !== "string" || (named !== null && isOwn(caller, named))) continue;
        cleaned[name] = Array.isArray(cleaned[name]) ? cleaned[name].filter((one) => one !== id) : null;
      }
    }
    return cleaned;
  }

  /** Only the first result that reports tokens is read for them. */
  function countOnce({ uses }: ObjectUse, answer: WholeAnswer): WholeAnswer {
    const [id] = uses;
    if (id === undefined) return answer;
    if (countedTasks.has(id)) return { ...answer, parsed: null };
    if ((answer.parsed as { usage?: unknown } | null)?.usage) {
      if (countedTasks.size >= countedTasksMax) countedTasks.clear();
      countedTasks.add(id);
    }
    return answer;
  }

  return { locate, review };
}

/** A name may have been another's before. */
function isOwn({ userId, knownSince }: Caller, { owner, createdAt }: UpstreamObject): boolean {
  return owner === userId && createdAt >= knownSince;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
