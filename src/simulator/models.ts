// The models that the simulated GLM offers, with what matters for a call: whether they think, and how long they may
// talk. Source: the model pages of docs.z.ai and prices of models.dev.

export interface Model {
  readonly canThink: boolean;
  /** It cannot be told not to think. */
  readonly mustThink: boolean;
  /** Takes pictures. */
  readonly canSee: boolean;
  readonly contextTokens: number;
  readonly outputTokensMax: number;
}

const basic: Model = {
  canThink: true,
  mustThink: false,
  canSee: false,
  contextTokens: 200_000,
  outputTokensMax: 131_072,
};

export const models: ReadonlyMap<string, Model> = new Map([
  ["glm-4-flash-250414", { ...basic, canThink: false, contextTokens: 128_000, outputTokensMax: 16_384 }],
  ["glm-4.5-air", { ...basic, contextTokens: 128_000, outputTokensMax: 98_304 }],
  ["glm-4.5-flash", { ...basic, contextTokens: 128_000, outputTokensMax: 98_304 }],
  ["glm-4.6v", { ...basic, canSee: true, contextTokens: 128_000, outputTokensMax: 32_768 }],
  ["glm-4.7", basic],
  ["glm-4.7-flash", basic],
  ["glm-5.3", { ...basic, mustThink: true, contextTokens: 1_000_000 }],
  ["glm-5.3-flash", { ...basic, mustThink: true, canSee: true, contextTokens: 1_048_576 }],
]);

/** About what GLM would count: four letters a token, or two of Chinese's characters. */
export function estimateTokens(text: string): number {
  let letters = 0;
  let others = 0;
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) < 0x80) letters++;
    else others++;
  }
  return Math.max(1, Math.ceil(letters / 4 + others / 2));
}
