// What the gateway keeps: people, quotas and the ledger, over one store. Opened by the server, and by the command line
// when no server runs; the only file beside app.ts that chooses implementations.

import { toLongestWindowMs } from "./admission/past-calls.ts";
import type { Clock } from "./base/clock.ts";
import { createTokenRatios, type TokenRatios } from "./base/token-ratios.ts";
import type { Settings } from "./config/settings.ts";
import { createSigningKeys, type SigningKeys } from "./identity/signing-keys.ts";
import { createCalendar } from "./ledger/calendar-day.ts";
import type { CallLog } from "./ledger/call-log.ts";
import { createToCharge } from "./ledger/charge-call.ts";
import { sumChargesSince } from "./ledger/charge-sums.ts";
import { type ContentCapture, createContentCapture } from "./ledger/content-capture.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { openLedger } from "./ledger/open-ledger.ts";
import type { Pruned } from "./ledger/prune.ts";
import type { CallRecord } from "./ledger/record.ts";
import { createRetention } from "./ledger/retention.ts";
import { readSendHistory, type SendHistory, type SendHistoryOptions } from "./ledger/send-history.ts";
import { createCallLog } from "./ledger/stored-call-log.ts";
import type { UpstreamObjects } from "./objects/objects.ts";
import { createStoredObjects } from "./objects/stored-objects.ts";
import type { Logger } from "./observe/log.ts";
import type { AuditNote } from "./people/audit-notes.ts";
import type { Actor } from "./people/people.ts";
import { createPeople, type PeopleService } from "./people/people-service.ts";
import { toAuditRow } from "./people/rows.ts";
import { createPrices } from "./quota/prices.ts";
import { createQuotas, type ScopeName } from "./quota/quota-book.ts";
import type { Quotas } from "./quota/quotas.ts";
import { openStore } from "./store/open-store.ts";
import type { Store } from "./store/store.ts";

export interface Books {
  readonly store: Store;
  readonly people: PeopleService;
  readonly quotas: Quotas;
  readonly ledger: Ledger;
  /** What this gateway had sent before it was opened. */
  readonly sendHistory: SendHistory;
  readonly callLog: CallLog;
  readonly capture: ContentCapture;
  /** Tokens by bytes, as the upstreams have counted them. */
  readonly ratios: TokenRatios;
  readonly objects: UpstreamObjects;
  readonly signingKeys: SigningKeys;
  currency(): string;
  /** How far the quotas' counters are from the records; null while something is on its way. Rejects with StoreError. */
  findQuotaDrift(): Promise<number | null>;
  /** When a day as 2026-11-23 begins where quotas are counted, in Unix milliseconds. */
  startOfDay(day: string): number;
  /** Into a file that does not exist yet; audited. Rejects with StoreError. */
  backup(file: string, actor: Actor): Promise<void>;
  /** Calls that arrived before that become sums, audited; null: as configured. Rejects with StoreError. */
  prune(before: number | null, actor: Actor): Promise<Pruned>;
  /** Charges a call that has ended, frees what was reserved for it, and writes its record. */
  settle(record: CallRecord): void;
  apply(settings: Settings): void;
  /** Writes what waits and closes the store. */
  close(): Promise<void>;
}

export type BooksLog = Pick<Logger, "info" | "warn" | "error">;

/** What waits to be written at the end has so long. */
const closeMsMax = 5_000;
/** How often what is gone is forgotten. */
const sweepMs = 60_000;

