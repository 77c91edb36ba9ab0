// What somebody sees who runs the gateway for the first time: the next step is always named, and nothing is cut.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { measureWidth } from "../../src/commands/output/display-width.ts";
import { upstreamKey } from "../support/gateway.ts";
import { createWorkspace, run, type Workspace } from "../support/process.ts";
import { ctrlC, hasTerminals, openTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;
let workspace: Workspace;

beforeEach(() => {
  workspace = createWorkspace();
});
afterEach(() => workspace.remove());

describe("the first start", () => {
  it("without a key, or with a file that is not there, names init", async () => {
    for (const args of [["serve"], ["serve", "--config", "none.toml"], ["check"], ["check", "--config", "none.toml"]]) {
      const started = run(args, workspace);
      assert.equal(await started.exit, 78);
      assert.match(started.stderr(), /glm-proxy init/, args.join(" "));
    }
    const doctor = run(["doctor", "--format", "table"], workspace);
    assert.equal(await doctor.exit, 1);
    assert.match(doctor.stdout(), /glm-proxy init/);
  });

  it("of a simulator on a taken port says so in words, and how to take another", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const started = run(["simulate", "--port", String(port)], workspace);
    assert.equal(await started.exit, 69);
    assert.match(
      started.stderr(),
      /another program listens there already\. Stop it, or choose another port with --port/,
    );
    assert.doesNotMatch(started.stderr(), /EADDRINUSE/);
    taken.close();
  });
});

describe("on a terminal", { skip: hasTerminals ? false : "there are no pseudo-terminals here" }, () => {
  const env = { GLM_FLASH_API_KEY: upstreamKey, GLM_PROXY__GLM__BASE_URL: "http://127.0.0.1:9/api/paas/v4" };
  const open = (args: readonly string[], columns: number, more: Record<string, string> = env) =>
    openTerminal([process.execPath, main, ...args], workspace, { ...more, NO_COLOR: "1" }, { columns, rows: 40 });
  const linesOf = (text: string) => text.split(/\r?\n/);

  for (const columns of [80, 120]) {
    it(`${columns} columns wide breaks the doctor's and the errors' lines between words`, async () => {
      const folder = "a".repeat(100);
      workspace.write("config.toml", `[server]\nport = "many"\nqueue_capacityy = 3\n[glm]\nbase_url = "${folder}"\n`);
      const good = open(["doctor", "--config", "/dev/null"], columns);
      const bad = open(["check"], columns, {});
      await good.exit;
      await bad.exit;
      for (const text of [good.text(), bad.text()]) {
        for (const line of linesOf(text)) {
          const isOneWord = !line.trim().includes(" ");
          assert.ok(measureWidth(line) <= columns || isOneWord, `${measureWidth(line)}: ${line}`);
        }
      }
      assert.match(good.text(), /→/);
      assert.match(bad.text(), /problems/);
    });
  }

  it("starts without users by naming how to add one, and no login of somebody who is not there", async () => {
    const terminal = open(["serve", "--port", "0"], 100);
    await until("it is ready", () => terminal.text().includes("Chat:"), 15_000);
    terminal.type(ctrlC);
    assert.equal(await terminal.exit, 0);
    assert.match(terminal.text(), /glm-proxy user add NAME/);
    assert.match(terminal.text(), /glm-proxy key add --owner NAME --name laptop/);
    assert.doesNotMatch(terminal.text(), /user1|auth\/login/);
  });
});
