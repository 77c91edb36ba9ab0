// The gateway as a process: how it starts, tells how it is, takes a new configuration, drains and ends.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, send, until, upstreamKey } from "../support/gateway.ts";
import { createWorkspace, run, type Served, serve, type Workspace } from "../support/process.ts";

let simulator: Simulator;
let workspace: Workspace;
const running: Served[] = [];

before(async () => {
  simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 5, tokenMs: 1 });
  workspace = createWorkspace();
});

afterEach(async () => {
  for (const served of running.splice(0)) {
    if (served.child.exitCode === null) served.child.kill("SIGKILL");
    await served.exit;
  }
  simulator.reset();
});

after(async () => {
  await simulator.close();
  workspace.remove();
});

function configText(more: { server?: string; rateLimit?: string; users?: string } = {}): string {
  return `
[server]
host = "127.0.0.1"
${more.server ?? ""}
[auth]
jwt_secret = "0123456789abcdef0123456789abcdef-test"
${more.users ?? '[[auth.users]]\nusername = "user1"\npassword = "pass123"'}
[glm]
base_url = "${simulator.baseUrl}"
[rate_limit]
${more.rateLimit ?? "requests_per_second = 1000"}
`;
}

const env = { GLM_FLASH_API_KEY: upstreamKey };

async function start(config = configText(), more: Record<string, string> = {}): Promise<Served> {
  workspace.write("config.toml", config);
  const served = await serve([], workspace, { ...env, ...more });
  running.push(served);
  return served;
}

async function logIn(url: string, password = "pass123"): Promise<string> {
  const { status, json } = await send(`${url}/auth/login`, { body: { username: "user1", password } });
  assert.equal(status, 200);
  return (json as { token: string }).token;
}

const isLogged = (served: Served, text: string) => () => served.stdout().includes(text);

