// What the events of a stream say of the stream itself, in each API's own way: that it is whole, why it ended, what it
// took, that it failed. Looks only into events that may say so.

import type { Usage } from "./answer.ts";
import type { AnswerFormat } from "./answer-format.ts";
import { parseAnswerJson } from "./json-scan.ts";
import { parseUsage } from "./usage.ts";

/** What is known so far. */
export interface StreamFacts {
  /** The stream is over, whatever follows. */
  isDone: boolean;
  /** All of the answer was said. */
  isWhole: boolean;
  finishReason: string | null;
  usage: Usage | null;
  /** The upstream's error object, as parsed. */
  error: object | null;
  /** The stream ended in an orderly way and never gave a reason for its end. */
  isTruncated: boolean;
  /** An event was too long to be read: it may have held the reason. */
  hasUnread: boolean;
}

/** Of a stream that has not begun. */
export function createStreamFacts(): StreamFacts {
  return {
    isDone: false,
    isWhole: false,
    finishReason: null,
    usage: null,
    error: null,
    isTruncated: false,
    hasUnread: false,
  };
}

export interface EventReader {
  /** Takes one whole event's bytes. True: it only reports usage, beside the answer (`choices` is empty). */
  read(event: Buffer, facts: StreamFacts): boolean;
  /**
   * Where the next event may be that says something, in text of one character for each byte; `start` and `end` are those
   * of an event. From `end` on: this one says nothing.
   */
  findMatter(text: string, start: number, end: number): number;
}

const pingPattern = /^\s*\{\s*"type"\s*:\s*"ping"\s*\}\s*$/;
const errorNamePattern = /^event: ?error$/;

type Fields = Record<string, unknown>;

/** How one format's events are read: which of them to look into, and what their JSON says. */
interface Reading {
  findMatter: EventReader["findMatter"];
  read(fields: Fields, facts: StreamFacts): boolean;
}

const readings: Readonly<Record<AnswerFormat, () => Reading>> = {
  chat: () => ({ findMatter: findMatterInChat, read: readChat }),
  plain: () => ({ findMatter: findMatterInChat, read: readChat }),
  messages: () => ({ findMatter: findBesideDeltas("content_block_delta"), read: createMessagesRead() }),
  responses: () => ({ findMatter: findBesideDeltas(".delta"), read: readResponses }),
};

/** For one stream: what its events have said before may matter. */
export function createEventReader(format: AnswerFormat): EventReader {
  const { findMatter, read } = readings[format]();
  return {
    findMatter,
    read(event, facts) {
      if (findMatter(event.toString("latin1"), 0, event.length) >= event.length) return false;
      const data = readData(event);
      if (data === null) return false;
      if (data.startsWith("[DONE]")) {
        // A chat is complete when it has a finish reason, not when its stream ends in an orderly way.
        if (format === "chat" && !facts.isWhole && !facts.hasUnread) facts.isTruncated = true;
        else facts.isDone = true;
        return false;
      }
      const fields = parseFields(data);
      if (isNamedError(event)) facts.error = { error: fields?.error ?? fields ?? data };
      return fields !== null && facts.error === null && read(fields, facts);
    },
  };
}

function readChat(fields: Fields, facts: StreamFacts): boolean {
  const { error, choices, usage } = fields;
  if (isError(error) || (choices === undefined && isBareError(fields))) {
    facts.error = fields;
    return false;
  }
  const reported = parseUsage(usage);
  facts.usage = reported ?? facts.usage;
  if (!Array.isArray(choices)) return false;
  for (const choice of choices as { finish_reason?: unknown }[]) {
    const reason = choice?.finish_reason;
    // Some say "" as long as there is none.
    if (typeof reason !== "string" || reason === "") continue;
    facts.finishReason = reason;
    facts.isWhole = true;
  }
  return choices.length === 0 && reported !== null;
}

/**
 * What `message_start` says is no report as yet: GLM begins with zeros and tells the truth in `message_delta`. There,
 * counts that are not repeated stay as they were.
 */
function createMessagesRead(): Reading["read"] {
  let counts: Fields = {};
  return ({ type, error, message, delta, usage }, facts) => {
    if (type === "error" || isError(error)) facts.error = { type, error };
    else if (type === "message_start") counts = { ...toFields(toFields(message).usage) };
    else if (type === "message_delta") {
      const reason = toFields(delta).stop_reason;
      if (typeof reason === "string") facts.finishReason = reason;
      const news = Object.entries(toFields(usage)).filter(([, count]) => count !== null);
      if (news.length === 0) return false;
      counts = { ...counts, ...Object.fromEntries(news) };
      facts.usage = parseUsage(counts, "messages") ?? facts.usage;
    } else if (type === "message_stop") {
      facts.isDone = true;
      facts.isWhole = true;
    }
    return false;
  };
}

