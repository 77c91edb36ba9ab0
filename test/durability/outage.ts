// Takes PostgreSQL away under load and looks whether anything was lost or doubled, or any login refused:
//   npm run test:outage -- --seconds 60 --seed 1

import { parseArgs } from "node:util";
import { startPostgres } from "../support/postgres.ts";
import { tryOutage } from "./outage-trial.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    kill: { type: "boolean", default: false },
  },
});
const postgres = await startPostgres();
if (!postgres?.server) {
  console.error("It needs PostgreSQL's binaries.");
  process.exitCode = 1;
} else {
  try {
    const { halt, resume } = postgres.server;
    const outage = { url: await postgres.createDatabase(), kill: () => halt("immediate"), start: resume };
    const outageMs = Number(values.seconds) * 1_000;
    const trial = await tryOutage(outage, { seed: Number(values.seed), outageMs, killsGateway: values.kill });
    const { calls, records, byState, logins, loginsRefused, spooledMax, deliveredAfterMs, problems } = trial;
    const states = Object.entries(byState).map(([state, count]) => `${count} ${state}`);
    console.log(
      `PostgreSQL gone for ${values.seconds} s: ${calls} calls, ${records} records (${states.join(", ")}), ` +
        `${logins} logins, ${loginsRefused} refused; at most ${spooledMax} changes in the spool, ` +
        `all delivered ${deliveredAfterMs} ms after it was back; ${problems.length} problems`,
    );
    for (const problem of problems) console.log(`  ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  } finally {
    await postgres.stop();
  }
}
