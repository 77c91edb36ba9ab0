// Quotas and budgets as people write them: "requests/day" = 1000, "cost/month" = 20, "concurrency" = 2. One spelling in
// the API, on the command line and in the database.

export const limitMetrics = ["requests", "tokens", "cost"] as const;
export const limitWindows = ["minute", "hour", "day", "month", "total"] as const;
export type LimitMetric = (typeof limitMetrics)[number];
export type LimitWindow = (typeof limitWindows)[number];

/** `concurrency`: calls at once, those that wait included. Cost is in the currency of the price list. */
export type LimitName = `${LimitMetric}/${LimitWindow}` | "concurrency";

/** How much of each; what is not named is not limited. */
export type Limits = Readonly<Partial<Record<LimitName, number>>>;

export const limitNames: readonly LimitName[] = [
  ...limitMetrics.flatMap((metric) => limitWindows.map((window): LimitName => `${metric}/${window}`)),
  "concurrency",
];

export const noLimits: Limits = Object.freeze({});

/** What is wrong with a limit, as words that complete "must be …"; null: nothing. */
export function findLimitProblem(name: LimitName, amount: number): string | null {
  if (name.startsWith("cost/")) return amount >= 0 && amount <= 1e9 ? null : "a number from 0 to 1000000000";
  return Number.isSafeInteger(amount) && amount >= 0 && amount <= 1e15 ? null : "a whole number from 0";
}

export function isLimitName(text: string): text is LimitName {
  return (limitNames as readonly string[]).includes(text);
}
