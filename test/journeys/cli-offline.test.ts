// The command line on a machine where no gateway runs: a first configuration, people and keys straight in the database,
// and the doctor.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { upstreamKey } from "../support/gateway.ts";
import { createWorkspace, run, type Workspace } from "../support/process.ts";

let workspace: Workspace;

beforeEach(() => {
  workspace = createWorkspace();
});

afterEach(() => workspace.remove());

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

/** What a command that must succeed printed as JSON. */
async function json<Value>(args: readonly string[], env: Record<string, string> = {}, input?: string): Promise<Value> {
  const { code, out, err } = await glm(args, env, input);
  assert.equal(code, 0, err);
  return JSON.parse(out) as Value;
}

const database = () => workspace.path(".local/share/glm-proxy/glm-proxy.sqlite");

describe("people and keys without a server", () => {
  it("are made, shown, changed and removed; the upstream key is not needed for it", async () => {
    const first = await glm(["user", "add", "ada", "--admin"]);
    assert.equal(first.code, 0, first.err);
    assert.match(first.err, /there was no database: made .*glm-proxy\.sqlite/);
    const { user, password } = JSON.parse(first.out) as { user: { role: string }; password: string };
    assert.equal(user.role, "admin");
    assert.match(password, /^\w{5}(-\w{5}){3}$/);
    assert.equal(statSync(database()).mode & 0o777, 0o600);

    await json(["group", "add", "学生", "--member-limit", "requests/day=500", "--class", "batch"]);
    const bob = await json<{ user: object; password?: string }>(
      [
        "user",
        "add",
        "王小明",
        "--group",
        "学生",
        "--limit",
        "tokens/day=1000",
        "--expires",
        "30d",
        "--password-stdin",
      ],
      {},
      "correct horse battery\n",
    );
    assert.equal(bob.password, undefined);
    assert.doesNotMatch(JSON.stringify(bob), /correct horse/);

    const changed = await json<{ limits: object; effective: object }>([
      "user",
      "set",
      "王小明",
      "--limit",
      "tokens/day=none",
      "--limit",
      "concurrency=2",
      "--no-expires",
      "--weight",
      "2",
    ]);
    assert.deepEqual(changed.limits, { concurrency: 2 });
    assert.deepEqual(changed.effective, {
      weight: 2,
      class: "batch",
      limits: { "requests/day": 500, concurrency: 2 },
      runs_jobs: false,
    });

    const made = await json<{ key: { id: string }; secret: string }>([
      "key",
      "add",
      "--owner",
      "王小明",
      "--name",
      "laptop",
      "--models",
      "glm-4*",
      "--expires",
      "2099-01-01",
    ]);
    assert.match(made.secret, /^glmp_[A-Za-z0-9]{49}$/);
    const rotated = await json<{ secret: string }>(["key", "rotate", "laptop", "--overlap", "1h"]);
    assert.notEqual(rotated.secret, made.secret);
    const ambiguous = await glm(["key", "revoke", "laptop"]);
    assert.equal(ambiguous.code, 1);
    assert.match(ambiguous.err, /Name it by its first characters/);
    // Whoever pastes the whole key means this one.
    await json(["key", "revoke", made.secret]);
    const keys = await json<{ state: string }[]>(["key", "list", "--all"]);
    assert.deepEqual(
      keys.map(({ state }) => state),
      ["revoked", "active"],
    );
    assert.doesNotMatch(JSON.stringify(keys), new RegExp(`${made.secret}|${rotated.secret}`));

    assert.equal((await glm(["user", "remove", "王小明"])).code, 2);
    assert.equal((await glm(["user", "remove", "王小明", "--yes"])).code, 0);
    assert.equal((await glm(["group", "remove", "学生"])).code, 0);
    const users = await json<{ name: string }[]>(["user", "list"]);
    assert.deepEqual(
      users.map(({ name }) => name),
      ["ada"],
    );
  });

  it("are given the right to jobs, and a user's keys are changed and revoked at once", async () => {
    const lab = await json<{ runs_jobs: boolean }>(["group", "add", "lab", "--limit", "cost/month=5", "--jobs"]);
    assert.equal(lab.runs_jobs, true);
    const limited = ["user", "add", "ada", "--no-password", "--group", "lab", "--limit", "tokens/day=500"];
    type Ada = { runs_jobs: boolean | null; effective: { runs_jobs: boolean } };
    const { user: ada } = await json<{ user: Ada }>(limited);
    assert.deepEqual([ada.runs_jobs, ada.effective.runs_jobs], [null, true]);
    assert.equal((await json<Ada>(["user", "set", "ada", "--no-jobs"])).effective.runs_jobs, false);
    for (const name of ["laptop", "phone"]) await json(["key", "add", "--owner", "ada", "--name", name]);
    const changed = await json<{ runs_jobs: boolean; is_locked: boolean; models: string[]; limits: object }>([
      ...["key", "set", "laptop", "--jobs", "--models", "glm-4*", "--limit", "requests/day=5"],
    ]);
    assert.deepEqual([changed.runs_jobs, changed.is_locked, changed.models], [true, true, ["glm-4*"]]);
    assert.deepEqual(changed.limits, { "requests/day": 5 });
    assert.equal(
      (await json<{ is_locked: boolean }>(["key", "set", "laptop", "--no-models", "--limit", "requests/day=none"]))
        .is_locked,
      false,
    );
    assert.equal((await glm(["key", "set", "laptop"])).code, 2);
    assert.equal((await glm(["key", "revoke"])).code, 2);
    assert.equal((await glm(["key", "revoke", "laptop", "--owner", "ada", "--yes"])).code, 2);
    assert.equal((await glm(["key", "revoke", "--owner", "ada"])).code, 2, "nobody can be asked");
    assert.equal((await json<object[]>(["key", "revoke", "--owner", "ada", "--yes"])).length, 2);
    assert.deepEqual(await json(["key", "list"]), []);
  });

  it("are a table where one is asked for, aligned by width on the screen", async () => {
    await glm(["user", "add", "王小明", "--no-password"]);
    await glm(["user", "add", "ada", "--no-password", "--admin"]);
    const { out } = await glm(["user", "list", "--format", "table"]);
    assert.equal(
      out,
      "NAME    ROLE   WEIGHT  CLASS    STATE\nada     admin       1  default  active\n王小明  user        1  default  active\n",
    );
  });

  it("can't be looked at where there is no database, which is not made by looking", async () => {
    const { code, err } = await glm(["user", "list"]);
    assert.equal(code, 69);
    assert.match(err, /there is no database at .*\n.*--data/);
    assert.ok(!existsSync(database()));
  });

  it("are refused in words that say what to do", async () => {
    await glm(["user", "add", "ada", "--no-password"]);
    const refusals: [string[], number, RegExp][] = [
      [["user", "add", "ada", "--no-password"], 1, /Cannot add the user ada: there is a user ada already/],
      [["user", "add", "x\u001b[31m", "--no-password"], 1, /Cannot add the user x\?\[31m: name: /],
      [["user", "show", "nobody"], 1, /there is no user/],
      [["user", "set", "ada"], 2, /Nothing was named/],
      [["user", "set", "ada", "--limit", "request/day=1"], 2, /did you mean requests\/day/],
      [["user", "set", "ada", "--expires", "2001-01-01"], 2, /over already/],
      [["key", "add", "--owner", "ada"], 2, /say what it is for with --name/],
      [["key", "add", "--name", "x", "--owner", "ada", "--scope", "admin"], 1, /no administrator/],
      [["key", "revoke", "nope"], 1, /Cannot find the key nope/],
      [["usage", "--from", "yesterdai"], 2, /must be like 2026-11-01/],
      [["usage", "--by", "moon"], 2, /Allowed choices/],
      [["usr"], 2, /unknown command 'usr': did you mean user\?/],
      [["user", "lst"], 2, /unknown command 'lst'/],
      [["ps"], 69, /No gateway runs here/],
      [["tail"], 69, /No gateway runs here/],
      [["top"], 2, /top needs a terminal/],
      [["prune", "--before", "2026-01-01"], 2, /--yes/],
      [["user", "list", "--url", "https://x.invalid"], 2, /a key is missing/],
      [["user", "list", "--url", "ftp://x", "--key", "k"], 2, /must be like https/],
      [["user", "list", "--url", "http://127.0.0.1:1", "--key", "k"], 69, /nothing listens there/],
      [["completions", "tcsh"], 2, /known are bash, zsh, fish/],
    ];
    for (const [args, code, words] of refusals) {
      const done = await glm(args);
      assert.equal(done.code, code, `${args.join(" ")}: ${done.err}`);
      assert.match(done.err, words);
      assert.doesNotMatch(done.err, / {4}at /);
    }
  });

  it("are written in one process at a time", async () => {
    await glm(["user", "add", "ada", "--no-password"]);
    const both = await Promise.all(["one", "two"].map((name) => glm(["user", "add", name, "--no-password"])));
    for (const { code, err } of both) if (code !== 0) assert.match(err, /another process holds its database/);
    assert.ok(both.some(({ code }) => code === 0));
  });
});

describe("backup and migrations without a server", () => {
  it("copy the database, and say how its tables are", async () => {
    await glm(["user", "add", "ada", "--no-password"]);
    const { file } = await json<{ file: string }>(["backup", "copy.sqlite"]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const again = await glm(["backup", "copy.sqlite"]);
    assert.equal(again.code, 1);
    assert.match(again.err, /exists already/);

    const states = await json<{ applied_at: string | null }[]>(["migrate", "status"]);
    assert.ok(states.length > 0 && states.every(({ applied_at: at }) => at !== null));
    assert.deepEqual(await json(["migrate", "up"]), { applied: [] });
  });

  it("restore by putting the copy in the database's place", async () => {
    await glm(["user", "add", "ada", "--no-password"]);
    await json(["backup", "copy.sqlite"]);
    await glm(["user", "add", "later", "--no-password"]);
    writeFileSync(database(), readFileSync(workspace.path("copy.sqlite")), { mode: 0o600 });
    const users = await json<{ name: string }[]>(["user", "list"]);
    assert.deepEqual(
      users.map(({ name }) => name),
      ["ada"],
    );
  });
});

describe("init", () => {
  it("writes a configuration that is valid, with the key apart, both for the owner alone", async () => {
    const { code, out, err } = await glm(
      ["init", "--yes", "--port", "9090", "--rate", "0.5", "--key-stdin"],
      {},
      "my.key-1\n",
    );
    assert.equal(code, 0, err);
    assert.match(out, /Wrote config\.toml[\s\S]*Next:[\s\S]*glm-proxy serve/);
    assert.doesNotMatch(out, /my\.key-1/);
    for (const name of ["config.toml", ".env"]) assert.equal(statSync(workspace.path(name)).mode & 0o777, 0o600);
    assert.equal(readFileSync(workspace.path(".env"), "utf8"), "GLM_FLASH_API_KEY=my.key-1\n");
    const checked = await glm(["check"]);
    assert.equal(checked.code, 0, checked.err);
    assert.match(checked.out, /server\.port +9090/);
    assert.match(checked.out, /rate_limit\.requests_per_second +0\.5/);
  });

  it("can keep the key in the file, and takes none that the environment has", async () => {
    await glm(["init", "--yes", "--key-stdin", "--key-in", "config"], {}, 'k"e\\y');
    assert.ok(!existsSync(workspace.path(".env")));
    assert.equal((await glm(["check"])).code, 0);
    const { out } = await glm(["init", "--yes", "-c", "other.toml"], { GLM_FLASH_API_KEY: "x".repeat(20) });
    assert.doesNotMatch(out, /YOUR-KEY/);
    assert.doesNotMatch(readFileSync(workspace.path("other.toml"), "utf8"), /xxx/);
  });

  it("overwrites nothing unless it is told to, and keeps the old file even then", async () => {
    workspace.write("config.toml", "# mine\n");
    workspace.write(".env", "OTHER=1\nGLM_FLASH_API_KEY=old\n");
    const refused = await glm(["init", "--yes"]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /config\.toml is there already/);
    const refusedKey = await glm(["init", "--yes", "-c", "new.toml", "--key-stdin"], {}, "new");
    assert.match(refusedKey.err, /\.env has a GLM_FLASH_API_KEY already/);
    assert.ok(!existsSync(workspace.path("new.toml")));

    assert.equal((await glm(["init", "--yes", "--force", "--key-stdin"], {}, "new")).code, 0);
    assert.equal(readFileSync(workspace.path("config.toml.old"), "utf8"), "# mine\n");
    assert.equal(readFileSync(workspace.path(".env"), "utf8"), "OTHER=1\nGLM_FLASH_API_KEY=new\n");
  });
});

describe("doctor", () => {
  interface Finding {
    readonly level: string;
    readonly what: string;
    readonly text: string;
    readonly fix: string | null;
  }

  async function examine(args: string[] = [], env: Record<string, string> = {}) {
    const { code, out, err } = await glm(["doctor", ...args], env);
    assert.equal(err, "");
    return { code, findings: JSON.parse(out) as Finding[] };
  }

  async function withSimulator(use: (simulator: Simulator) => Promise<void>): Promise<void> {
    const simulator = await startSimulator({ apiKeys: [upstreamKey] });
    try {
      workspace.write("config.toml", `[glm]\nbase_url = "${simulator.baseUrl}"\n`);
      await use(simulator);
    } finally {
      await simulator.close();
    }
  }

  const troubles = (findings: readonly Finding[]) => findings.filter(({ level }) => level !== "ok");

  it("finds nothing wrong where nothing is, and asks the upstream only when told to", async () => {
    await withSimulator(async (simulator) => {
      const env = { GLM_FLASH_API_KEY: upstreamKey };
      const quiet = await examine([], env);
      assert.deepEqual([quiet.code, troubles(quiet.findings)], [0, []]);
      assert.equal(simulator.report().callCount, 0);
      const online = await examine(["--online"], env);
      assert.deepEqual([online.code, troubles(online.findings)], [0, []]);
      assert.ok(online.findings.some(({ text }) => text.startsWith("the upstream takes the key")));
      assert.ok(online.findings.some(({ what }) => what === "clock"));
      assert.doesNotMatch(JSON.stringify(online), new RegExp(upstreamKey.replace(".", "\\.")));
    });
  });

  it("tells of a key that the upstream does not take, and of a missing one", async () => {
    await withSimulator(async () => {
      const wrong = await examine(["--online"], { GLM_FLASH_API_KEY: "wrong.key-0123456789" });
      assert.equal(wrong.code, 1);
      assert.match(troubles(wrong.findings)[0]?.text ?? "", /does not take the key/);
      const missing = await examine();
      assert.equal(missing.code, 1);
      assert.equal(troubles(missing.findings)[0]?.text, "there is no upstream key");
    });
  });

  it("tells of an upstream that can't be reached, and of every problem of the configuration", async () => {
    workspace.write("config.toml", '[glm]\nbase_url = "http://127.0.0.1:1/api"\n');
    const unreachable = await examine([], { GLM_FLASH_API_KEY: upstreamKey });
    assert.equal(unreachable.code, 1);
    assert.match(troubles(unreachable.findings)[0]?.text ?? "", /cannot connect .*: nothing listens there/);
    workspace.write("config.toml", '[server]\nport = "x"\nhots = "y"\n');
    const broken = await examine([], { GLM_FLASH_API_KEY: upstreamKey });
    assert.deepEqual(
      broken.findings.filter(({ level }) => level === "fail").map(({ what }) => what),
      ["configuration", "configuration"],
    );
  });

  it("tells of files that others can read or change, each with its fix", async () => {
    await withSimulator(async () => {
      await glm(["user", "add", "ada", "--no-password"]);
      chmodSync(workspace.path("config.toml"), 0o644);
      chmodSync(database(), 0o660);
      chmodSync(workspace.path(".local/share/glm-proxy"), 0o755);
      const { code, findings } = await examine([], { GLM_FLASH_API_KEY: upstreamKey });
      assert.equal(code, 1);
      const files = troubles(findings).map(({ level, fix }) => `${level} ${fix?.replace(`${workspace.folder}/`, "")}`);
      assert.deepEqual(files, [
        "warn chmod 600 config.toml",
        "warn chmod 700 .local/share/glm-proxy",
        "fail chmod 600 .local/share/glm-proxy/glm-proxy.sqlite",
      ]);
    });
  });

  it("tells of a database that is none", async () => {
    await withSimulator(async () => {
      mkdirSync(workspace.path(".local/share/glm-proxy"), { recursive: true, mode: 0o700 });
      writeFileSync(database(), "this is no database, but it is long enough to be looked at".repeat(100), {
        mode: 0o600,
      });
      const { code, findings } = await examine([], { GLM_FLASH_API_KEY: upstreamKey });
      assert.equal(code, 1);
      assert.match(troubles(findings)[0]?.text ?? "", /damaged or no database/);
    });
  });
});
