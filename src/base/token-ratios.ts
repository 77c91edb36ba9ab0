// How many tokens so many bytes are, by model: a guess at first, and what the upstream's own counts have shown since. For
// calls whose tokens nobody reports, and for those that have not been counted yet.

import type { InputSize } from "./input-size.ts";

export interface TokenRatios {
  /** Tokens of a request of that size; at least 1. */
  promptTokens(model: string | null, input: InputSize): number;
  /** Tokens of an answer of so many bytes; fractions of one too. */
  completionTokens(model: string | null, bytes: number, isStream: boolean): number;
  /** What was counted of a whole call. */
  learn(model: string, call: CountedCall): void;
}

export interface CountedCall {
  readonly input: InputSize;
  readonly bytesOut: number;
  readonly isStream: boolean;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** JSON with English or Chinese text, and one frame of a stream a token or two. */
const bytesPerTokenAtFirst = { prompt: 3.5, whole: 3.5, stream: 120 } as const;
type Kind = keyof typeof bytesPerTokenAtFirst;

/** The first guess weighs as much as so many tokens that were counted; what was counted fades after about so many. */
const guessTokens = 200;
const memoryTokens = 20_000;
/** Counts that say otherwise are not to be believed: a proxy's mistake must not make prompts free. */
const bytesPerTokenMin = 0.5;
const bytesPerTokenMax = 2_000;
const modelsMax = 1_000;

interface Sums {
  bytes: number;
  tokens: number;
}

type ModelSums = Record<Kind, Sums>;

export function createTokenRatios(): TokenRatios {
  /** Who was not counted for longest first. */
  const models = new Map<string, ModelSums>();

  function bytesPerToken(model: string | null, kind: Kind): number {
    const sums = model === null ? undefined : models.get(model)?.[kind];
    return sums ? sums.bytes / sums.tokens : bytesPerTokenAtFirst[kind];
  }

  function open(model: string): ModelSums {
    const known = models.get(model) ?? { prompt: begin("prompt"), whole: begin("whole"), stream: begin("stream") };
    models.delete(model);
    models.set(model, known);
    const [oldest] = models.keys();
    if (models.size > modelsMax && oldest !== undefined) models.delete(oldest);
    return known;
  }

  return {
    promptTokens: (model, { textBytes, binaryTokens }) =>
      Math.max(1, Math.ceil(textBytes / bytesPerToken(model, "prompt") + binaryTokens)),
    completionTokens: (model, bytes, isStream) => bytes / bytesPerToken(model, isStream ? "stream" : "whole"),
    learn(model, { input, bytesOut, isStream, promptTokens, completionTokens }) {
      const sums = open(model);
      // What a model took for a picture says nothing of text.
      if (input.binaryTokens === 0) add(sums.prompt, input.textBytes, promptTokens);
      add(sums[isStream ? "stream" : "whole"], bytesOut, completionTokens);
    },
  };
}

function begin(kind: Kind): Sums {
  return { bytes: bytesPerTokenAtFirst[kind] * guessTokens, tokens: guessTokens };
}

function add(sums: Sums, bytes: number, tokens: number): void {
  const ratio = bytes / tokens;
  if (!(ratio >= bytesPerTokenMin && ratio <= bytesPerTokenMax)) return;
  const kept = Math.max(0, 1 - tokens / memoryTokens);
  sums.bytes = sums.bytes * kept + bytes;
  sums.tokens = sums.tokens * kept + tokens;
}
