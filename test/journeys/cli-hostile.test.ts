// Names that others chose must not reach a terminal, a table or a spreadsheet as they are: each command, each format.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, send, until, upstreamKey } from "../support/gateway.ts";
import { createWorkspace, run, type Served, serve, type Workspace } from "../support/process.ts";
import { ctrlC, hasTerminals, openTerminal } from "../support/terminal.ts";

/** Clears the screen, sets the window's title, rings, C1's CSI, turns the direction, hides, ends the line; then a formula. */
const hostile = "\u001b[2J\u001b]0;t\u0007\u009b1m\u202e\u200b\u2066\ufeff\u2028\r\n\u007f\u{e0041}";
const formula = `=cmd|'/c calc'!A1${hostile}`;
const bad = /[^\P{C}\n\t]|[\u2028\u2029]/u;

let simulator: Simulator;
let workspace: Workspace;
let served: Served | null = null;
const env = () => ({ GLM_FLASH_API_KEY: upstreamKey, GLM_PROXY__GLM__BASE_URL: simulator.baseUrl });

async function glm(...args: string[]): Promise<{ code: number | string; out: string; err: string }> {
  const started = run(args, workspace, env());
  return { code: await started.exit, out: started.stdout(), err: started.stderr() };
}

before(async () => {
  simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 1, tokenMs: 1 });
  workspace = createWorkspace();
  await glm("group", "add", "lab");
  await glm("user", "add", "ada", "--admin");
  await glm("user", "add", "bob", "--group", "lab");
  const { out } = await glm("key", "add", "--owner", "bob", "--name", "laptop");
  const { secret } = JSON.parse(out) as { secret: string };
  const first = await serve([], workspace, env());
  for (const model of ["glm-4.5-flash", "glm-4.6"]) {
    await send(`${first.url}/v1/chat/completions`, { token: secret, body: { ...chat(), model } });
  }
  await first.stop();
  const database = new DatabaseSync(workspace.path(".local/share/glm-proxy/glm-proxy.sqlite"));
  database.exec("PRAGMA foreign_keys = OFF");
  const rename: [table: string, column: string][] = [
    ["groups", "name"],
    ["users", "name"],
    ["users", "group_name"],
    ["api_keys", "owner"],
    ["api_keys", "name"],
    ["calls", "user_name"],
    ["calls", "group_name"],
    ["calls", "model"],
    ["calls", "request_id"],
    ["calls", "upstream_key"],
  ];
  for (const [table, column] of rename) {
    database.prepare(`UPDATE ${table} SET ${column} = ? || ${column} WHERE ${column} <> 'ada'`).run(formula);
  }
  database.close();
  served = await serve([], workspace, env());
});

after(async () => {
  served?.child.kill("SIGKILL");
  await served?.exit;
  await simulator.close();
  workspace.remove();
});

const lists: readonly (readonly string[])[] = [
  ["user", "list"],
  ["user", "show", `${formula}bob`],
  ["group", "list"],
  ["group", "show", `${formula}lab`],
  ["key", "list", "--all"],
  ["key", "show", `${formula}laptop`],
  ...["user", "model", "key", "group", "day"].map((by) => ["usage", "--by", by]),
  ["calls"],
  ["ps"],
  ["doctor"],
];

