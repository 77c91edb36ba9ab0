// How processes that run until they are stopped come to their end: by signals, by keys in a terminal with and without
// npm, and whatever becomes of their outputs.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, send, until, upstreamKey } from "../support/gateway.ts";
import { createWorkspace, run, type Served, serve, type Workspace } from "../support/process.ts";
import { ctrlC, hasTerminals, openTerminal, type Terminal } from "../support/terminal.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;
const repository = new URL("../../", import.meta.url).pathname;
/** What an end may take next to other tests: the process's own bounds are a second, and two. */
const endMsMax = 6_000;
const token = { current: "" };

let simulator: Simulator;
let workspace: Workspace;
const children: ChildProcess[] = [];

before(async () => {
  simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 5, tokenMs: 1 });
  workspace = createWorkspace();
  workspace.write(
    "config.toml",
    `
[server]
host = "127.0.0.1"
[auth]
jwt_secret = "0123456789abcdef0123456789abcdef-test"
token_ttl_seconds = 3600
[[auth.users]]
username = "user1"
password = "pass123"
role = "admin"
[glm]
base_url = "${simulator.baseUrl}"
[rate_limit]
requests_per_second = 1000
[log]
level = "debug"
`,
  );
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
  simulator.reset();
});

after(async () => {
  await simulator.close();
  workspace.remove();
});

const env = { GLM_FLASH_API_KEY: upstreamKey };

async function start(): Promise<Served> {
  const served = await serve([], workspace, env);
  children.push(served.child);
  return served;
}

async function logIn(url: string): Promise<string> {
  const { json } = await send(`${url}/auth/login`, { body: { username: "user1", password: "pass123" } });
  return (json as { token: string }).token;
}

/** Rejects when it does not end in time, so that a stuck process is a failure and not a test without end. */
async function endOf<Code>(exit: Promise<Code>, what: string): Promise<{ code: Code; ms: number }> {
  const startedAt = performance.now();
  let code: { value: Code } | null = null;
  void exit.then((value) => {
    code = { value };
  });
  await until(what, () => code !== null, endMsMax);
  return { code: (code as unknown as { value: Code }).value, ms: performance.now() - startedAt };
}

function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "")));
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server: Server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const isUp = (port: number) => async () => {
  const status = await send(`http://127.0.0.1:${port}/livez`).then(
    (answer) => answer.status,
    () => 0,
  );
  return status === 200;
};

/** Makes so many lines of log that no pipe and no terminal holds them. */
async function fillLog(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  token.current = await logIn(url);
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 20 }, () => send(`${url}/chat/completions`, { token: token.current, body: chat() })),
    );
  }
}

