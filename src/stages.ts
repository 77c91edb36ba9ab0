// What a call goes through, as the gateway sees it: of each port what a call needs. Built in app.ts.

import type { Scheduler } from "./admission/scheduler.ts";
import type { Clock } from "./base/clock.ts";
import type { AnswerCache } from "./cache/answer-cache.ts";
import type { CallRegistry } from "./call-registry.ts";
import type { Identity } from "./identity/identity.ts";
import type { ContentCapture } from "./ledger/content-capture.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { Settle } from "./ledger/record.ts";
import type { ObjectGuard } from "./object-guard.ts";
import type { Quotas } from "./quota/quotas.ts";
import type { RelayBounds } from "./relay/relay.ts";
import type { CallRules } from "./rules.ts";
import type { Upstream } from "./upstream/upstream.ts";

export interface Stages {
  readonly calls: Pick<CallRegistry, "enter" | "requireOpen">;
  readonly identity: Pick<Identity, "identify">;
  readonly objects: ObjectGuard;
  readonly quotas: Pick<Quotas, "reserve">;
  readonly ledger: Pick<Ledger, "begin" | "markSent">;
  readonly capture: Pick<ContentCapture, "open">;
  readonly cache: Pick<AnswerCache, "open">;
  readonly scheduler: Pick<Scheduler, "admit" | "allowances">;
  readonly upstream: Pick<Upstream, "send">;
  readonly settle: Settle;
  readonly clock: Clock;
  /** How much of a user's answers may be unsent. */
  relayBounds(userId: string): RelayBounds;
  /** What the configuration says now. */
  rules(): CallRules;
}
