// One client request on its way through the stages, as the gateway sees it. Implemented by the HTTP side.

import type { Refusal } from "./base/refusal.ts";
import type { Outcome } from "./ledger/record.ts";
import type { Client } from "./relay/client.ts";
import type { Surface } from "./surfaces/surface.ts";

export interface Call {
  /** The request id that client, log and error share. */
  readonly id: string;
  readonly surface: Surface;
  /** What follows "Bearer " in Authorization, or null. */
  readonly bearer: string | null;
  /** How long the client says it waits for the whole call, or null. */
  readonly patienceMs: number | null;
  /** Fires with a Refusal as its reason: the client left, a deadline passed, the process ends. */
  readonly signal: AbortSignal;
  abort(refusal: Refusal): void;
  /** Reads the body once, within its bounds; the bytes count against the shared budget until the call ends. */
  readBody(): Promise<Buffer>;
  readonly client: Client;
  /** Says no: as a status while nothing was sent, as the stream's last event after that, not at all to who left. */
  refuse(refusal: Refusal): Promise<Exclude<Outcome, "served">>;
  /** Adds what the answer's headers tell of the queue. */
  noteQueue(waitedMs: number): void;
}