describe("an output that nobody reads", () => {
  const kinds: Record<string, (port: number) => { child: ChildProcess; release(): void }> = {
    "a pipe": (port) => {
      // The reader is there, and reads nothing.
      const line = `exec '${process.execPath}' '${main}' serve --port ${port}`;
      const child = spawn("/bin/sh", ["-c", line], { cwd: workspace.folder, env: childEnv(), stdio: pipes() });
      child.stdout?.pause();
      return { child, release() {} };
    },
    "a FIFO": (port) => {
      const path = workspace.path("log.fifo");
      spawnSync("mkfifo", [path]);
      const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const writer = openSync(path, constants.O_WRONLY);
      const child = spawn(process.execPath, [main, "serve", "--port", String(port)], {
        cwd: workspace.folder,
        env: childEnv(),
        stdio: ["ignore", writer, "ignore"],
      });
      closeSync(writer);
      return { child, release: () => closeSync(reader) };
    },
    "a full device": (port) => {
      const full = openSync("/dev/full", "w");
      const child = spawn(process.execPath, [main, "serve", "--port", String(port)], {
        cwd: workspace.folder,
        env: childEnv(),
        stdio: ["ignore", full, full],
      });
      closeSync(full);
      return { child, release() {} };
    },
  };
  const childEnv = () => ({ PATH: process.env.PATH ?? "", HOME: workspace.folder, ...env });
  const pipes = () => ["ignore", "pipe", "ignore"] as const as ["ignore", "pipe", "ignore"];

  for (const [name, open] of Object.entries(kinds)) {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      it(`holds up neither calls nor the end: ${name}, ${signal}`, async (test) => {
        const port = await freePort();
        const { child, release } = open(port);
        children.push(child);
        const exit = exitOf(child);
        try {
          await until("it is up", isUp(port), 15_000);
          await fillLog(port);
          child.kill(signal);
          const { code, ms } = await endOf(exit, `it ends on ${signal}`);
          test.diagnostic(`ended after ${ms.toFixed(0)} ms`);
          assert.equal(code, 0);
        } finally {
          release();
        }
      });
    }
  }

  it("is the reader's to empty: a slow one gets every byte of a command's answer", async () => {
    const served = await start();
    await fillLog(served.port);
    const line = `'${process.execPath}' '${main}' calls --limit 400 --json | { sleep 1.5; wc -l; }`;
    const { stdout } = spawnSync("/bin/sh", ["-c", line], { cwd: workspace.folder, env: childEnv(), encoding: "utf8" });
    assert.ok(Number(stdout.trim()) > 4_000, stdout);
  });

  it("is a failure for a command whose answer it loses", () => {
    const line = `'${process.execPath}' '${main}' --help > /dev/full`;
    const { status, stderr } = spawnSync("/bin/sh", ["-c", line], { env: childEnv(), encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, /Cannot write to standard output: ENOSPC/);
  });
});

describe("a signal during the start", () => {
  it("ends it in order at every moment from the first handler on, and nothing goes on listening", async () => {
    for (const delayMs of [0, 15, 30, 60, 90, 120, 160, 200]) {
      const started = run(["serve", "--port", "0"], workspace, { ...env, STATE_DIRECTORY: workspace.path("state") });
      children.push(started.child);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      started.child.kill("SIGTERM");
      const { code } = await endOf(started.exit, `it ends ${delayMs} ms after its start`);
      // Before the command is loaded there is no handler, and nothing to end.
      if (started.stdout() === "") assert.ok(code === 0 || code === "SIGTERM", String(code));
      else assert.equal(code, 0, started.stdout() + started.stderr());
      if (code === "SIGTERM") assert.equal(started.log().length, 0);
    }
  });

  it("does not wait for a database that does not answer", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as { port: number };
    const connected = new Promise((resolve) => silent.once("connection", resolve));
    const started = run(["serve", "--port", "0"], workspace, {
      ...env,
      GLM_PROXY__STORE__URL: `postgres://u:p@127.0.0.1:${port}/none`,
    });
    children.push(started.child);
    try {
      await connected;
      started.child.kill("SIGTERM");
      const exit = started.exit;
      await until("it says that it ends", () => started.stdout().includes("SIGTERM: "));
      await until(
        "it ends after a second signal",
        () => {
          started.child.kill("SIGTERM");
          return started.child.exitCode !== null;
        },
        endMsMax,
      );
      assert.equal(await exit, 0);
    } finally {
      silent.close();
    }
  });
});