/** Rejects with StoreError. `hashPassword`: of people whose password is set. */
export async function openBooks(
  initial: Settings,
  clock: Clock,
  log: BooksLog,
  hashPassword?: (password: string) => Promise<string>,
): Promise<Books> {
  const store = await openStore(initial.store, {
    mayMigrate: true,
    onIdleError: (error) => log.warn({ err: error }, "a connection to the database broke"),
  });
  try {
    return await fillBooks(store, initial, clock, log, hashPassword);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function fillBooks(
  store: Store,
  initial: Settings,
  clock: Clock,
  log: BooksLog,
  hashPassword: ((password: string) => Promise<string>) | undefined,
): Promise<Books> {
  let settings = initial;
  const signingKeys = createSigningKeys(settings.auth.jwtSecret);
  let prices = createPrices(settings.prices);
  const ratios = createTokenRatios();
  const toCharge = createToCharge((model, tokens) => prices.costMicros(model, tokens), ratios);
  const capture = createContentCapture(() => settings.ledger.storesContent, clock);
  const { isStrict, spoolBytesMax } = settings.ledger;
  const { ledger, instance, unknownCount } = await openLedger({
    store,
    dataFolder: settings.dataFolder,
    isStrict,
    spoolBytesMax,
    clock,
    contentOf: capture.take,
    onAlarm: ({ what, text, error, id }) => {
      const level = what === "recovered" || what === "delivered" ? "info" : "error";
      log[level]({ what, err: error, record: id }, `ledger: ${text}`);
    },
  });
  const sendHistory = await readSendHistory({ store, instance, clock, ...toHistoryBounds(settings) });
  const people = await createPeople({
    store,
    staticUsers: settings.auth.users,
    signingKeys,
    clock,
    onStoreFailure: (error) => log.error({ err: error }, "the database can't be used: people stay as they are known"),
    ...(hashPassword && { hashPassword }),
    beforeNaming: (scope) => restoreQuotas(scope),
  });
  const objects = createStoredObjects({
    store,
    clock,
    onFailure: (error) => log.warn({ err: error }, "files and tasks that calls make can't be written down for now"),
  });
  const { timeZone } = settings.quotas;
  const calendar = createCalendar(timeZone);
  const quotas = createQuotas({
    clock,
    days: calendar,
    timeZone,
    assumedOutputTokens: () => settings.quotas.assumedOutputTokens,
    prices: () => prices,
    ratios,
    mayCall: people.mayCall,
  });
  let cancelSweep = clock.after(sweepMs, sweep);
  function sweep(): void {
    quotas.sweep();
    cancelSweep = clock.after(sweepMs, sweep);
  }
  for (const [window, startsAt] of quotas.listStarts()) {
    quotas.restore(window, await sumChargesSince(store, startsAt, timeZone));
  }
  for (const { username, group } of settings.auth.users) {
    if (group === undefined || people.findGroup(group)) continue;
    log.warn({ user: username, group }, "auth.users names a group that does not exist: no group's limits apply");
  }
  if (unknownCount > 0) {
    log.warn(
      { calls: unknownCount },
      "the process before ended in the middle of calls: those that were sent are charged by estimate",
    );
  }
  const retention = createRetention({
    store,
    clock,
    timeZone,
    days: () => ({ calls: settings.ledger.retentionDays, contents: settings.ledger.contentRetentionDays }),
    onPruned: ({ calls, contents }) => log.info({ calls, contents }, "old records are sums now"),
    onFailure: (error) => log.error({ err: error }, "old records could not be pruned"),
  });

  /** What a user or group of this name took before: nothing of those that are gone is kept in memory. */
  async function restoreQuotas(scope: ScopeName): Promise<void> {
    if (quotas.counts(scope)) return;
    const sums = await Promise.all(
      quotas
        .listStarts()
        .map(async ([window, startsAt]) => [window, await sumChargesSince(store, startsAt, timeZone, scope)] as const),
    );
    if (!quotas.counts(scope)) for (const [window, sum] of sums) quotas.restore(window, sum, scope);
  }

  /** Who is not among them any more is out at once, and who is new in when it is known what that name took before. */
  function replaceStatic(users: Settings["auth"]["users"]): void {
    const isKnown = ({ username: id }: { readonly username: string }) => people.mayCall({ kind: "user", id });
    const added = users.filter((user) => !isKnown(user));
    people.replaceStatic(users.filter(isKnown));
    if (added.length === 0) return;
    Promise.all(added.map(({ username: id }) => restoreQuotas({ kind: "user", id })))
      .catch((error: unknown) => log.error({ err: error }, "what new users took before can't be read: they begin at 0"))
      .then(() => {
        if (settings.auth.users === users) people.replaceStatic(users);
      });
  }

  let settledCount = 0;

  async function noteAudit(note: Omit<AuditNote, "before">, actor: Actor): Promise<void> {
    const row = toAuditRow({ ...note, before: null }, actor, Math.round(clock.wallNow()));
    await store.db.insertInto("audit").values(row).execute();
  }

  return {
    store,
    people,
    quotas,
    ledger,
    sendHistory,
    callLog: createCallLog(store, timeZone),
    capture,
    ratios,
    objects,
    signingKeys,
    currency: () => prices.currency,
    async findQuotaDrift() {
      const isIdle = () => quotas.pendingCount === 0 && ledger.gauges().waiting === 0 && ledger.gauges().spooled === 0;
      let largest = 0;
      for (const [window, startsAt] of quotas.listStarts()) {
        if (window !== "day" && window !== "total") continue;
        const settledBefore = settledCount;
        if (!isIdle()) return null;
        const sums = await sumChargesSince(store, startsAt, timeZone);
        if (!isIdle() || settledBefore !== settledCount) return null;
        largest = Math.max(largest, quotas.findDrift(window, sums));
      }
      return largest;
    },
    startOfDay: (day) => calendar.startOf(day),
    async backup(file, actor) {
      await store.backup(file);
      await noteAudit({ action: "store.backup", target: file, after: null }, actor);
    },
    async prune(before, actor) {
      const pruned = await retention.prune(before);
      const target = before === null ? "as configured" : new Date(before).toISOString();
      await noteAudit({ action: "store.prune", target, after: { ...pruned } }, actor);
      return pruned;
    },
    settle(record) {
      settledCount++;
      record.charge = toCharge(record);
      learnTokens(ratios, record);
      record.reservation?.settle(record.charge);
      ledger.settle(record);
    },
    apply(changed) {
      settings = changed;
      prices = createPrices(changed.prices);
      replaceStatic(changed.auth.users);
    },
    async close() {
      cancelSweep();
      await retention.stop();
      await people.close();
      await objects.close();
      await ledger.close(closeMsMax);
      await store.close();
    },
  };
}

/** Longest wait that can be configured, and for a connection: the run before may have had other settings. */
const waitMsMax = 600_000;
const connectMsMax = 60_000;

function toHistoryBounds({ rateLimit, glm }: Settings): Pick<SendHistoryOptions, "windowMs" | "callMsMax"> {
  const totals = [glm.timeouts, ...glm.models.map(({ timeouts }) => timeouts)].map(({ totalMs = 0 }) => totalMs);
  return { windowMs: toLongestWindowMs(rateLimit), callMsMax: waitMsMax + connectMsMax + Math.max(...totals) };
}

/** From whole answers alone: one that was cut is not all that was counted, or the other way round. */
function learnTokens(
  ratios: TokenRatios,
  { billing, outcome, model, usage, input, bytesOut, isStream }: CallRecord,
): void {
  if (billing !== "call" || outcome !== "served" || usage === null || model === null) return;
  const { promptTokens, completionTokens } = usage;
  ratios.learn(model, { input, bytesOut, isStream, promptTokens, completionTokens });
}
