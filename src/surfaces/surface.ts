// A surface is one public dialect of the gateway: how a request is read, and how a refusal is said in it.

import type { Refusal } from "../base/refusal.ts";
import type { Language } from "../base/refusal-words.ts";

export interface Surface {
  /** Short and stable; a metric label. */
  readonly name: string;
  /** Throws `invalid_json` or `invalid_field`. */
  parseRequest(body: Buffer, aliases: ReadonlyMap<string, string>): CallRequest;
  /** The body of a refusal, JSON. */
  formatRefusal(refusal: Refusal, requestId: string, language: Language): string;
  /** The last event of a stream that broke. */
  formatStreamError(refusal: Refusal, requestId: string, language: Language): string;
}

/** What the later stages need to know of a call; the body goes upstream as it is. */
export interface CallRequest {
  /** Below the upstream's base URL. */
  readonly path: string;
  /** As the upstream knows it. */
  readonly model: string;
  readonly isStream: boolean;
  readonly body: Buffer;
}
