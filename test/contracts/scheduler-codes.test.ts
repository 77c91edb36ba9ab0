// Each of GLM's business codes from the answer to its consequences: what the upstream stage reads in it, and what
// admission shuts then: the key, its account, the model on either, or nothing; and who may have the call instead.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LaneState } from "../../src/admission/scheduler.ts";
import { judgeError } from "../../src/upstream/verdict.ts";
import { CoreDriver, type DrivenCall } from "../simulation/core-driver.ts";
import { keyOf, poolOf } from "./scheduler-pool.contract.ts";

type Shuts = "key" | "account" | "model on key" | "model on account" | "nothing";

/** What it shuts, and whether the call is worth another try where there are other keys. */
interface Row {
  readonly codes: readonly string[];
  readonly status: number;
  readonly message?: string;
  readonly shuts: Shuts;
  readonly isTriedAgain: boolean;
}

const at = Date.parse("2026-09-10T00:00:00+08:00");
const reset = "Your limit will reset at 2026-09-10 05:00:00";

const rows: readonly Row[] = [
  { codes: ["401", "1000", "1001", "1002", "1003", "1004"], status: 401, shuts: "key", isTriedAgain: true },
  { codes: ["1110", "1111", "1112", "1121"], status: 429, shuts: "key", isTriedAgain: true },
  { codes: ["1309", "1314", "1315"], status: 429, shuts: "key", isTriedAgain: true },
  { codes: ["1311"], status: 429, shuts: "model on key", isTriedAgain: true },
  { codes: ["1113", "1304"], status: 429, shuts: "model on account", isTriedAgain: true },
  {
    codes: ["1308", "1310", "1316", "1317", "1318"],
    status: 429,
    message: reset,
    shuts: "model on account",
    isTriedAgain: true,
  },
  { codes: ["1305", "1312"], status: 529, shuts: "model on account", isTriedAgain: true },
  { codes: ["1302"], status: 429, shuts: "model on account", isTriedAgain: true },
  { codes: ["1303"], status: 429, shuts: "account", isTriedAgain: true },
  { codes: ["1313"], status: 429, shuts: "model on account", isTriedAgain: true },
  { codes: ["500", "1200", "1230", "1234", "1100", "1120"], status: 500, shuts: "nothing", isTriedAgain: true },
  { codes: ["1210", "1211", "1214", "1261", "1301", "1231"], status: 400, shuts: "nothing", isTriedAgain: false },
];

/** What is shut of the first of three keys, of which the second is of its account. */
function findShut(lanes: readonly LaneState[]): Shuts {
  const laneOf = (key: string, model: string | null) =>
    lanes.find((lane) => lane.upstreamKey === key && lane.model === model);
  if ((laneOf("a", null)?.blockedMs ?? 0) > 0) return (laneOf("b", null)?.blockedMs ?? 0) > 0 ? "account" : "key";
  const [own, siblings] = [laneOf("a", "glm-4.6"), laneOf("b", "glm-4.6")];
  if ((own?.blockedMs ?? 0) > 0) return (siblings?.blockedMs ?? 0) > 0 ? "model on account" : "model on key";
  return "nothing";
}

describe("GLM's business codes", () => {
  for (const { codes, status, message = "no", shuts, isTriedAgain } of rows) {
    for (const code of codes) {
      it(`${code}: shuts ${shuts}, and the call ${isTriedAgain ? "may go elsewhere" : "is done with"}`, () => {
        const account = { account: "lab" };
        const driver = new CoreDriver(poolOf([keyOf("a", account), keyOf("b", account), keyOf("c")]));
        // Two at once on the first, so that one may be one too many.
        const onFirst: DrivenCall[] = [];
        while (onFirst.length < 2) {
          const call = driver.offer({ model: "glm-4.6" });
          driver.send(call);
          if (call.grant?.upstreamKey === "a") onFirst.push(call);
        }
        const grant = onFirst[1]?.grant;
        assert.ok(grant);
        const { verdict } = judgeError({ status, code, message, retryAfterMs: null }, at);
        assert.equal(driver.core.report(grant, verdict, driver.now), isTriedAgain);
        assert.equal(findShut(driver.core.gauges(driver.now).lanes), shuts);
        assert.equal(driver.offer({ model: "glm-4.6" }).state, "granted", "another key is left");
      });
    }
  }
});
