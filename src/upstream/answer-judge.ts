// Tells a good answer from one that says no and from one that makes no sense, and puts the latter two into refusals
// in which the upstream's key can't show. Reads; decides nothing about connections.

import type { Clock } from "../base/clock.ts";
import { parseAnswerJson } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";
import type { AnswerKind } from "../base/upstream-call.ts";
import type { Verdict } from "../base/verdict.ts";
import { createKeyGuard, type KeySearch } from "./key-guard.ts";
import { judgeError, readErrorBody, readRetryAfter } from "./verdict.ts";

/** What is looked at of an answer's head. */
export interface Head {
  readonly status: number;
  readonly contentType: string;
  /** "identity" when the body is as it is. */
  readonly contentCoding: string;
  readonly upstreamRequestId: string | null;
  readonly retryAfter: string | null;
  readonly retryAfterMs: string | null;
  /** What describes the bytes of an answer that is neither JSON nor events. */
  readonly described: Readonly<Record<string, string>>;
}

/** What is awaited: a whole JSON answer, events, or whatever comes. */
interface Awaited {
  readonly isStream: boolean;
  readonly answers: AnswerKind;
}

export interface AnswerJudge {
  readHead(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): Head;
  /** The body as JSON, or undefined. */
  parse(head: Head, body: Buffer): unknown;
  /** Whether a whole body is the answer that was asked for. */
  isGood(head: Head, parsed: unknown, awaited: Awaited): boolean;
  /** Whether it says that something failed, whatever its status. */
  isError(parsed: unknown): boolean;
  /** Looks for the upstream's key in what is passed on. */
  openKeySearch(): KeySearch;
  /** In words, why a body that is no error is no answer either. */
  explain(head: Head, awaited: Awaited): string;
  /** What is not good: by the error in it, else `upstream_unexpected` with the given words and no verdict. */
  judge(head: Head, parsed: unknown, otherwise: string): { refusal: Refusal; verdict: Verdict | null };
}

/** Bodies of another type are still looked into for an error up to this size. */
const errorBytesMax = 64 * 1024;
const idPattern = /^[\x21-\x7e]{1,128}$/;
export const jsonPattern = /^application\/(?:[\w.+-]+\+)?json\b/i;
const describingHeaders = ["content-length", "content-disposition"] as const;
const headerPattern = /^[\x20-\x7e]{1,500}$/;

/** Whether an answer of this status can be the one that was asked for. */
export function isGoodStatus(head: Pick<Head, "status"> | null): boolean {
  return head !== null && (head.status === 200 || head.status === 201 || head.status === 202);
}

function describe(read: (name: string) => string | null, coding: string): Head["described"] {
  const described: Record<string, string> = {};
  for (const name of describingHeaders) {
    const value = read(name);
    // Once decoded, its length is another.
    if (value === null || !headerPattern.test(value) || (name === "content-length" && coding !== "identity")) continue;
    described[name] = value;
  }
  return described;
}

export function createAnswerJudge(apiKey: string, clock: Clock): AnswerJudge {
  const { mask, openSearch } = createKeyGuard(apiKey);
  const readError = (parsed: unknown) => readErrorBody(parsed, mask);

  return {
    readHead(status, headers) {
      const read = (name: string) => {
        const value = headers[name];
        const text = typeof value === "string" ? value : (value?.join(", ") ?? null);
        return text && mask(text);
      };
      const id = read("x-request-id") ?? read("x-log-id");
      const coding = read("content-encoding")?.trim().toLowerCase() || "identity";
      return {
        status,
        contentType: read("content-type") ?? "",
        contentCoding: coding,
        upstreamRequestId: id !== null && idPattern.test(id) ? id : null,
        retryAfter: read("retry-after"),
        retryAfterMs: read("retry-after-ms"),
        described: describe(read, coding),
      };
    },
    parse({ contentType }, body) {
      if (!jsonPattern.test(contentType) && body.length > errorBytesMax) return undefined;
      return parseAnswerJson(body.toString("utf8"));
    },
    isGood(head, parsed, { isStream, answers }) {
      const isJson = jsonPattern.test(head.contentType) && parsed !== undefined;
      const isAwaited = answers !== "json" || (isJson && !isStream);
      return isGoodStatus(head) && isAwaited && readError(parsed) === null;
    },
    isError: (parsed) => readError(parsed) !== null,
    openKeySearch: openSearch,
    explain({ status, contentType }, { isStream }) {
      if (status !== 200) return `its status is ${status}`;
      // Of JSON's type, and yet not parsed.
      if (!isStream && jsonPattern.test(contentType)) return "it is no JSON, or more of it than can be looked into";
      return `it is no ${isStream ? "event stream" : "JSON"} but "${contentType.slice(0, 100)}"`;
    },
    judge({ status, retryAfter, retryAfterMs }, parsed, otherwise) {
      const error = readErrorBody(parsed, mask, true);
      if (status < 400 && error === null) {
        const detail = otherwise.replace(/[^\x20-\x7e]/g, "?");
        // Nothing was served: neither the limit of tokens nor the caller's quota is charged for it.
        const verdict = { kind: "rejected", code: null, waitMs: null } as const;
        return { refusal: new Refusal("upstream_unexpected", { detail }), verdict };
      }
      const wallNow = clock.wallNow();
      const wait = readRetryAfter(retryAfter, retryAfterMs, wallNow);
      const { code = null, message = "" } = error ?? {};
      return judgeError({ status, code, message, retryAfterMs: wait }, wallNow);
    },
  };
}
