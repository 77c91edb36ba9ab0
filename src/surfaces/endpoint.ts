// An endpoint is one thing that clients can ask for: what its requests carry, and what the later stages need to know
// of them. It speaks one dialect, its surface.

import type { AnswerFormat } from "../base/answer-format.ts";
import type { InputSize } from "../base/input-size.ts";
import type { Translation, TranslationTarget } from "../base/translation.ts";
import type { AnswerKind, Upload, UpstreamApi } from "../base/upstream-call.ts";
import type { Surface } from "./surface.ts";

export interface Endpoint {
  /** Short and stable: a metric label, and what records call it. */
  readonly name: string;
  readonly surface: Surface;
  readonly family: Family;
  readonly takes: BodyKind;
  /** What its calls are counted as where no model is asked for: callers need the right to that name. Null: needs a model. */
  readonly ownName: string | null;
  /** Its calls make others upstream, which the gateway neither sees nor counts: callers with limits need a right for it. */
  readonly runsJobs: boolean;
  /** Throws `bad_request`, `invalid_json` or `invalid_field`. */
  parseRequest(incoming: Incoming, aliases: ReadonlyMap<string, string>): CallRequest;
}

/** json: nothing else · any: JSON, or a form with files that is passed on as it comes · nothing: no body */
export type BodyKind = "json" | "any" | "nothing";

/** A request as it came, its body read or about to be. */
export interface Incoming {
  /** Canonical, without the query. */
  readonly path: string;
  /** With its "?", or empty. */
  readonly query: string;
  /** The body, or as much of a large upload as was looked at. Empty where there is none. */
  readonly body: Buffer;
  /** The whole of a large upload, `body` included; null: `body` is all there is. */
  readonly upload: Upload | null;
  /** What of a form's texts something depends on, by name; null: it is no form. */
  readonly form: ReadonlyMap<string, string> | null;
  readonly contentType: string;
  /** One header's value; repeated ones joined with commas. Empty when it is not there. */
  header(name: string): string;
}

/** Calls of one family wait for the same lanes, unless those are configured to be shared. */
export const families = [
  "chat",
  "embeddings",
  "images",
  "videos",
  "audio",
  "search",
  "files",
  "agents",
  "poll",
] as const;
export type Family = (typeof families)[number];

/** What the later stages need to know of a call; the body goes upstream as it is. */
export interface CallRequest {
  readonly method: string;
  readonly api: UpstreamApi;
  /** Below the API's base URL, with its query. */
  readonly path: string;
  /** As the upstream knows it; where a call has none, a name for what it asks for. */
  readonly model: string;
  readonly family: Family;
  readonly isStream: boolean;
  /** What a model has to read of it; nothing where no model reads or writes text. */
  readonly input: InputSize;
  /** The most tokens that the answer may have, all choices together, or null when the client sets no bound. */
  readonly outputTokensMax: number | null;
  readonly body: Buffer;
  readonly upload: Upload | null;
  readonly contentType: string;
  /** What of the client's headers goes upstream: names and values in turn. */
  readonly headers: readonly string[];
  readonly answers: AnswerKind;
  /** Whether a model reads or writes text for it, so that it takes tokens although nobody may say how many. */
  readonly isText: boolean;
  /** Only GLM's own servers know such a call. */
  readonly isGlmOnly: boolean;
  /** It asks to be answered always the same. */
  readonly isDeterministic: boolean;
  readonly format: AnswerFormat;
  /** What it has to do with objects that live upstream; null: nothing. */
  readonly object: ObjectUse | null;
  /** For upstreams without its API: the call as a chat completion. Null: there is no such thing. */
  readonly translate: ((target: TranslationTarget) => Translation) | null;
  /** The same for another model; null: the call is bound to its own. */
  readonly forModel: ((model: string) => CallRequest) | null;
}

/** Files, tasks and the like stay where they were made, and belong to who made them. */
export interface ObjectUse {
  /** Such as "file". */
  readonly kind: string;
  /** Those that the call names. They must be its caller's. */
  readonly uses: readonly string[];
  /** The same for voices, which may also be names of the upstream's own. */
  readonly voices: readonly string[];
  /** The answer's `id` is a new one. */
  readonly creates: boolean;
  /** They end with the call. */
  readonly deletes: boolean;
  /** The answer lists them, of everybody. */
  readonly lists: ListWish | null;
  /** The answer is about everybody's: for administrators alone. */
  readonly isAboutAll: boolean;
}

export interface ListWish {
  /** Where the answer has the objects; "data" are lists in pages, as OpenAI has them. */
  readonly at: "data" | "list" | "voice_list" | "conversation_list";
  /** The most that are shown. */
  readonly limit: number;
  readonly isOldestFirst: boolean;
}

export const noObjectUse: Omit<ObjectUse, "kind"> = {
  uses: [],
  voices: [],
  creates: false,
  deletes: false,
  lists: null,
  isAboutAll: false,
};