function readResponses({ type, response, error, code, message }: Fields, facts: StreamFacts): boolean {
  const { status, usage, error: failure } = toFields(response);
  if (type === "error" || type === "response.failed" || isError(error)) {
    // The event `error` has its words beside its type, not below `error`.
    facts.error = { error: failure ?? error ?? { code, message } };
  } else if (type === "response.completed" || type === "response.incomplete") {
    facts.isDone = true;
    facts.isWhole = true;
    facts.finishReason = typeof status === "string" ? status : null;
    facts.usage = parseUsage(usage, "responses");
  }
  return false;
}

function isError(value: unknown): boolean {
  return (typeof value === "object" && value !== null) || (typeof value === "string" && value !== "");
}

/** Errors without the member `error`, as vLLM, SGLang and FastAPI write them. */
function isBareError({ object, message, msg, detail }: Fields): boolean {
  return (
    object === "error" || [message, msg, detail].some((words) => typeof words === "string" || Array.isArray(words))
  );
}

function toFields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** Some say it by the event's name alone, with words of any shape. */
function isNamedError(event: Buffer): boolean {
  const name = readLines(event).findLast((line) => line === "event" || line.startsWith("event:"));
  return name !== undefined && errorNamePattern.test(name);
}

const tellingMembers = ['"finish_reason"', '"usage"', '"error"', '"message"', '"msg"', '"detail"'];

/** By what stands in it, wherever events end: spares most events their parsing. */
function findMatterInChat(text: string, start: number): number {
  let at = Math.min(find(text, "[DONE]", start), findErrorName(text, start));
  for (const member of tellingMembers) at = Math.min(at, findValue(text, member, start));
  return at;
}

function find(text: string, wanted: string, from: number): number {
  const at = text.indexOf(wanted, from);
  return at === -1 ? text.length : at;
}

function findErrorName(text: string, from: number): number {
  for (let at = text.indexOf("event:", from); at !== -1; at = text.indexOf("event:", at + 1)) {
    if (text.startsWith("error", text[at + 6] === " " ? at + 7 : at + 6)) return at;
  }
  return text.length;
}

/** Where the member has a value that is not null. */
function findValue(text: string, member: string, from: number): number {
  for (let at = text.indexOf(member, from); at !== -1; at = text.indexOf(member, at + 1)) {
    let valueAt = at + member.length;
    while (text[valueAt] === " " || text[valueAt] === ":") valueAt++;
    if (text[valueAt] !== "n") return at;
  }
  return text.length;
}

/** Most events are such; their name stands before all that the model says. */
function findBesideDeltas(ending: string): EventReader["findMatter"] {
  return (text, start, end) => {
    if (!text.startsWith("event:", start)) return start;
    const name = text.slice(start, Math.min(find(text, "\n", start), end)).trimEnd();
    // The last of several names counts.
    return name.endsWith(ending) && find(text, "event:", start + 1) >= end ? end : start;
  };
}

function parseFields(data: string): Fields | null {
  const parsed = parseAnswerJson(data);
  return typeof parsed === "object" && parsed !== null ? (parsed as Fields) : null;
}

/** Whether there is more in it than signs of life: comments, which readers of events never see, and Anthropic's pings. */
export function hasData(events: Buffer): boolean {
  return readDataLines(events).some((line) => !pingPattern.test(line));
}

/** Whether the last bytes of a stream, which no blank line ends, are an event all the same and not a piece of one. */
export function isWholeEvent(bytes: Buffer): boolean {
  const last = bytes.at(-1);
  if (last === 0x0a || last === 0x0d) return true;
  const data = readData(bytes);
  return data !== null && (data.startsWith("[DONE]") || parseAnswerJson(data) !== undefined);
}

/** The event's data lines, joined; null when it has none. */
function readData(event: Buffer): string | null {
  const lines = readDataLines(event);
  return lines.length === 0 ? null : lines.join("\n");
}

function readDataLines(event: Buffer): string[] {
  return readLines(event)
    .filter((line) => line === "data" || line.startsWith("data:"))
    .map((line) => line.slice(5).replace(/^ /, ""));
}

function readLines(event: Buffer): string[] {
  return event
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/);
}