describe("starting", () => {
  it("is ready with a file and a key, and says where it listens", async () => {
    const served = await start();
    assert.deepEqual((await send(`${served.url}/livez`)).json, { status: "alive" });
    assert.deepEqual((await send(`${served.url}/readyz`)).json, { status: "ready" });
    const token = await logIn(served.url);
    assert.equal((await send(`${served.url}/chat/completions`, { token, body: chat() })).status, 200);
    assert.equal(await served.stop(), 0);
  });

  it("lists everything that is wrong with the configuration at once, with lines, and exits with 78", async () => {
    workspace.write("bad.toml", '[server]\nport = "many"\n[rate_limit]\nqueue_size = 5\nqueue_capacity = -1\n');
    const bad = run(["serve", "--config", "bad.toml"], workspace);
    assert.equal(await bad.exit, 78);
    const problems = bad.stderr();
    assert.match(problems, /bad\.toml:2: \[server\] port must be .*0 to 65535.*: got "many"/);
    assert.match(problems, /bad\.toml:4: \[rate_limit\] queue_size is not known: did you mean "queue_capacity"\?/);
    assert.match(
      problems,
      /bad\.toml:5: \[rate_limit\] queue_capacity must be a whole number from 0 to 100000: got -1/,
    );
    assert.match(problems, /GLM_FLASH_API_KEY/);
  });

  it("says that the port is taken, what to do, and exits with 69", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    workspace.write("config.toml", configText());
    const second = run(["serve", "--port", String(port)], workspace, env);
    assert.equal(await second.exit, 69);
    assert.match(second.stderr(), new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${port}: .* --port`));
    taken.close();
  });

  it("exits with 2 and a hint on a wrong command line, and with 0 after help and version", async () => {
    const wrong = run(["serve", "--prot", "1"], workspace);
    assert.equal(await wrong.exit, 2);
    assert.match(wrong.stderr(), /--port/);
    assert.equal(await run(["--help"], workspace).exit, 0);
    assert.equal(await run(["--version"], workspace).exit, 0);
  });

  it("makes a secret of its own once when the configured one is a sample, readable by its owner only", async () => {
    const sample = configText().replace(
      "0123456789abcdef0123456789abcdef-test",
      "your-secret-key-change-in-production",
    );
    const state = { STATE_DIRECTORY: workspace.path("state") };
    const first = await start(sample, state);
    assert.match(first.stdout(), /published sample/);
    assert.equal(statSync(workspace.path("state/jwt_secret")).mode & 0o777, 0o600);
    const token = await logIn(first.url);
    await first.stop();
    const second = await start(sample, state);
    const { status } = await send(`${second.url}/chat/completions`, { token, body: chat() });
    assert.equal(status, 200, "a token outlives a restart");
  });
});

describe("the commands", () => {
  it("check prints every value with its origin and no secret", async () => {
    workspace.write("config.toml", configText());
    const check = run(["check"], workspace, { ...env, GLM_PROXY__RATE_LIMIT__QUEUE_CAPACITY: "7" });
    assert.equal(await check.exit, 0);
    const shown = check.stdout();
    assert.match(shown, /rate_limit\.queue_capacity +7 +environment GLM_PROXY__RATE_LIMIT__QUEUE_CAPACITY/);
    assert.match(shown, /rate_limit\.requests_per_second +1000 +config\.toml:\d+/);
    for (const secret of [upstreamKey, "pass123", "0123456789abcdef"]) assert.ok(!shown.includes(secret));
  });

  it("hash-password makes a hash of what it reads, with which one can log in", async () => {
    const hashing = run(["hash-password"], workspace, {}, "s3cret!\n");
    assert.equal(await hashing.exit, 0);
    const hash = hashing.stdout().trim();
    assert.match(hash, /^\$argon2id\$/);
    const served = await start(configText({ users: `[[auth.users]]\nusername = "user1"\npassword_hash = '${hash}'` }));
    await logIn(served.url, "s3cret!");
  });

  it("healthcheck tells by its exit code whether a gateway is ready", async () => {
    const served = await start();
    assert.equal(await run(["healthcheck", served.url], workspace).exit, 0);
    await served.stop();
    assert.equal(await run(["healthcheck", served.url], workspace).exit, 1);
  });

  it("simulate serves the simulated GLM until it is told to end", async () => {
    const simulating = run(["simulate", "--port", "0", "--rate", "1"], workspace);
    await until("it says where", () => /http:\S+\/api\/paas\/v4/.test(simulating.stdout()), 15_000);
    const baseUrl = /http:\S+\/api\/paas\/v4/.exec(simulating.stdout())?.[0] as string;
    const { status } = await send(`${baseUrl}/models`, { token: "sim.secret" });
    assert.equal(status, 200);
    simulating.child.kill("SIGTERM");
    assert.equal(await simulating.exit, 0);
  });
});

describe("a new configuration", () => {
  it("takes effect on SIGHUP: limits, users and log level; what can't change says so", async () => {
    const served = await start();
    const token = await logIn(served.url);
    const changed = configText({
      server: "port = 9",
      rateLimit: "requests_per_second = 1000\nmax_concurrency = 3\nqueue_capacity = 5",
      users: '[[auth.users]]\nusername = "user1"\npassword = "changed"',
    });
    workspace.write("config.toml", changed);
    served.child.kill("SIGHUP");
    await until("it is told", isLogged(served, "rate_limit.queue_capacity 20 -> 5"));
    assert.match(served.stdout(), /rate_limit\.max_concurrency .* -> 3/);
    assert.doesNotMatch(served.stdout(), /changed"/, "passwords are not shown");
    assert.equal((await send(`${served.url}/chat/completions`, { token, body: chat() })).status, 401);
    await logIn(served.url, "changed");
    assert.match((await send(`${served.url}/metrics`)).text, /glm_proxy_queue_capacity 5/);
  });

  it("takes effect when the file changes, without a signal", async () => {
    const served = await start();
    workspace.write("config.toml", configText({ rateLimit: "requests_per_second = 1000\nqueue_capacity = 3" }));
    await until("it is told", isLogged(served, "rate_limit.queue_capacity 20 -> 3"));
  });

  it("that is bad changes nothing, and every problem is told in the log", async () => {
    const served = await start();
    workspace.write("config.toml", configText({ rateLimit: 'requests_per_second = "fast"\nqueue_capacity = 1' }));
    served.child.kill("SIGHUP");
    await until("it is told", isLogged(served, "not reloaded"));
    assert.match(served.stdout(), /requests_per_second must be/);
    const metrics = (await send(`${served.url}/metrics`)).text;
    assert.match(metrics, /glm_proxy_queue_capacity 20/);
    assert.match(metrics, /glm_proxy_config_reloads_total\{result="rejected"\} [1-9]/);
    await logIn(served.url);
  });
});

describe("ending", () => {
  it("is quick when nothing runs", async () => {
    const served = await start();
    await send(`${served.url}/livez`);
    const startedAt = performance.now();
    assert.equal(await served.stop(), 0);
    assert.ok(performance.now() - startedAt < 1_000);
  });

  it("lets streams finish and the queue be answered, while it is not ready and takes no new calls", async () => {
    const served = await start(configText({ rateLimit: "requests_per_second = 1000\nmax_concurrency = 1" }));
    const token = await logIn(served.url);
    const url = `${served.url}/chat/completions`;
    const stream = send(url, { token, body: chat("[frames=100] [delay=10]", { stream: true }) });
    await until("it runs", () => simulator.report().inFlight === 1);
    const queued = send(url, { token, body: chat() });
    await until("one waits", async () => /glm_proxy_queue_depth 1/.test((await send(`${served.url}/metrics`)).text));
    served.child.kill("SIGTERM");
    await until("it drains", async () => (await send(`${served.url}/readyz`)).status === 503);
    const late = await send(url, { token, body: chat() });
    assert.deepEqual([late.status, (late.json as { error: { code: string } }).error.code], [503, "shutting_down"]);
    assert.ok(Number(late.headers["retry-after"]) >= 1);
    assert.equal(late.headers.connection, "close");
    assert.ok((await stream).text.endsWith("data: [DONE]\n\n"));
    assert.equal((await queued).status, 200);
    assert.equal(await served.exit, 0);
  });

  it("cuts what still runs after the grace period, with an error event that says why", async () => {
    const served = await start(configText({ server: "shutdown_grace_seconds = 0.3" }));
    const token = await logIn(served.url);
    const body = chat("[frames=1000] [delay=10]", { stream: true });
    const stream = send(`${served.url}/chat/completions`, { token, body });
    await until("it runs", () => simulator.report().bytesWritten > 0);
    served.child.kill("SIGTERM");
    const { text } = await stream;
    assert.match(text.trimEnd().split("\n\n").at(-1) ?? "", /^data: \{"error":.*"code":"shutting_down"/);
    assert.ok(!text.includes("[DONE]"));
    assert.equal(await served.exit, 0);
    await until("the upstream was closed", () => simulator.report().aborts.length === 1);
  });

  it("is at once at a second signal that is no copy of the first", async () => {
    const served = await start();
    const token = await logIn(served.url);
    const body = chat("[frames=1000] [delay=10]", { stream: true });
    const stream = send(`${served.url}/chat/completions`, { token, body });
    await until("it runs", () => simulator.report().bytesWritten > 0);
    served.child.kill("SIGTERM");
    await until("it drains", isLogged(served, "letting running ones end"));
    const drainsFrom = performance.now();
    await until("the second signal counts", () => {
      served.child.kill("SIGTERM");
      return isLogged(served, "SIGTERM again: ending now")();
    });
    assert.ok(performance.now() - drainsFrom > 900, "copies within a second are the same key press");
    assert.match((await stream).text, /shutting_down/);
    assert.equal(await served.exit, 0);
  });

  it("goes on serving when the reader of its log goes away", async () => {
    const served = await start();
    served.child.stdout?.destroy();
    const token = await logIn(served.url);
    for (let count = 0; count < 5; count++) {
      assert.equal((await send(`${served.url}/chat/completions`, { token, body: chat() })).status, 200);
    }
    assert.equal(await served.stop(), 0);
  });
});

describe("what it tells while it runs", () => {
  it("has a metric for everything that a call does, and no secret and no user in any", async () => {
    const served = await start();
    const token = await logIn(served.url);
    const url = `${served.url}/chat/completions`;
    await send(url, { token, body: chat("hello", { stream: true }) });
    simulator.script({ fault: "error", code: "1113" });
    await send(url, { token, body: chat() });
    await send(url, { token: "bad", body: chat() });
    const { text, headers } = await send(`${served.url}/metrics`);
    assert.match(headers["content-type"] ?? "", /^text\/plain/);
    for (const line of [
      /glm_proxy_calls_total\{surface="chat",outcome="served",reason=""\} 1/,
      /glm_proxy_calls_total\{surface="chat",outcome="refused",reason="upstream_quota"\} 1/,
      /glm_proxy_calls_total\{surface="chat",outcome="refused",reason="invalid_token"\} 1/,
      /glm_proxy_upstream_answers_total\{key="default",status="200",code=""\} 1/,
      /glm_proxy_upstream_answers_total\{key="default",status="429",code="1113"\} 1/,
      /glm_proxy_tokens_total\{model="glm-4\.5-flash",direction="completion"\} [1-9]/,
      /glm_proxy_time_to_first_byte_seconds_count\{model="glm-4\.5-flash"\} 1/,
      /glm_proxy_queue_wait_seconds_count 2/,
      /glm_proxy_queue_depth 0/,
      /glm_proxy_calls_running 0/,
      /glm_proxy_logins_total\{outcome="granted"\} 1/,
      /nodejs_eventloop_lag_seconds /,
      /glm_proxy_build_info\{version="[^"]+",node="[^"]+"\} 1/,
    ]) {
      assert.match(text, line);
    }
    for (const secret of ["user1", upstreamKey, token]) assert.ok(!text.includes(secret));
  });

  it("shows metrics to private addresses only, and to no one whom an unknown proxy forwards", async () => {
    const served = await start();
    const forwarded = { "x-forwarded-for": "127.0.0.1" };
    assert.equal((await send(`${served.url}/metrics`, { headers: forwarded })).status, 403);
    await served.stop();
    const trusting = await start(configText({ server: 'trusted_proxies = ["127.0.0.1"]' }));
    const statusFor = async (client: string) =>
      (await send(`${trusting.url}/metrics`, { headers: { "x-forwarded-for": client } })).status;
    assert.equal(await statusFor("8.8.8.8"), 403);
    assert.equal(await statusFor("10.1.2.3"), 200);
  });

  it("writes one line for each call, with its numbers and without what was said", async () => {
    const served = await start();
    const token = await logIn(served.url);
    const body = chat("a very private question", { stream: true });
    const { headers } = await send(`${served.url}/chat/completions`, { token, body });
    await until("it is logged", isLogged(served, "call served"));
    const lines = served.log().filter(({ msg }) => String(msg).startsWith("call "));
    assert.equal(lines.length, 1);
    const { request_id, user, model, outcome, completion_tokens, queue_wait_ms, duration_ms } = lines[0] ?? {};
    assert.deepEqual([request_id, user, model, outcome], [headers["x-request-id"], "user1", "glm-4.5-flash", "served"]);
    for (const number of [completion_tokens, queue_wait_ms, duration_ms]) assert.equal(typeof number, "number");
    for (const secret of ["private question", token, upstreamKey, "pass123"])
      assert.ok(!served.stdout().includes(secret));
  });

  const notifyTool = existsSync("/usr/bin/systemd-notify");
  const python = spawnSync("python3", ["--version"]).status === 0;
  it("tells systemd when it is ready and when it stops", {
    skip: !(notifyTool && python) && "needs systemd-notify and python3",
  }, async () => {
    const socketPath = workspace.path("notify");
    const listener = spawn("python3", ["-u", "-c", listenerProgram, socketPath], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let messages = "";
    listener.stdout.on("data", (chunk: Buffer) => {
      messages += chunk.toString();
    });
    await until("it listens", () => existsSync(socketPath));
    chmodSync(socketPath, 0o777);
    const served = await start(configText(), { NOTIFY_SOCKET: socketPath });
    await until("ready", () => /READY=1/.test(messages));
    served.child.kill("SIGTERM");
    await until("stopping", () => /STOPPING=1/.test(messages));
    assert.equal(await served.exit, 0);
    listener.kill();
  });
});

const listenerProgram = `
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
while True:
    print(listener.recv(4096).decode(), flush=True)
`;
