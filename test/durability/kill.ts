// Kills the gateway under load as often as wanted and looks whether its books are right each time:
//   npm run test:kill -- --trials 50 --seed 1 --promises 5
// `--promises`: rounds of the trials that kill it when it has answered.

import { parseArgs } from "node:util";
import { type Trial, tryKill } from "./kill-trial.ts";
import { tryPromises } from "./promise-trial.ts";
import { promises } from "./promises.ts";

const { values } = parseArgs({
  options: {
    trials: { type: "string", default: "10" },
    seed: { type: "string" },
    promises: { type: "string", default: "0" },
  },
});
const trials = Number(values.trials);
const firstSeed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
const startedAt = performance.now();
const done: Trial[] = [];
const failed: number[] = [];

for (let seed = firstSeed; seed < firstSeed + trials; seed++) {
  try {
    const trial = await tryKill(seed);
    done.push(trial);
    const { problems, calls, seen, records, byState, killedAfterMs, restartMs, wasKilledTwice, stalledMs } = trial;
    const states = Object.entries(byState)
      .map(([state, count]) => `${count} ${state}`)
      .join(", ");
    const stalled = stalledMs > 0 ? `, its disk stalled for ${stalledMs} ms` : "";
    const killed = `killed after ${killedAfterMs} ms${stalled}${wasKilledTwice ? ", and while it started" : ""}`;
    console.log(
      `seed ${seed}: ${killed}; ${calls} calls, ${seen} seen upstream, ${records} records: ${states}; ready again in ${restartMs} ms`,
    );
    if (problems.length === 0) continue;
    failed.push(seed);
    for (const problem of problems) console.log(`  ${problem}`);
  } catch (error) {
    failed.push(seed);
    console.log(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
  }
}

for (let round = 1; round <= Number(values.promises); round++) {
  const { problems, answered } = await tryPromises(promises, 6);
  console.log(`promises, round ${round}: ${answered} answers in whole, ${problems.length} not kept`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (problems.length > 0) failed.push(-round);
}

const sum = (of: (trial: Trial) => number) => done.reduce((total, trial) => total + of(trial), 0);
const seconds = (performance.now() - startedAt) / 1_000;
console.log(
  `${trials} trials from seed ${firstSeed} in ${seconds.toFixed(0)} s: ${sum(({ calls }) => calls)} calls, ` +
    `${sum(({ seen }) => seen)} seen upstream, ${sum(({ records }) => records)} records, ` +
    `${sum(({ byState }) => byState.unknown ?? 0)} of them unknown, ${sum(({ servedTokens }) => servedTokens)} tokens served; ` +
    `${failed.length} trials failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
