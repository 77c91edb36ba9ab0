// Stops, kills and reloads gateways at random moments under load, and counts at the upstream:
//   npm run test:windows -- --trials 3 --seed 1 --rates 0.1,0.5,2,5,20,200

import { parseArgs } from "node:util";
import { tryWindows, type WindowLimits } from "./window-trial.ts";

const { values } = parseArgs({
  options: {
    trials: { type: "string", default: "3" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    rates: { type: "string", default: "0.1,0.5,2,5,20,200" },
    lives: { type: "string", default: "6" },
  },
});
const unlimited: WindowLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const all: readonly WindowLimits[] = [
  ...values.rates.split(",").map((rate) => ({ ...unlimited, startsPerSecond: Number(rate) })),
  { ...unlimited, concurrencyMax: 2 },
  { ...unlimited, tokensPerMinute: 2_000 },
  { startsPerSecond: 5, concurrencyMax: 2, tokensPerMinute: 2_000 },
];
let failures = 0;
for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.trials); seed++) {
  for (const limits of all) {
    const trial = await tryWindows({ seed, limits, lives: Number(values.lives), lifeMsMax: 1_500, waitMsMax: 30_000 });
    const { problems, starts, lives, gapsMs, seconds } = trial;
    console.log(
      `seed ${seed} ${JSON.stringify(limits)}: ${starts} starts in ${seconds.toFixed(1)} s; ${lives.join("; ")}`,
    );
    console.log(`  lives took ${gapsMs.join(", ")} ms`);
    for (const problem of problems) console.log(`  VIOLATED: ${problem}`);
    if (problems.length > 0) failures++;
  }
}
console.log(`${Number(values.trials) * all.length} trials from seed ${values.seed}, ${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;
