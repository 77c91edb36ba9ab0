// What can be scripted to go wrong, by name, with the details that each fault takes. Names and types only: what a fault
// does to an answer is in fault-effects.ts.

/**
 * How GLM says an error. status: by the code's HTTP status · json: as JSON in a 200 · event: as the first event of a 200,
 * which leaves with the head · eventApart: the same, in a TCP segment of its own. An answer that is no stream has no
 * events: it says them as `json`.
 */
export const errorForms = ["status", "json", "event", "eventApart"] as const;

export interface FaultDetails {
  /** Frames that come before it; an answer that is one piece is broken in its middle. Default: 2. */
  readonly after: number;
  /** GLM's business code; the status follows from it unless given. */
  readonly code: string;
  /** Default: status. */
  readonly form: (typeof errorForms)[number];
  /** HTTP status. */
  readonly status: number;
  readonly message: string;
  readonly contentType: string;
  /** The header's value, in seconds. */
  readonly retryAfter: number;
  /** A finish_reason. */
  readonly reason: string;
  readonly location: string;
  /** Size of what is too large; for manyFrames their number. */
  readonly bytes: number;
  /** Pause between two bytes. */
  readonly ms: number;
  /** What stands in place of the usage object. */
  readonly raw: unknown;
}

/** Every fault and its details, all of them optional. */
export const faultDetails = {
  // Instead of an answer.
  /** An error body, such as code 1302, 1305 (status 429, 529 or 200), 1113, 1308, "401", 1210. */
  error: ["code", "form", "status", "message", "retryAfter", "contentType"],
  /** The socket closes before anything is sent. */
  refuse: [],
  /** RST before anything is sent. */
  resetBeforeHeaders: [],
  stallBeforeHeaders: [],
  /** An error that is sent before the request's body is read. */
  early400: [],
  /** A page of a content delivery network. */
  html: ["status"],
  redirect: ["location", "status"],
  /** A bare status without a body: 204, 206 … */
  status: ["status"],
  /** Repeats the credentials that came, in an error's words and in a header. */
  echoAuthorization: ["status"],

  // The head.
  wrongContentType: ["contentType"],
  hugeHeader: ["bytes"],
  manyHeaders: [],
  /** Cookies, redirects and policies, which must not reach a client. */
  foreignHeaders: [],
  /** Informational responses before the real one. */
  informational: [],
  longContentLength: [],
  /** The body is longer than the head says. */
  shortContentLength: [],

  // How the body breaks off.
  resetMidStream: ["after"],
  /** FIN without the last chunk. */
  cutMidStream: ["after"],
  /** FIN in the middle of a frame. */
  cutMidFrame: ["after"],
  /** The body ends properly, but what was said is not finished. */
  endEarly: ["after"],
  stallMidStream: ["after"],

  // How the body is cut into writes.
  /** Byte by byte, `ms` apart. */
  drip: ["ms"],
  /** One byte a write, without pauses: cuts characters and line ends. */
  slice: [],
  /** The whole body in one write. */
  burst: [],

  // What is in the body.
  crlf: [],
  /** Comment lines between the frames, as some servers send to keep a connection alive. */
  comments: [],
  malformedFrame: ["after"],
  /** A frame with everything empty and `choices` null, as was seen in the wild. */
  emptyFrame: ["after"],
  /** An error object among the frames, after 0 as the first; the stream ends there. */
  errorFrame: ["after", "code"],
  noDone: [],
  afterDone: [],
  doubleDone: [],
  /** Ends with another finish_reason: network_error, sensitive, model_context_window_exceeded … */
  finish: ["reason"],
  /** Ends well without having said or counted anything. */
  emptyAnswer: [],
  otherModel: [],
  usage: ["raw"],
  /** The frame with the first tool call comes twice. */
  duplicateToolFrame: [],
  hugeAnswer: ["bytes"],
  /** One frame with a line of that length. */
  hugeLine: ["bytes"],
  manyFrames: ["bytes"],

  // Codings that nobody asked for.
  gzip: [],
  br: [],
  gzipTwice: [],
  gzipBomb: ["bytes"],

  // After the answer.
  /** A second response that nobody asked for, on the then idle connection. */
  extraResponse: [],
} as const satisfies Record<string, readonly (keyof FaultDetails)[]>;

export type FaultName = keyof typeof faultDetails;

/** Which calls a fault waits for; what is absent may be anything. */
export interface FaultCondition {
  readonly model?: string;
  readonly isStream?: boolean;
  /** The id of the key that the call came with. */
  readonly keyId?: string;
  /** A part of its path. Calls that only ask (GET, DELETE) are struck by faults with a path alone. */
  readonly path?: string;
}

interface Scripted<Name extends FaultName> {
  readonly fault: Name;
  /** How many calls it applies to. Default: 1. */
  readonly times?: number;
  readonly when?: FaultCondition;
  /** Another one for the same call, applied after it: `{ fault: "crlf", and: { fault: "slice" } }`. */
  readonly and?: ScriptedFault;
}

export type FaultOf<Name extends FaultName> = Scripted<Name> &
  Partial<Pick<FaultDetails, (typeof faultDetails)[Name][number]>>;

/** One fault to come, told by its name: `{ fault: "cutMidStream", after: 3 }`. */
export type ScriptedFault = { [Name in FaultName]: FaultOf<Name> }[FaultName];