describe("hostile names", () => {
  for (const command of lists) {
    const name = command.map((word) => (word.startsWith("=") ? "NAME" : word)).join(" ");
    const formats = command[0] === "usage" ? ["table", "csv", "json"] : ["table", "json"];
    for (const format of formats) {
      it(`are harmless in ${name} as ${format}`, async () => {
        const { code, out, err } = await glm(...command, "--format", format);
        assert.ok(code === 0 || command[0] === "doctor", `${code} ${err}`);
        const text = format === "csv" ? out.replaceAll("\r\n", "\n") : out;
        assert.doesNotMatch(text, bad);
        assert.doesNotMatch(err, bad);
        if (format === "json") assert.doesNotThrow(() => JSON.parse(out));
        if (format === "csv") assert.doesNotMatch(text, /^"?=/m);
        const showsNames = command[0] !== "doctor" && command[0] !== "ps" && !command.includes("day");
        const hasIdsOnly = format === "json" && command.includes("key") && command[0] === "usage";
        if (showsNames && !hasIdsOnly) assert.match(out, /calc/, "the name is there");
      });
    }
  }

  it("are harmless in JSON lines of tail, and as exact as before", async () => {
    const tail = run(["tail", "--json", "-n", "5"], workspace, env());
    await until("it shows what there was", () => tail.stdout().split("\n").length > 2);
    tail.child.kill("SIGINT");
    assert.equal(await tail.exit, 0);
    assert.doesNotMatch(tail.stdout(), bad);
    const [first = ""] = tail.stdout().split("\n");
    assert.ok((JSON.parse(first) as { model: string }).model.startsWith(formula));
  });

  it("are harmless in what commands refuse", async () => {
    const refused: string[][] = [
      [`x${hostile}`],
      ["user", `x${hostile}`],
      ["user", "show", `x${hostile}`],
      ["user", "add", `x${hostile}`],
      ["key", "show", `x${hostile}`],
      ["key", "add", "--owner", `x${hostile}`, "--name", `y${hostile}`],
      ["group", "show", `x${hostile}`],
      ["calls", "--user", `x${hostile}`],
      ["calls", "--state", `x${hostile}`],
      ["usage", "--from", `x${hostile}`],
      ["tail", "--lines", `x${hostile}`],
      ["ps", `--x${hostile}`],
      ["serve", "--config", `x${hostile}`],
      ["check", "--config", `x${hostile}`],
      ["serve", "--port", `x${hostile}`],
      ["doctor", "--config", `x${hostile}`],
      ["simulate", "--port", `x${hostile}`],
      ["simulate", "--host", `x${hostile}`],
      ["backup", `/none/x${hostile}`],
      ["connect", "claude", "--url", `x${hostile}`],
      ["healthcheck", `x${hostile}`],
      ["completions", `x${hostile}`],
    ];
    for (const command of refused) {
      const { code, out, err } = await glm(...command);
      assert.ok(typeof code === "number" && code > 0, `${JSON.stringify(command)}: ${code} ${out}`);
      assert.doesNotMatch(out + err, bad, JSON.stringify(command));
      assert.doesNotMatch(err, /^\s+at .*(?:node:|\.ts:)/m, `a stack: ${JSON.stringify(command)}`);
    }
  });

  it("are harmless in the log", async () => {
    const { out } = await glm("key", "list");
    assert.doesNotMatch(out, bad);
    await send(`${served?.url}/auth/login`, { body: { username: `x${hostile}`, password: "not the right one" } });
    assert.doesNotMatch(served?.stdout() ?? "", bad);
  });

  it("are harmless on a terminal", { skip: hasTerminals ? false : "no pseudo-terminals here" }, async () => {
    const main = new URL("../../src/main.ts", import.meta.url).pathname;
    const esc = String.fromCharCode(27);
    const own = new RegExp(`${esc}(?:\\[[0-9;?]*[mhlHJK])|[\r\n]`, "g");
    for (const command of [["tail", "-n", "5"], ["top"], ["calls"], ["user", "list"], ["key", "list"]]) {
      const terminal = openTerminal([process.execPath, main, ...command], workspace, env(), { columns: 160, rows: 40 });
      const lasts = command[0] === "tail" || command[0] === "top";
      await until("it shows something", () => terminal.text().includes(command[0] === "top" ? "calls wait" : "calc"));
      if (lasts) terminal.type(ctrlC);
      assert.equal(await terminal.exit, 0);
      const text = terminal.text();
      assert.doesNotMatch(text.replace(own, ""), bad, command.join(" "));
      assert.ok(!text.includes(`${esc}]`), command.join(" "));
      if (command[0] !== "top") assert.ok(!text.includes(`${esc}[2J`), command.join(" "));
    }
  });
});
