// What all JSON requests have in common: valid, an object, not too deep, read in one way only where it matters, a model
// that may have another name upstream.

import { isAscii, isUtf8 } from "node:buffer";
import { requestBounds, scanJson, scanJsonText } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";
import { idFieldCharactersMin, isFoldedIdField, type NamedIds, readIds } from "./named-ids.ts";
import { foldName } from "./names.ts";

const modelCharactersMax = 256;

const plainName = /^"[\w .$@-]*"$/;
/** What rights and limits depend on at the top of a request. */
const guardedMembers: ReadonlyMap<string, string> = new Map(
  ["model", "stream", "messages", "tools", "max_tokens", "max_completion_tokens", "max_output_tokens", "n"].map(
    (name): [string, string] => [foldName(name), name],
  ),
);
/** The same as they nearly always stand there. */
const writtenMembers: ReadonlyMap<string, string> = new Map(
  Array.from(guardedMembers.values(), (name): [string, string] => [`"${name}"`, name]),
);

export interface JsonRequest {
  /**
   * What is said at the top. Texts below it may have one character for each byte of their UTF-8: who looks at what a
   * request is about need not wait for megabytes of conversation to be decoded.
   */
  readonly fields: Readonly<Record<string, unknown>>;
  /** All of it as it was meant. */
  readWhole(): Readonly<Record<string, unknown>>;
  /** The objects that it names, wherever it does. `moreFree`: members below which it names none. */
  readIds(moreFree?: readonly string[]): NamedIds;
  /** Puts the name in the place of the model's, and touches no other byte. */
  withModel(model: string): Buffer;
}

/** Throws `invalid_json`, and `invalid_field` for members that two readers may take for different ones. */
export function parseJsonRequest(body: Buffer): JsonRequest {
  const isPlain = isAscii(body);
  if (!isPlain && !isUtf8(body)) throw new Refusal("invalid_json", { detail: "it is not valid UTF-8" });
  const text = body.toString("latin1");
  const members = createMemberCheck(text);
  const { excess } = scanJsonText(text, null, requestBounds, members.onKey);
  if (excess !== null) throw new Refusal("invalid_json", { detail: excess });
  // Bytes beyond ASCII stand in strings alone: whether it is JSON, and of which structure, is the same.
  const skimmed = parseObject(text);
  members.requireClear();
  const readWhole = () => (isPlain ? skimmed : parseObject(body.toString("utf8")));
  return {
    fields: isPlain || !hasWideText(skimmed) ? skimmed : readWhole(),
    readWhole,
    readIds: (moreFree) => readIds(members.idCount === 0 ? skimmed : readWhole(), members.idCount, moreFree),
    withModel: (model) => replaceSpans(body, scanJson(body, "model").spans, JSON.stringify(model)),
  };
}

/** Looks at every member's name while the text is scanned; it is judged when it is known to be JSON. */
function createMemberCheck(text: string) {
  const seen = new Set<string>();
  let problem: Refusal | null = null;
  let idCount = 0;

  function onKey(start: number, end: number, depth: number): void {
    if (depth !== 1 && !mayBeIdField(text, start, end)) return;
    const written = text.slice(start, end);
    const guarded = (depth === 1 ? writtenMembers.get(written) : undefined) ?? readGuarded(written, depth);
    if (guarded === undefined) return;
    if (seen.has(guarded)) problem ??= invalid(guarded, "it comes more than once");
    seen.add(guarded);
  }

  function readGuarded(written: string, depth: number): string | undefined {
    const name = readName(written);
    const folded = foldName(name);
    if (isFoldedIdField(folded)) idCount++;
    const guarded = depth === 1 ? guardedMembers.get(folded) : undefined;
    if (guarded !== undefined && name !== guarded) problem ??= invalid(guarded, `it must be spelled "${guarded}"`);
    return guarded;
  }

  return {
    onKey,
    get idCount() {
      return idCount;
    },
    requireClear() {
      if (problem !== null) throw problem;
    },
  };
}

/** False for most names, at a glance: too short, or the last letter is of none of the fields', nor of an escape. */
function mayBeIdField(text: string, start: number, end: number): boolean {
  if (end - start < idFieldCharactersMin + 2) return false;
  const last = text.charCodeAt(end - 2) | 0x20;
  return last < 0x67 || last > 0x7a || last === 0x73;
}

/** As JSON has it: without escapes, and with the characters that the bytes stand for. */
function readName(written: string): string {
  if (plainName.test(written)) return written.slice(1, -1);
  try {
    return JSON.parse(Buffer.from(written, "latin1").toString("utf8")) as string;
  } catch {
    return written;
  }
}

function hasWideText(fields: Record<string, unknown>): boolean {
  return Object.values(fields).some((value) => typeof value === "string" && /[^\0-\x7f]/.test(value));
}

/** The model as the client calls it. Throws `invalid_field`. */
export function readModel({ model }: JsonRequest["fields"]): string {
  if (typeof model !== "string" || model === "") throw invalid("model", "it must be a model's name");
  if (model.length > modelCharactersMax) throw invalid("model", `it is longer than ${modelCharactersMax} characters`);
  return model;
}

/** Throws `invalid_field`. */
export function readIsStream({ stream }: JsonRequest["fields"]): boolean {
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    throw invalid("stream", "it must be true or false");
  }
  return stream === true;
}

/** Throws `invalid_field`. */
export function requireMessages({ messages }: JsonRequest["fields"]): void {
  if (!Array.isArray(messages) || messages.length === 0) throw invalid("messages", "it must be a list with a message");
}

/** A positive whole number, or null: the upstream judges what else is sent. */
export function toCount(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : null;
}

/**
 * The most that the answer may be billed for: an upstream may know either of several bounds, so that the largest counts,
 * for each of `n` choices. Null without a bound.
 */
export function toOutputTokensMax({ n }: JsonRequest["fields"], ...bounds: readonly unknown[]): number | null {
  const known = bounds.flatMap((bound) => toCount(bound) ?? []);
  return known.length === 0 ? null : Math.max(...known) * (toCount(n) ?? 1);
}

export function invalid(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}

function parseObject(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Refusal("invalid_json");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new Refusal("invalid_json", { detail: "it must be an object" });
  }
  return parsed as Record<string, unknown>;
}

/** A repeated key is replaced everywhere: which one counts is the upstream's choice. */
function replaceSpans(body: Buffer, spans: readonly (readonly [number, number])[], value: string): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const [start, end] of spans) {
    parts.push(body.subarray(from, start), Buffer.from(value));
    from = end;
  }
  parts.push(body.subarray(from));
  return Buffer.concat(parts);
}
