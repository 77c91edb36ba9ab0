// What the upstream's answers change: limits are learned from refusals, trouble that is not ours is waited out, quotas
// and accounts block until they are good again. Decides whether a refused call is worth another try. The meanings of
// GLM's codes are in the upstream stage; their consequences are here.

import type { RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import type { KeyModel, KeyPool, UpstreamKey } from "./key-pool.ts";
import type { Decision } from "./scheduler.ts";
import type { RunningGrant } from "./waiter.ts";

/** After "overloaded": up to this, doubling, with full jitter. */
const overloadWaitMs = { first: 1_000, max: 30_000, least: 250 };
/** A quota of which no reset is known, and an account that is refused, are tried again after so long, doubling. */
const disabledWaitMs = { first: 60_000, max: 600_000 };
/** After fair use was exceeded: one call at once, for at least an hour. */
const restrictedHoldMs = 3_600_000;
/** One call alone drew a refusal: somebody else uses the key. Doubling while it goes on. */
const crowdedWaitMs = { first: 1_000, max: 30_000 };
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
  /** Refusals of a call that was alone on its key and model, in a row. */
  readonly #crowded = new WeakMap<KeyModel, number>();

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
    const { key, keyModel } = grant;
    const sentAt = grant.sentAt ?? now;
    if (verdict.kind !== "good") this.#tell("upstream_refused", key, keyModel, verdict.kind, { code: verdict.code });
    switch (verdict.kind) {
      case "good":
        keyModel.learned.disprove(grant.inFlightAtSend);
        this.#recover(key, keyModel, sentAt);
        return false;
      case "over_limit":
        this.#overLimit(grant, verdict, sentAt, now);
        return true;
      case "too_fast":
        this.#slow(key, verdict, sentAt, now);
        return true;
      case "overloaded":
        this.#wait(key, keyModel, verdict, sentAt, now);
        return true;
      case "quota": {
        const waitMs = verdict.waitMs ?? this.#disabledMs(keyModel.health.tripCount);
        this.#block(key, keyModel, verdict, "upstream_quota", waitMs, verdict.waitMs === null, sentAt, now);
        return false;
      }
      case "account":
        this.#block(key, null, verdict, "upstream_account", this.#disabledMs(key.health.tripCount), true, sentAt, now);
        return false;
      case "model_barred":
        this.#block(
          key,
          keyModel,
          verdict,
          "upstream_account",
          this.#disabledMs(keyModel.health.tripCount),
          true,
          sentAt,
          now,
        );
        return false;
      case "restricted":
        keyModel.learned.restrict(restrictedHoldMs, now);
        keyModel.applyLearned();
        this.#tell("limit_lowered", key, keyModel, `upstream restricts the account (${verdict.code})`, {
          limit: 1,
          isAlert: true,
        });
        return false;
      case "failed":
        return this.#mayTryAgain(grant);
    }
  }

  /** Lets what was learned fade where its time has come. True: something did. */
  relax(model: string, now: number): boolean {
    this.#hasRelaxed = false;
    this.#pool.relax(model, now, this.#noteRelaxed);
    return this.#hasRelaxed;
  }

  #hasRelaxed = false;
  /** One function for all calls: this is asked for each of them. */
  readonly #noteRelaxed = (key: UpstreamKey, keyModel: KeyModel | null): void => {
    this.#hasRelaxed = true;
    const why = "no refusal for a while";
    if (keyModel) this.#tell("limit_raised", key, keyModel, why, { limit: keyModel.learned.limit });
    else this.#tell("quickened", key, null, why, {});
  };

  #recover(key: UpstreamKey, keyModel: KeyModel, sentAt: number): void {
    this.#crowded.delete(keyModel);
    const isKeyBack = key.health.recover(sentAt);
    const isModelBack = keyModel.health.recover(sentAt);
    if (isKeyBack || isModelBack)
      this.#tell("enabled", key, isKeyBack ? null : keyModel, "the upstream serves it again", {});
  }

  #overLimit(grant: RunningGrant, verdict: Verdict, sentAt: number, now: number): void {
    const { key, keyModel, inFlightAtSend } = grant;
    if (verdict.waitMs !== null)
      keyModel.health.pause(now + verdict.waitMs * (1 + 0.2 * this.#random()), verdict.code ?? "429");
    if (inFlightAtSend > 1) {
      if (!keyModel.learned.lower(inFlightAtSend, sentAt, now)) return;
      keyModel.applyLearned();
      const why = `the upstream refused one of ${inFlightAtSend} calls at once (${verdict.code ?? "429"})`;
      this.#tell("limit_lowered", key, keyModel, why, { limit: keyModel.learned.limit });
      return;
    }
    // Alone, it can't have been too many of ours: the pace, or somebody else who uses the key.
    const inRow = this.#crowded.get(keyModel) ?? 0;
    this.#crowded.set(keyModel, inRow + 1);
    keyModel.learned.doubt();
    const waitMs = Math.min(crowdedWaitMs.max, crowdedWaitMs.first * 2 ** inRow);
    keyModel.health.pause(now + waitMs * (1 + 0.2 * this.#random()), verdict.code ?? "429");
    this.#slow(key, verdict, sentAt, now);
  }

  #slow(key: UpstreamKey, verdict: Verdict, sentAt: number, now: number): void {
    if (verdict.waitMs !== null) key.health.pause(now + verdict.waitMs, verdict.code ?? "429");
    if (!key.pace.slow(sentAt, now)) return;
    key.applyPace();
    const why = `the upstream refused a call at this pace (${verdict.code ?? "429"}); somebody else may use the key`;
    this.#tell("slowed", key, null, why, {});
  }

  #wait(key: UpstreamKey, keyModel: KeyModel, { code, waitMs }: Verdict, sentAt: number, now: number): void {
    const { health } = keyModel;
    if (health.isOldNews(sentAt)) return;
    const most = Math.min(overloadWaitMs.max, overloadWaitMs.first * 2 ** health.tripCount);
    const forMs = Math.max(waitMs ?? 0, overloadWaitMs.least, most * this.#random());
    health.trip(now + forMs, code ?? "overloaded", null, now);
    this.#tell("blocked", key, keyModel, `the upstream is overloaded (${code ?? "no code"})`, { forMs });
  }

  #block(
    key: UpstreamKey,
    keyModel: KeyModel | null,
    { code }: Verdict,
    refusal: RefusalReason,
    forMs: number,
    isAlert: boolean,
    sentAt: number,
    now: number,
  ): void {
    const health = keyModel?.health ?? key.health;
    if (health.isOldNews(sentAt)) return;
    health.trip(now + forMs, code ?? refusal, refusal, now);
    this.#tell(isAlert ? "disabled" : "blocked", key, keyModel, `${refusal} (${code ?? "no code"})`, {
      forMs,
      isAlert,
    });
  }

  #disabledMs(tripCount: number): number {
    return Math.min(disabledWaitMs.max, disabledWaitMs.first * 2 ** tripCount);
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
