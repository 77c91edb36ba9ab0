// The command line beside a gateway that runs: over its socket, and over the network with an administrator's key.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { after, afterEach, before, describe, it } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, send, upstreamKey } from "../support/gateway.ts";
import { createWorkspace, type Run, run, type Served, serve, type Workspace } from "../support/process.ts";
import { until } from "../support/until.ts";

let simulator: Simulator;
let workspace: Workspace;
let served: Served;
const serverEnv = { GLM_FLASH_API_KEY: upstreamKey };

before(async () => {
  simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 5, tokenMs: 1 });
  workspace = createWorkspace();
  workspace.write(
    "config.toml",
    `
[server]
host = "127.0.0.1"
[[auth.users]]
username = "static"
password = "pass1234"
[glm]
base_url = "${simulator.baseUrl}"
[rate_limit]
requests_per_second = 2
queue_timeout_seconds = 20
[prices]
currency = "EUR"
[prices.models."glm-4.5*"]
input = 1000
output = 2000
`,
  );
  served = await serve([], workspace, serverEnv);
});

after(async () => {
  await served.stop();
  await simulator.close();
  workspace.remove();
});

interface Done {
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

async function glm(args: readonly string[], env: Record<string, string> = {}, input?: string): Promise<Done> {
  const started = run(args, workspace, env, input);
  const code = await started.exit;
  return { code, out: started.stdout(), err: started.stderr() };
}

async function json<Value>(args: readonly string[], env: Record<string, string> = {}): Promise<Value> {
  const { code, out, err } = await glm(args, env);
  assert.equal(code, 0, err);
  return JSON.parse(out) as Value;
}

async function makeKey(owner: string, ...more: string[]): Promise<string> {
  return (await json<{ secret: string }>(["key", "add", "--owner", owner, "--name", `of-${owner}`, ...more])).secret;
}

function call(key: string, body = chat()) {
  return send(`${served.url}/v1/chat/completions`, { token: key, body });
}

async function end(started: Run): Promise<number | string> {
  started.child.kill("SIGINT");
  return started.exit;
}

describe("over the socket", () => {
  it("makes people and keys that work at once, and void them at once", async () => {
    await json(["user", "add", "ada", "--no-password"]);
    const key = await makeKey("ada");
    assert.equal((await call(key)).status, 200);
    await json(["user", "disable", "ada"]);
    assert.equal((await call(key)).status, 401);
    await json(["user", "enable", "ada"]);
    assert.equal((await call(key)).status, 200);
    await json(["key", "revoke", key]);
    assert.equal((await call(key)).status, 401);
  });

  it("shows users of the configuration file, and says where they are changed", async () => {
    const users = await json<{ name: string; source: string }[]>(["user", "list"]);
    assert.ok(users.some(({ name, source }) => name === "static" && source === "config"));
    const { code, err } = await glm(["user", "set", "static", "--weight", "2"]);
    assert.equal(code, 1);
    assert.match(err, /Cannot change the user static: it comes from the configuration file\.\nChange it there/);
  });

  it("sums the usage in tables, CSV and JSON, in the configured currency", async () => {
    await json(["user", "add", "usage-user", "--no-password"]);
    const key = await makeKey("usage-user");
    for (let i = 0; i < 2; i++) assert.equal((await call(key)).status, 200);
    await until("both are in the ledger", async () => {
      const { data } = await json<{ data: { calls: number }[] }>(["usage", "--user", "usage-user"]);
      return data[0]?.calls === 2;
    });
    const report = await json<{
      currency: string;
      data: { cost: number; prompt_tokens: number; completion_tokens: number }[];
    }>(["usage", "--user", "usage-user", "--from", "today"]);
    const [row] = report.data;
    assert.ok(row);
    assert.equal(report.currency, "EUR");
    assert.ok(Math.abs(row.cost - (row.prompt_tokens * 1_000 + row.completion_tokens * 2_000) / 1e6) < 1e-9);

    const csv = await glm(["usage", "--by", "key", "--user", "usage-user", "--format", "csv"]);
    const [titles, line, ...rest] = csv.out.split("\r\n");
    assert.equal(titles, "key_id,key,calls,served,requests,prompt_tokens,completion_tokens,cost,currency");
    assert.match(line ?? "", /^[0-9a-f-]{36},usage-user\/of-usage-user,2,2,2,\d+,\d+,[\d.]+,EUR$/);
    assert.deepEqual(rest, [""]);
    const table = await glm(["usage", "--by", "model", "--format", "table"]);
    assert.match(
      table.out,
      /^MODEL +CALLS +SERVED +REQUESTS +PROMPT TOKENS +COMPLETION TOKENS +COST EUR\nglm-4\.5-flash /,
    );
  });

  it("lists calls by what is asked for, across pages", async () => {
    await json(["user", "add", "lister", "--no-password"]);
    const key = await makeKey("lister", "--models", "glm-4*");
    assert.equal((await call(key)).status, 200);
    assert.equal((await call(key, { ...chat(), model: "other" })).status, 403);
    await until(
      "both are in the ledger",
      async () => (await json<object[]>(["calls", "--user", "lister"])).length === 2,
    );
    const refused = await json<{ reason: string }[]>(["calls", "--user", "lister", "--state", "refused"]);
    assert.deepEqual(
      refused.map(({ reason }) => reason),
      ["model_not_allowed"],
    );
    assert.equal((await json<object[]>(["calls", "--key-id", key])).length, 2);
    assert.equal((await json<object[]>(["calls", "-n", "1"])).length, 1);
    assert.deepEqual(await json(["calls", "--user", "lister", "--from", "2099-01-01"]), []);
  });

  it("shows running and waiting calls with position and time to go", async () => {
    await json(["user", "add", "waiter", "--no-password"]);
    const key = await makeKey("waiter");
    const sent = Array.from({ length: 8 }, () => call(key));
    let queue = await json<{ waiting: { position: number; eta_ms: number; user: string }[] }>(["ps"]);
    await until("some wait", async () => {
      queue = await json(["ps", "--user", "waiter"]);
      return queue.waiting.length > 1;
    });
    assert.ok(queue.waiting.every(({ position, eta_ms: eta, user }) => position >= 1 && eta >= 0 && user === "waiter"));
    const { out } = await glm(["ps", "--format", "table"]);
    assert.match(out, /calls? waits?, of at most 20/);
    for (const { status } of await Promise.all(sent)) assert.equal(status, 200);
  });

  it("backs up while it runs, and leaves the tables to the server", async () => {
    const { file } = await json<{ file: string }>(["backup", "backup.sqlite"]);
    assert.ok(existsSync(file));
    assert.equal(readFileSync(file).subarray(0, 15).toString(), "SQLite format 3");
    const { code, err } = await glm(["migrate", "status"]);
    assert.equal(code, 69);
    assert.match(err, /the running gateway has it/);
  });

  it("is looked at by the doctor, who needs no upstream key for that", async () => {
    const { code, out } = await glm(["doctor"]);
    assert.equal(code, 0, out);
    const findings = JSON.parse(out) as { level: string; what: string; text: string }[];
    assert.ok(findings.some(({ what, text }) => what === "server" && text.startsWith("a gateway runs here")));
    assert.ok(findings.some(({ what, level }) => what === "limits" && level === "ok"));
    assert.match(findings.find(({ what }) => what === "key")?.text ?? "", /only the running gateway has it/);
  });
});

describe("over the network", () => {
  it("does the same with an administrator's key of scope admin, and with no other", async () => {
    await json(["user", "add", "root", "--admin", "--no-password"]);
    const admin = await makeKey("root", "--scope", "admin");
    const calls = await json<{ secret: string }>(["key", "add", "--owner", "root", "--name", "calls"]);
    const env = (key: string) => ({ GLM_PROXY_URL: served.url, GLM_PROXY_KEY: key });
    assert.ok((await json<object[]>(["user", "list"], env(admin))).length > 0);
    // The owner is who asks.
    const mine = await json<{ key: { owner: string } }>(["key", "add", "--name", "mine"], env(admin));
    assert.equal(mine.key.owner, "root");

    const weak = await glm(["user", "list"], env(calls.secret));
    assert.equal(weak.code, 1);
    assert.match(weak.err, /the key may not do this\.\nIt needs scope admin/);
    const wrong = await glm(["user", "list"], env("glmp_wrong"));
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /does not accept the key/);
    assert.match((await glm(["backup", "x"], env(admin))).err, /Cannot back up over the network/);
    const other = await glm(["user", "list"], { GLM_PROXY_URL: simulator.origin, GLM_PROXY_KEY: admin });
    assert.match(other.err, /is that the gateway's base URL\?/);
  });
});

describe("tail", () => {
  const following: Run[] = [];

  afterEach(() => {
    for (const { child } of following.splice(0)) child.kill("SIGKILL");
  });

  function follow(user: string, lines = "1"): Run {
    const tail = run(["tail", "--user", user, "-n", lines], workspace);
    following.push(tail);
    return tail;
  }

  it("begins with the last calls, follows those that end, and ends with Ctrl-C", async () => {
    await json(["user", "add", "tailed", "--no-password"]);
    const key = await makeKey("tailed");
    assert.equal((await call(key)).status, 200);
    await until("it is in the ledger", async () => (await json<object[]>(["calls", "--user", "tailed"])).length === 1);
    const tail = follow("tailed");
    const lines = () => tail.stdout().split("\n").filter(Boolean);
    await until("the last one is there", () => lines().length === 1);
    assert.equal((await call(key)).status, 200);
    await until("the new one is there", () => lines().length === 2);
    const ids = lines().map((line) => (JSON.parse(line) as { id: string; user: string; state: string }).id);
    assert.equal(new Set(ids).size, 2);
    assert.equal(await end(tail), 0);
    const longer = follow("tailed", "3");
    await until("all that there are", () => longer.stdout().split("\n").length === 3);
    assert.equal(await end(longer), 0);
  });

  it("goes on after a restart of the server, and misses nothing that ended meanwhile", async () => {
    await json(["user", "add", "survivor", "--no-password"]);
    const key = await makeKey("survivor");
    assert.equal((await call(key)).status, 200);
    const tail = follow("survivor");
    const lines = () => tail.stdout().split("\n").filter(Boolean);
    await until("the first one is there", () => lines().length === 1);
    await served.stop();
    served = await serve([], workspace, serverEnv);
    assert.equal((await call(key)).status, 200);
    assert.equal((await call(key)).status, 200);
    await until("both are there", () => lines().length === 3, 10_000);
    assert.match(tail.stderr(), /waiting for the server/);
    assert.equal(await end(tail), 0);
  });

  it("ends when nobody reads it any more", async () => {
    await json(["user", "add", "piped", "--no-password"]);
    const key = await makeKey("piped");
    assert.equal((await call(key)).status, 200);
    const tail = follow("piped");
    await until("it follows", () => tail.stdout() !== "");
    tail.child.stdout?.destroy();
    assert.equal((await call(key)).status, 200);
    assert.equal(await tail.exit, 0);
  });
});

const hasScript = spawnSync("script", ["--version"]).status === 0;

const opened: ChildProcess[] = [];

describe("on a terminal", { skip: hasScript ? false : "there is no `script` here" }, () => {
  afterEach(() => {
    for (const child of opened.splice(0)) child.kill("SIGKILL");
  });

  /** In a pseudo-terminal of 100 columns and 24 rows. `type` sends keys. */
  function open(command: string, env: Record<string, string> = {}) {
    const main = new URL("../../src/main.ts", import.meta.url).pathname;
    const line = `stty rows 24 cols 100; exec '${process.execPath}' '${main}' ${command}`;
    const child = spawn("script", ["-qec", line, "/dev/null"], {
      cwd: workspace.folder,
      env: { PATH: process.env.PATH ?? "", HOME: workspace.folder, TERM: "xterm", SHELL: "/bin/sh", ...env },
      stdio: "pipe",
    });
    opened.push(child);
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    const exit = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
    return { text: () => text, type: (keys: string) => void child.stdin.write(keys), exit };
  }

  const esc = String.fromCharCode(27);

  it("prints a table in colour, without colour with NO_COLOR, and JSON where it is asked for", async () => {
    const table = open("user list");
    assert.equal(await table.exit, 0);
    assert.ok(table.text().includes(`${esc}[2mNAME`));
    const plain = open("user list", { NO_COLOR: "1" });
    assert.equal(await plain.exit, 0);
    assert.match(plain.text(), /^NAME/);
    assert.ok(!plain.text().includes(esc));
    const forced = open("user list --json");
    assert.equal(await forced.exit, 0);
    assert.ok(Array.isArray(JSON.parse(forced.text())));
  });

  it("asks for a password twice without showing it, makes one when none is typed, and does nothing on Ctrl-C", async () => {
    const typed = open("user add typist");
    await until("it asks", () => typed.text().includes("Password for typist"));
    typed.type("a long password\r");
    await until("it asks again", () => typed.text().includes("Again"));
    typed.type("a long password\r");
    assert.equal(await typed.exit, 0);
    assert.match(typed.text(), /Added the user typist\./);
    assert.doesNotMatch(typed.text(), /a long password/);
    const login = { username: "typist", password: "a long password" };
    assert.equal((await send(`${served.url}/auth/login`, { body: login })).status, 200);

    const other = open("user add mistyped");
    await until("it asks", () => other.text().includes("Password for"));
    other.type("a long password\r");
    await until("it asks again", () => other.text().includes("Again"));
    other.type("another password\r");
    assert.equal(await other.exit, 2);
    assert.match(other.text(), /the two passwords are not the same/);

    const made = open("user passwd typist");
    await until("it asks", () => made.text().includes("Password for"));
    made.type("\r");
    assert.equal(await made.exit, 0);
    assert.match(made.text(), /Password: \w{5}-/);

    const broken = open("user passwd typist");
    await until("it asks", () => broken.text().includes("Password for"));
    broken.type("\u0003");
    assert.equal(await broken.exit, 1);
    assert.match(broken.text(), /Nothing was done/);
  });

  it("asks before it removes, and shows lines to copy with a new key", async () => {
    const key = open("key add --owner typist --name copy");
    assert.equal(await key.exit, 0);
    assert.match(key.text(), /OPENAI_BASE_URL=http:\/\/127\.0\.0\.1:\w+\/v1[\s\S]*OPENAI_API_KEY=glmp_\w{49}/);
    const kept = open("user remove typist");
    await until("it asks", () => kept.text().includes("[y/N]"));
    assert.match(kept.text(), /Remove typist and 1 working API key\?/);
    kept.type("\r");
    assert.equal(await kept.exit, 1);
    const removed = open("user remove typist");
    await until("it asks", () => removed.text().includes("[y/N]"));
    removed.type("y\r");
    assert.equal(await removed.exit, 0);
  });

  it("draws top on the other screen until q or Ctrl-C, and gives the terminal back", async () => {
    for (const key of ["q", "\u0003"]) {
      const top = open("top");
      await until("it draws", () => top.text().includes("upstream key default"));
      top.type(key);
      assert.equal(await top.exit, 0);
      assert.ok(top.text().startsWith(`${esc}[?1049h${esc}[?25l`));
      assert.ok(top.text().endsWith(`${esc}[?25h${esc}[?1049l`));
    }
  });

  it("writes a first configuration by questions", async () => {
    const init = open("init -c asked.toml");
    const answers: [string, string][] = [
      ["Where is your GLM key from", "zai\r"],
      ["Your GLM key", "typed-key\r"],
      ["Keep it in .env", "config\r"],
      ["How many calls may start", "many\r"],
      ["Please type a number", "3\r"],
      ["How many calls at once", "\r"],
      ["Who is to reach", "alone\r"],
      ["On which port", "9090\r"],
    ];
    for (const [question, answer] of answers) {
      await until(question, () => init.text().includes(question));
      init.type(answer);
    }
    assert.equal(await init.exit, 0);
    assert.doesNotMatch(init.text(), /typed-key/);
    const text = readFileSync(workspace.path("asked.toml"), "utf8");
    for (const line of [
      'host = "127.0.0.1"',
      "port = 9090",
      "requests_per_second = 3",
      'api_key = "typed-key"',
      "api.z.ai",
    ]) {
      assert.ok(text.includes(line), line);
    }
  });
});