describe("in a terminal", { skip: hasTerminals ? false : "there is no python3 with pseudo-terminals here" }, () => {
  const open = (command: readonly string[], more: Record<string, string> = {}, cwd = workspace.folder): Terminal => {
    const terminal = openTerminal(command, workspace, { ...env, ...more }, { cwd });
    children.push(terminal.child);
    return terminal;
  };
  const serveIn = (port: number) => open([process.execPath, main, "serve", "--port", String(port)]);

  /** A stream that goes on for longer than any test waits. */
  async function openStream(port: number): Promise<{ ended: Promise<{ text: string }> }> {
    const bearer = await logIn(`http://127.0.0.1:${port}`);
    const body = chat("[frames=1000] [delay=50]", { stream: true });
    const ended = send(`http://127.0.0.1:${port}/chat/completions`, { token: bearer, body });
    await until("it runs", () => simulator.report().bytesWritten > 0);
    return { ended };
  }

  for (const script of ["start", "demo"] as const) {
    it(`npm's copy of Ctrl-C is the same key press: npm ${script}`, { timeout: 60_000 }, async (test) => {
      const port = await freePort();
      const config = workspace.path("config.toml");
      const args = script === "start" ? ["--", "--config", config, "--port", String(port)] : [];
      const terminal = open(
        ["npm", "run", script, ...args],
        {
          // The demonstration must not go to an upstream.
          ...(script === "demo" && { GLM_FLASH_API_KEY: "" }),
          npm_config_cache: workspace.path("npm"),
        },
        repository,
      );
      const isReady = script === "start" ? / ready / : /The gateway stays up until Ctrl-C/;
      await until("it is ready", () => isReady.test(terminal.text()), 30_000);
      const stream = script === "start" ? await openStream(port) : null;
      terminal.type(ctrlC);
      await until("it says how to stop now", () => terminal.text().includes("press Ctrl-C again to stop now"));
      if (stream !== null) {
        // npm's copy has come by now, or comes within the second in which it counts as the same.
        const livesOn = performance.now() + 1_100;
        await until("a second is over, and the stream goes on", () => {
          assert.doesNotMatch(terminal.text(), /ending now/);
          return performance.now() > livesOn;
        });
        terminal.type(ctrlC);
        assert.match((await stream.ended).text.slice(-2_000), /shutting_down/);
        await until("it says that it ends now", () => terminal.text().includes("SIGINT again: ending now"));
      }
      const { code, ms } = await endOf(terminal.exit, "it ends");
      test.diagnostic(`ended after ${ms.toFixed(0)} ms with ${code}`);
      assert.ok(code === 0 || code === 130, String(code));
    });
  }

  it("that nobody reads (Ctrl-S) holds up neither calls nor the end", async () => {
    const port = await freePort();
    const terminal = serveIn(port);
    await until("it is ready", () => / ready /.test(terminal.text()), 15_000);
    terminal.hold();
    await fillLog(port);
    terminal.type(ctrlC);
    assert.equal((await endOf(terminal.exit, "it ends")).code, 0);
  });

  it("that is closed ends the gateway", async () => {
    const port = await freePort();
    const terminal = serveIn(port);
    await until("it is ready", () => / ready /.test(terminal.text()), 15_000);
    terminal.close();
    assert.equal((await endOf(terminal.exit, "it ends")).code, 0);
  });

  it("stops a simulator with an open connection, and a follower, at Ctrl-C", async () => {
    const port = await freePort();
    const simulated = open([process.execPath, main, "simulate", "--port", String(port)]);
    await until("it answers", () => simulated.text().includes("/__sim/report"), 15_000);
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    simulated.type(ctrlC);
    assert.equal((await endOf(simulated.exit, "the simulator ends")).code, 0);
    assert.match(simulated.text(), /press Ctrl-C again to stop now/);

    const served = await start();
    await fillLog(served.port);
    const tail = open([process.execPath, main, "tail", "-n", "200"]);
    await until("it follows", () => tail.text().includes("user1"), 15_000);
    tail.type(ctrlC);
    assert.equal((await endOf(tail.exit, "tail ends")).code, 0);
  });

  it("that nobody reads lets top and tail end too", async () => {
    const served = await start();
    await fillLog(served.port);
    for (const command of [["top"], ["tail", "-n", "200"]]) {
      const terminal = open([process.execPath, main, ...command]);
      await until("it shows something", () => terminal.text().includes("user"), 15_000);
      terminal.hold();
      await fillLog(served.port);
      terminal.type(ctrlC);
      assert.equal((await endOf(terminal.exit, `${command[0]} ends`)).code, 0);
    }
  });
});
