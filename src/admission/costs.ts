// What a call costs, in lane-milliseconds of whichever resource of the upstream is scarcest: a start, a place among
// the calls at once, tokens. Guessed at the grant from what the same user's calls of that model took, put right by what
// is seen while the answer comes and by `usage` at its end.

import type { Usage } from "../base/answer.ts";
import type { Grant, OfferedCall, Price } from "./core.ts";
import { Quantile } from "./quantile.ts";

/** What calls of one kind took, as moving means. */
interface Means {
  slotMs: number;
  tokens: number;
  outputTokens: number;
}

interface ModelStatistics extends Means {
  count: number;
  inputBytesPerToken: number;
  outputBytesPerToken: number;
  readonly firstByteMs: Quantile;
  readonly slotMedianMs: Quantile;
  /** What the same model's calls took for each user, the oldest first. */
  readonly byUser: Map<string, Means>;
}

/** Of what the upstream bears, all keys together; Infinity: no bound. */
export interface Capacity {
  ratePerMs(model: string): number;
  concurrencyOf(model: string): number;
  tokensPerMs(model: string): number;
}

/** Share of the newest call in a moving mean. */
const meanShare = 0.2;
const modelsMax = 256;
const usersPerModelMax = 2_000;
/** Before anything was seen: JSON with English or Chinese text, and one frame a token or two. */
const inputBytesPerTokenDefault = 3.5;
const outputBytesPerTokenDefault = 120;
const outputTokensDefault = 512;
/** A client that says at most so many tokens gets them all reserved: never over the limit, little idle. */
const reservedTokensMax = 4_096;

export class Costs {
  readonly #capacity: Capacity;
  readonly #price: Price | null;
  readonly #models = new Map<string, ModelStatistics>();
  /** Of all calls; 0: not known. */
  #meanMs = 0;

  constructor(capacity: Capacity, price: Price | null = null) {
    this.#capacity = capacity;
    this.#price = price;
  }

