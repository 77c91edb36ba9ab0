// What all JSON requests have in common: valid, an object, not too deep, a model that may have another name upstream.

import { isAscii, isUtf8 } from "node:buffer";
import { scanJson, scanJsonText } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";

/** Deeper JSON is refused: nothing sensible nests so far, and not every parser upstream survives it. */
const jsonDepthMax = 64;
const modelCharactersMax = 256;

export interface JsonRequest {
  /**
   * What is said at the top. Texts below it may have one character for each byte of their UTF-8: who looks at what a
   * request is about need not wait for megabytes of conversation to be decoded.
   */
  readonly fields: Readonly<Record<string, unknown>>;
  /** All of it as it was meant. */
  readWhole(): Readonly<Record<string, unknown>>;
  /** Puts the name in the place of the model's, and touches no other byte. */
  withModel(model: string): Buffer;
}

/** Throws `invalid_json`. */
export function parseJsonRequest(body: Buffer): JsonRequest {
  const isPlain = isAscii(body);
  if (!isPlain && !isUtf8(body)) throw new Refusal("invalid_json", { detail: "it is not valid UTF-8" });
  const text = body.toString("latin1");
  const { depth } = scanJsonText(text, null);
  if (depth > jsonDepthMax)
    throw new Refusal("invalid_json", { detail: `it nests deeper than ${jsonDepthMax} levels` });
  // Bytes beyond ASCII stand in strings alone: whether it is JSON, and of which structure, is the same.
  const skimmed = parseObject(text);
  const readWhole = () => (isPlain ? skimmed : parseObject(body.toString("utf8")));
  return {
    fields: isPlain || !hasWideText(skimmed) ? skimmed : readWhole(),
    readWhole,
    withModel: (model) => replaceSpans(body, scanJson(body, "model").spans, JSON.stringify(model)),
  };
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
