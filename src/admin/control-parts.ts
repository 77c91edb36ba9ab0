// What the control plane stands on, as app.ts and the command line hand it over. Everything is asked when it is needed,
// so that a reload of the configuration needs nothing here.

import type { SchedulerSnapshot } from "../admission/scheduler.ts";
import type { Clock } from "../base/clock.ts";
import type { LoginRecord } from "../http/login-route.ts";
import type { Identity } from "../identity/identity.ts";
import type { CallLog } from "../ledger/call-log.ts";
import type { Actor, UserView } from "../people/people.ts";
import type { PeopleService } from "../people/people-service.ts";
import type { Quotas } from "../quota/quotas.ts";
import type { LiveFeed } from "./live-feed.ts";

export interface ControlParts {
  readonly identity: Pick<Identity, "identify" | "logIn" | "refresh" | "logOut" | "readSession">;
  readonly people: Pick<
    PeopleService,
    | "listUsers"
    | "findUser"
    | "createUser"
    | "changeUser"
    | "removeUser"
    | "effectiveOf"
    | "listGroups"
    | "findGroup"
    | "createGroup"
    | "changeGroup"
    | "removeGroup"
    | "listKeys"
    | "findKey"
    | "createKey"
    | "changeKey"
    | "rotateKey"
    | "revokeKey"
    | "listAudit"
  >;
  /** Makes the first administrator: `complete` of people's setup. */
  setUp(
    token: string,
    account: { readonly username: string; readonly password: string },
    actor: Actor,
  ): Promise<UserView>;
  readonly quotas: Pick<Quotas, "look">;
  readonly callLog: CallLog;
  readonly live: LiveFeed;
  queue(): SchedulerSnapshot;
  /** The effective configuration, secrets masked already. */
  describeConfig(): readonly ConfigRow[];
  /** Of the price list. */
  currency(): string;
  /** When a day as 2026-11-23 begins where quotas are counted, in Unix milliseconds. */
  startOfDay(day: string): number;
  /** Into a file that does not exist yet: a path on this machine. Rejects with StoreError, or a Refusal. */
  backup(file: string, actor: Actor): Promise<void>;
  /** `before`: Unix milliseconds; null: as configured. */
  prune(before: number | null, actor: Actor): Promise<{ readonly calls: number; readonly contents: number }>;
  /** Told of each try to log in with a cookie. */
  onLogin(record: LoginRecord): void;
  /** Told of failures that are nobody's expected refusal; the client has heard `internal_error`. */
  onFailure(error: unknown, requestId: string): void;
  readonly clock: Clock;
  readonly version: string;
}

export interface ConfigRow {
  readonly name: string;
  readonly value: string;
  readonly origin: string;
}
