// What the upstream's answers change: limits are learned from refusals, trouble that is not ours is waited out, quotas
// and accounts block until they are good again, and a key that can't be reached cools down. Decides whether a refused
// call is worth another try, and which keys it need not try again. The meanings of GLM's codes are in the upstream
// stage; their consequences are here.
//
//   verdict                    what it shuts                          another try
//   over_limit                 learned limit, the model for a while   when there is room again
//   too_fast                   pace, the account for a while          when there is room again
//   overloaded                 the model on the account, for a while  elsewhere, or there; not for ever while others are served
//   quota                      the model on the account               elsewhere
//   account · model_barred     the key · the model on the key         elsewhere
//   restricted                 the model, then one call at a time     elsewhere
//   failed                     nothing                                elsewhere, or there within a budget
//   unreachable                the key, once several calls have said  elsewhere, or there within a budget
//   silent                     as unreachable                         elsewhere
//
// A call that may have been executed has no other try, but for one that met silence. What is said of a call counts
// whether it still holds its place or not: it is looked up by names, not by what the call held.

import type { RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import { firstPauseMs } from "./backoff.ts";
import { triedMax } from "./destination.ts";
import type { Health } from "./health.ts";
import type { KeyPool } from "./key-pool.ts";
import type { Decision } from "./scheduler.ts";
import type { Account, KeyModel, UpstreamKey } from "./upstream-key.ts";
import type { RunningGrant } from "./waiter.ts";

/** After "overloaded": up to this, doubling, less up to a half by chance. */
const overloadWaitMs = { first: 1_000, max: 30_000 };
/** A quota of which no reset is known, and an account that is refused, are tried again after so long, doubling. */
const disabledWaitMs = { first: 60_000, max: 600_000 };
/** After fair use was exceeded: one call at once, for at least an hour. */
const restrictedHoldMs = 3_600_000;
/** A key that can't be reached is left alone for so long, doubling, less a quarter by chance. */
const unreachableWaitMs = { first: 1_000, max: 60_000 };
/** The same where no other key can serve: it is tried early, since resting helps nobody. */
const aloneWaitMs = { first: 250, max: 5_000 };
/** Tries elsewhere after a failure that may be the call's own doing. */
const elsewhereTriesMax = 3;
/** After so many tries that met an overload, while others were served, it is something about this call. */
const overloadedTriesMax = 2;
const modelsMax = 1_000;
/** A call that was let go after a refusal for a limit, and was not refused for so long, was accepted. */
const limitProbeMs = 1_000;
/** Tries after failures that are not about limits: few for each call, and a tenth of all. */
const failedTriesMax = 2;
/** Counted in whole parts of a try: ten tenths as fractions would not make one. */
const partsPerTry = 10;
const retryPartsMax = 10 * partsPerTry;
const retryPartsAtStart = 2 * partsPerTry;

export class UpstreamFeedback {
  readonly #pool: KeyPool;
  readonly #random: () => number;
  readonly #note: (decision: Decision) => void;
  #retryParts = retryPartsAtStart;
  /** When each model was last served, the longest ago first. */
  readonly #servedAt = new Map<string, number>();

  constructor(pool: KeyPool, random: () => number, note: (decision: Decision) => void) {
    this.#pool = pool;
    this.#random = random;
    this.#note = note;
  }

  noteSend(): void {
    this.#retryParts = Math.min(retryPartsMax, this.#retryParts + 1);
  }

  /** Draws the consequences. True: the call is worth another try. */
  take(grant: RunningGrant, verdict: Verdict, now: number): boolean {
    // The call's own may be forgotten, or its key on another account by now.
    const keyModel = this.#pool.modelOn(grant.key, grant.call.model);
    const isWorthAnotherTry = this.#draw(grant, keyModel, verdict, now);
    this.#pool.forget(keyModel, now);
    return isWorthAnotherTry;
  }

  #draw(grant: RunningGrant, keyModel: KeyModel, verdict: Verdict, now: number): boolean {
    const { key } = grant;
    const sentAt = grant.sentAt ?? grant.grantedAt;
    if (verdict.kind !== "good") this.#tell("upstream_refused", key, keyModel, verdict.kind, { code: verdict.code });
    switch (verdict.kind) {
      case "good":
        keyModel.learned.disprove(grant.inFlightAtSend);
        this.#noteServed(keyModel.model, now);
        this.#recover(key, keyModel, sentAt, now);
        return false;
      case "rejected":
        this.#recover(key, keyModel, sentAt, now);
        return false;
      case "over_limit":
        this.#overLimit(grant, keyModel, verdict, sentAt, now);
        return true;
      case "too_fast":
        this.#pauseAccount(key, verdict, sentAt, now);
        this.#slow(key, verdict, sentAt, now);
        return true;
      case "overloaded":
        this.#wait(key, keyModel, verdict, sentAt, now);
        return this.#passOn(grant, [key], now, elsewhereTriesMax) || !this.#isSingledOut(grant);
      case "quota":
        this.#block(key, keyModel, keyModel.health, verdict, "upstream_quota", sentAt, now);
        return this.#passOn(grant, key.account.keys, now);
      case "account":
        this.#block(key, keyModel, key.health, verdict, "upstream_account", sentAt, now);
        return this.#passOn(grant, [key], now);
      case "model_barred":
        this.#block(key, keyModel, keyModel.bar(key), verdict, "upstream_account", sentAt, now);
        return this.#passOn(grant, [key], now);
      case "restricted":
        this.#restrict(key, keyModel, verdict, now);
        this.#block(key, keyModel, keyModel.health, verdict, "upstream_account", sentAt, now);
        return this.#passOn(grant, key.account.keys, now);
      case "failed":
        if (verdict.mayHaveRun) return false;
        return this.#passOn(grant, [key], now, elsewhereTriesMax) || this.#mayTryAgain(grant);
      case "unreachable":
        this.#coolDown(grant, verdict, sentAt, now);
        if (verdict.mayHaveRun) return false;
        return this.#passOn(grant, [key], now) || this.#mayTryAgain(grant);
      case "silent":
        this.#coolDown(grant, verdict, sentAt, now);
        return this.#passOn(grant, [key], now);
    }
  }

  /** The keys have failed the call. True: another one may not, and is to have it. */
  #passOn(grant: RunningGrant, keys: readonly UpstreamKey[], now: number, triesMax = triedMax): boolean {
    const names = new Set([...grant.triedKeys, ...keys.map(({ name }) => name)]);
    grant.triedKeys = [...names].slice(-triedMax);
    if (grant.tryCount >= triesMax) return false;
    grant.passedOnAfterMs = now - grant.grantedAt;
    if (this.#pool.hasUntried(grant.to)) return true;
    grant.passedOnAfterMs = null;
    return false;
  }

  /** Told again and again that it is too much, while others hear nothing of the kind: retrying would not help. */
  #isSingledOut({ tryCount, call, arrivedAt }: RunningGrant): boolean {
    return tryCount >= overloadedTriesMax && (this.#servedAt.get(call.model) ?? 0) > arrivedAt;
  }

  #noteServed(model: string, now: number): void {
    this.#servedAt.delete(model);
    this.#servedAt.set(model, now);
    if (this.#servedAt.size > modelsMax) this.#servedAt.delete(this.#servedAt.keys().next().value as string);
  }

  /** Lets what was learned fade where its time has come. True: something did. */
  relax(model: string, now: number): boolean {
    this.#hasRelaxed = false;
    this.#pool.relax(model, now, this.#noteRelaxed);
    return this.#hasRelaxed;
  }

  #hasRelaxed = false;
  /** One function for all calls: this is asked for each of them. */
  readonly #noteRelaxed = ({ keys }: Account, keyModel: KeyModel | null): void => {
    this.#hasRelaxed = true;
    const key = keys[0] as UpstreamKey;
    const why = "no refusal for a while";
    if (keyModel) this.#tell("limit_raised", key, keyModel, why, { limit: keyModel.learned.limit });
    else this.#tell("quickened", key, null, why, {});
  };

  #recover(key: UpstreamKey, keyModel: KeyModel, sentAt: number, now: number): void {
    keyModel.backoff.recover(sentAt);
    key.account.backoff.recover(sentAt);
    key.failures.clear();
    const isAccountBack = key.account.health.recover(sentAt, now);
    const isKeyBack = key.health.recover(sentAt, now) || isAccountBack;
    const isUnbarred = keyModel.barOf(key)?.recover(sentAt, now) ?? false;
    const isModelBack = keyModel.health.recover(sentAt, now) || isUnbarred;
    if (isKeyBack || isModelBack)
      this.#tell("enabled", key, isKeyBack ? null : keyModel, "the upstream serves it again", {});
  }

  #overLimit(
    { key, inFlightAtSend }: RunningGrant,
    keyModel: KeyModel,
    verdict: Verdict,
    sentAt: number,
    now: number,
  ): void {
    const { health, backoff } = keyModel;
    const toUntil = (pauseMs: number) => now + Math.max(pauseMs, verdict.waitMs ?? 0) * (1 + 0.2 * this.#random());
    if (inFlightAtSend > 1) {
      // Being refused again lowers the limit again: a longer pause would only delay finding it.
      health.pause(toUntil(firstPauseMs), verdict.code ?? "429");
      if (!keyModel.learned.lower(inFlightAtSend, sentAt, now)) return;
      keyModel.applyLearned();
      const why = `the upstream refused one of ${inFlightAtSend} calls at once (${verdict.code ?? "429"})`;
      this.#tell("limit_lowered", key, keyModel, why, { limit: keyModel.learned.limit });
      return;
    }
    // Alone, it can't have been too many of ours: the pace, or somebody else who uses the key.
    keyModel.learned.doubt();
    this.#pauseAndProbe(key, keyModel, health, toUntil(backoff.raise(sentAt, now)), verdict, sentAt, now);
    this.#slow(key, verdict, sentAt, now);
  }

  #pauseAccount(key: UpstreamKey, verdict: Verdict, sentAt: number, now: number): void {
    const { backoff, health } = key.account;
    const until = now + Math.max(backoff.raise(sentAt, now), verdict.waitMs ?? 0);
    this.#pauseAndProbe(key, null, health, until, verdict, sentAt, now);
  }

  /** Nothing starts until then, and not all at once afterwards: the upstream would refuse that again. */
  #pauseAndProbe(
    key: UpstreamKey,
    keyModel: KeyModel | null,
    health: Health,
    until: number,
    { code }: Verdict,
    sentAt: number,
    now: number,
  ): void {
    const because = code ?? "429";
    if (health.isOldNews(sentAt, null)) {
      health.pause(until, because);
      return;
    }
    health.trip(until, because, null, now, limitProbeMs);
    this.#tell("blocked", key, keyModel, `the upstream refused for a limit (${because})`, { forMs: until - now });
  }

  #slow(key: UpstreamKey, verdict: Verdict, sentAt: number, now: number): void {
    if (!key.account.pace.slow(sentAt, now)) return;
    key.account.applyPace();
    const why = `the upstream refused a call at this pace (${verdict.code ?? "429"}); somebody else may use the key`;
    this.#tell("slowed", key, null, why, {});
  }

  #wait(key: UpstreamKey, keyModel: KeyModel, { code, waitMs }: Verdict, sentAt: number, now: number): void {
    const { health } = keyModel;
    if (health.isOldNews(sentAt, null)) return;
    const most = Math.min(overloadWaitMs.max, overloadWaitMs.first * 2 ** health.tripCount);
    const forMs = Math.max(waitMs ?? 0, most * (0.5 + this.#random() / 2));
    health.trip(now + forMs, code ?? "overloaded", null, now);
    this.#tell("blocked", key, keyModel, `the upstream is overloaded (${code ?? "no code"})`, { forMs });
  }

  /** `health` is the key's, the model's on its account, or that of the model on this key. */
  #block(
    key: UpstreamKey,
    keyModel: KeyModel,
    health: Health,
    { kind, code, waitMs }: Verdict,
    refusal: RefusalReason,
    sentAt: number,
    now: number,
  ): void {
    if (health.isOldNews(sentAt, refusal)) return;
    const isKnown = kind === "quota" && waitMs !== null;
    const forMs = isKnown ? waitMs : Math.min(disabledWaitMs.max, disabledWaitMs.first * 2 ** health.tripCount);
    health.trip(now + forMs, code ?? refusal, refusal, now);
    const why = `${refusal} (${code ?? "no code"})`;
    const scope = health === key.health ? null : keyModel;
    this.#tell(isKnown ? "blocked" : "disabled", key, scope, why, { forMs, isAlert: !isKnown });
  }

  #restrict(key: UpstreamKey, keyModel: KeyModel, { code }: Verdict, now: number): void {
    keyModel.learned.restrict(restrictedHoldMs, now);
    keyModel.applyLearned();
    const why = `upstream restricts the account (${code})`;
    this.#tell("limit_lowered", key, keyModel, why, { limit: 1, isAlert: true });
  }

  /** Unless it has answered others since: then it was this call that took too long. */
  #coolDown(grant: RunningGrant, { code, mayHaveRun = false }: Verdict, sentAt: number, now: number): void {
    const { key, call } = grant;
    const { health } = key;
    if (health.isOldNews(sentAt, "upstream_failed") || health.goodAt > sentAt) return;
    const hasOther = this.#pool.hasOther(key, grant.to);
    const failed = { sequence: grant.place.sequence, userId: call.userId, isUnsent: !mayHaveRun };
    if (!key.failures.add(failed, health.goodAt, hasOther, now)) return;
    const waitMs = hasOther ? unreachableWaitMs : aloneWaitMs;
    const most = Math.min(waitMs.max, waitMs.first * 2 ** health.tripCount);
    const forMs = most * (1 - this.#random() / 4);
    health.trip(now + forMs, code ?? "unreachable", "upstream_failed", now);
    this.#tell("blocked", key, null, `the upstream can't be reached (${code ?? "no code"})`, { forMs });
  }

  #mayTryAgain({ tryCount }: RunningGrant): boolean {
    if (tryCount >= failedTriesMax || this.#retryParts < partsPerTry) return false;
    this.#retryParts -= partsPerTry;
    return true;
  }

  #tell(
    what: Decision["what"],
    key: UpstreamKey,
    keyModel: KeyModel | null,
    why: string,
    facts: Partial<Decision>,
  ): void {
    this.#note({ what, isAlert: false, why, upstreamKey: key.limits.name, model: keyModel?.model ?? null, ...facts });
  }
}
