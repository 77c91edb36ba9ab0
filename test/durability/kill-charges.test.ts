// What calls are charged whose process was killed: by how far each had come upstream (docs/administration.md).

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, send, until } from "../support/gateway.ts";
import { createWorkspace, type Workspace } from "../support/process.ts";
import { compareStandings } from "./balance.ts";
import { admitPeople, readStandings, startProcess, upstreamKey, writeConfig } from "./gateway-process.ts";
import { databaseFile, readBooks } from "./kill-trial.ts";

const queued = 10;

describe("a gateway that is killed", () => {
  let workspace: Workspace;
  let simulator: Simulator;

  beforeEach(async () => {
    workspace = createWorkspace();
    simulator = await startSimulator({ apiKeys: [upstreamKey] });
    writeConfig(workspace, { baseUrl: simulator.baseUrl, concurrencyMax: 2 });
  });
  afterEach(async () => {
    await simulator.close();
    workspace.remove();
  });

  it("charges what it had sent by its estimate, and nothing for what was waiting", async () => {
    const served = await startProcess(workspace);
    const persons = await admitPeople(served);
    const ask = (id: string, words: string) =>
      send(`${served.url}/chat/completions`, {
        token: persons[0]?.token ?? "",
        body: chat(words, { stream: true }),
        headers: { "x-request-id": id },
      }).catch(() => null);
    const isSent = (id: string) =>
      readBooks(databaseFile(workspace)).records.some(
        ({ request_id, sent_at }) => request_id === id && sent_at !== null,
      );
    const calls = [ask("call-streaming", "[frames=10000] [delay=20]"), ask("call-silent", "[first=60000]")];
    await until("both are noted as sent", () => isSent("call-streaming") && isSent("call-silent"));
    for (let count = 0; count < queued; count++) calls.push(ask(`call-queued-${count}`, "hello"));
    const isNoted = () => readBooks(databaseFile(workspace)).records.length === calls.length;
    await until("all are noted", isNoted);
    served.child.kill("SIGKILL");
    await Promise.all([served.exit, ...calls]);
    assert.equal(simulator.report().callCount, 2);

    const restarted = await startProcess(workspace);
    const standings = await readStandings(restarted.url, persons);
    assert.equal(await restarted.stop(), 0);
    const { records } = readBooks(databaseFile(workspace));
    for (const {
      request_id,
      state,
      requests,
      prompt_tokens,
      completion_tokens,
      cost_micros,
      tokens_source,
    } of records) {
      assert.equal(state, "unknown");
      const wasSent = !request_id.startsWith("call-queued");
      assert.deepEqual([requests, tokens_source], wasSent ? [1, "estimated"] : [0, "none"], request_id);
      for (const amount of [prompt_tokens, completion_tokens, cost_micros]) assert.equal(amount > 0, wasSent);
    }
    assert.deepEqual(compareStandings(standings, records), []);
  });
});