  /** Lane-milliseconds of a call that held a place for `slotMs` and used so many tokens. */
  price(model: string, slotMs: number, tokens: number): number {
    if (this.#price) return this.#price(slotMs, tokens) || 1;
    const start = 1 / this.#capacity.ratePerMs(model);
    const slot = slotMs / this.#capacity.concurrencyOf(model);
    const used = tokens / this.#capacity.tokensPerMs(model);
    // Without any bound a start still counts, or whoever asks most would be served most.
    return Math.max(start, slot, used) || 1;
  }

  /** Of any call, in lane-milliseconds: the scale of the deadline window and of forecasts. */
  get typicalMs(): number {
    return this.#meanMs || this.price("", 0, 0);
  }

  estimateMs({ userId, model }: OfferedCall): number {
    const ofModel = this.#models.get(model);
    const means = ofModel?.byUser.get(userId) ?? ofModel;
    return means ? this.price(model, means.slotMs, means.tokens) : this.price(model, 0, 0);
  }

  /** Tokens to take from the limit before the call is sent; debt: a guess that is put right at the end. */
  reserve(call: OfferedCall): { tokens: number; isDebt: boolean } {
    const statistics = this.#models.get(call.model);
    const input = toInputTokens(call, statistics);
    if (call.outputTokensMax !== null && call.outputTokensMax <= reservedTokensMax) {
      return { tokens: Math.ceil(input + call.outputTokensMax), isDebt: false };
    }
    const means = statistics?.byUser.get(call.userId) ?? statistics;
    const output = Math.min(
      means?.outputTokens ?? outputTokensDefault,
      call.outputTokensMax ?? Number.POSITIVE_INFINITY,
    );
    return { tokens: Math.ceil(input + output), isDebt: true };
  }

  /** Tokens that a call has used so far, by what it sent and what came. */
  guessTokens(call: OfferedCall, outputBytes: number): number {
    const statistics = this.#models.get(call.model);
    return (
      toInputTokens(call, statistics) + outputBytes / (statistics?.outputBytesPerToken ?? outputBytesPerTokenDefault)
    );
  }

  /** Typical time in flight, 0 while nothing is known. */
  slotMsOf(model: string): number {
    return this.#models.get(model)?.slotMs ?? 0;
  }

  slotMedianMsOf(model: string): number {
    const median = this.#models.get(model)?.slotMedianMs;
    return median?.isKnown ? median.value : 0;
  }

  /** Half of the calls take so long to their first byte, 0 while nothing is known. */
  firstByteMsOf(model: string): number {
    const median = this.#models.get(model)?.firstByteMs;
    return median?.isKnown ? median.value : 0;
  }

  meanTokensOf(model: string): number {
    return this.#models.get(model)?.tokens ?? 0;
  }

  noteFirstByte(model: string, ms: number): void {
    this.#models.get(model)?.firstByteMs.add(ms);
  }

  /** A call has ended well. `usage` is null when the upstream did not say. */
  learn(grant: Grant, slotMs: number, outputBytes: number, usage: Usage | null): void {
    const { userId, model, inputBytes, binaryTokens = 0 } = grant.call;
    const statistics = this.#statisticsOf(model);
    const tokens = usage ? usage.promptTokens + usage.completionTokens : this.guessTokens(grant.call, outputBytes);
    const outputTokens = usage?.completionTokens ?? outputBytes / statistics.outputBytesPerToken;
    const seen = { slotMs, tokens, outputTokens };
    statistics.slotMedianMs.add(slotMs);
    moveMeans(statistics, seen, statistics.count++ === 0);
    // What a model took for a picture says nothing of text.
    if (usage && usage.promptTokens > 0 && inputBytes > 0 && binaryTokens === 0) {
      const ratio = clamp(inputBytes / usage.promptTokens, 0.5, 50);
      statistics.inputBytesPerToken += (ratio - statistics.inputBytesPerToken) * meanShare;
    }
    if (usage && usage.completionTokens > 0 && outputBytes > 0) {
      const ratio = clamp(outputBytes / usage.completionTokens, 1, 5_000);
      statistics.outputBytesPerToken += (ratio - statistics.outputBytesPerToken) * meanShare;
    }
    learnOfUser(statistics.byUser, userId, seen);
    const cost = this.price(model, slotMs, tokens);
    this.#meanMs += (cost - this.#meanMs) * (this.#meanMs === 0 ? 1 : meanShare);
  }

  #statisticsOf(model: string): ModelStatistics {
    let statistics = this.#models.get(model);
    if (!statistics) {
      if (this.#models.size >= modelsMax) this.#models.delete(this.#models.keys().next().value as string);
      statistics = {
        count: 0,
        slotMs: 0,
        tokens: 0,
        outputTokens: 0,
        inputBytesPerToken: inputBytesPerTokenDefault,
        outputBytesPerToken: outputBytesPerTokenDefault,
        firstByteMs: new Quantile(0.5, 1),
        slotMedianMs: new Quantile(0.5, 1),
        byUser: new Map(),
      };
      this.#models.set(model, statistics);
    }
    return statistics;
  }
}

function toInputTokens({ inputBytes, binaryTokens = 0 }: OfferedCall, statistics: ModelStatistics | undefined): number {
  return inputBytes / (statistics?.inputBytesPerToken ?? inputBytesPerTokenDefault) + binaryTokens;
}

function moveMeans(means: Means, seen: Means, isFirst: boolean): void {
  const share = isFirst ? 1 : meanShare;
  means.slotMs += (seen.slotMs - means.slotMs) * share;
  means.tokens += (seen.tokens - means.tokens) * share;
  means.outputTokens += (seen.outputTokens - means.outputTokens) * share;
}

function learnOfUser(byUser: Map<string, Means>, userId: string, seen: Means): void {
  const known = byUser.get(userId);
  if (known) {
    moveMeans(known, seen, false);
    return;
  }
  // The oldest makes room: insertion order is age.
  if (byUser.size >= usersPerModelMax) byUser.delete(byUser.keys().next().value as string);
  byUser.set(userId, { ...seen });
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
