// The experiments, in the order in which they are run.

import type { Experiment } from "./experiment.ts";
import { feedback } from "./experiments/feedback.ts";
import { guard } from "./experiments/guard.ts";
import { leaving } from "./experiments/leaving.ts";
import { micro } from "./experiments/micro.ts";
import { retries } from "./experiments/retries.ts";
import { bursts, flood, realTrace } from "./experiments/sharing.ts";
import { slots } from "./experiments/slots.ts";
import { spacing } from "./experiments/spacing.ts";
import { waiting } from "./experiments/waiting.ts";
import { unequalShares } from "./experiments/weights.ts";

export const experiments: readonly Experiment[] = [
  realTrace,
  flood,
  unequalShares,
  slots,
  bursts,
  waiting,
  feedback,
  leaving,
  retries,
  micro,
  guard,
  spacing,
];
