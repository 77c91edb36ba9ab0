// npm run bench:ledger: what the ledger costs a call. One gateway, whose ledger is switched off and on between rounds of
// the same load; its CPU time is that of this process, the database's threads included. The simulator and the clients
// are another process. `--calls 4000` per round, `--rounds 5`, `--at 1,16,64` calls at once.

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ChildReply, ChildRequest } from "./ledger-cost/child.ts";
import { openGateway } from "./ledger-cost/gateway.ts";
import { describeMachine } from "./scheduling/machine.ts";

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "4000" },
    rounds: { type: "string", default: "5" },
    at: { type: "string", default: "1,16,64" },
  },
});
const [calls, rounds] = [Number(values.calls), Number(values.rounds)];
const folder = mkdtempSync(join(tmpdir(), "glm-proxy-bench-"));
const child = fork(new URL("ledger-cost/child.ts", import.meta.url).pathname);

function ask(request: ChildRequest): Promise<ChildReply> {
  child.send(request);
  return new Promise((resolve, reject) => {
    child.removeAllListeners("exit");
    child.once("message", (reply) => resolve(reply as ChildReply));
    child.once("exit", () => reject(new Error("the other process has ended")));
  });
}

try {
  console.log(`${describeMachine()}\n`);
  const { baseUrl } = await ask({ kind: "start" });
  const gateway = await openGateway(baseUrl, folder);
  /** Microseconds of CPU for each call. */
  async function measure(hasLedger: boolean, concurrency: number, count: number): Promise<number> {
    gateway.switchLedger(hasLedger);
    const before = process.cpuUsage();
    await ask({ kind: "call", url: gateway.url, token: gateway.token, count, concurrency });
    await gateway.isIdle();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / count;
  }

  console.log("calls at once   without   with   more   ratio   (µs of CPU a call, medians)");
  for (const concurrency of values.at.split(",").map(Number)) {
    // Nobody measures a program that is still being compiled.
    for (const hasLedger of [false, true]) await measure(hasLedger, concurrency, calls);
    const without: number[] = [];
    const within: number[] = [];
    for (let round = 0; round < rounds; round++) {
      without.push(await measure(false, concurrency, calls));
      within.push(await measure(true, concurrency, calls));
    }
    const [off, on] = [median(without), median(within)];
    const cells = [concurrency, off.toFixed(0), on.toFixed(0), (on - off).toFixed(0), (on / off).toFixed(2)];
    console.log(cells.map((cell, index) => String(cell).padStart([13, 10, 7, 7, 8][index] ?? 0)).join(""));
  }
  await gateway.close();
} finally {
  child.kill();
  rmSync(folder, { recursive: true, force: true });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[numbers.length >> 1] as number;
}
