import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createWorkspace } from "./fixtures/workspace.ts";

function listProblems(toml: string, env: Record<string, string | undefined> = {}): readonly string[] {
  using workspace = createWorkspace();
  workspace.write("config.toml", toml);
  return workspace.listProblems({ env });
}

describe("problems of the configuration", () => {
  it("are told all at once, in the order of the file, with line, range and what was found", () => {
    const toml = `# limits
[rate_limit]
queue_capacity = "many"
queue_size = 3
requests_per_second = 0

[server]
port = 80_800
trusted_proxies = ["10.0.0.0/8",
  "10.0.0.0/99"]

[sever]
host = "x"

[[auth.users]]
username = "ada"
password = "x"
[[auth.users]]
username = "ada"
role = "root"
[glm.models."glm-5*"]
timeout_seconds = -1
`;
    assert.deepEqual(listProblems(toml, { GLM_PROXY__SERVER__PROT: "1", GLM_PROXY_LOG: "loud" }), [
      'config.toml:3: [rate_limit] queue_capacity must be a whole number from 0 to 100000: got "many"',
      'config.toml:4: [rate_limit] queue_size is not known: did you mean "queue_capacity"?',
      "config.toml:5: [rate_limit] requests_per_second must be a number from 0.001 to 1000000: got 0",
      "config.toml:8: [server] port must be a whole number from 0 to 65535: got 80800",
      'config.toml:10: [server] trusted_proxies[1] must be an IP address or a range like "10.0.0.0/8": got "10.0.0.0/99"',
      "config.toml:12: [sever] is not known: did you mean [server]?",
      "config.toml:18: [[auth.users]] entry 2 must have a password_hash (made by glm-proxy hash-password) or a password",
      "config.toml:19: [[auth.users]] username is the same as that of entry 1",
      'config.toml:20: [[auth.users]] role must be one of "user", "admin": got "root"',
      'config.toml:22: [glm.models."glm-5*"] timeout_seconds must be a number of seconds from 0.001 to 86400: got -1',
      'environment GLM_PROXY_LOG: must be one of "debug", "info", "warn": got "loud"',
      "environment GLM_PROXY__SERVER__PROT: is not known: did you mean GLM_PROXY__SERVER__PORT?",
    ]);
  });

  it("say what takes the place of a key that was removed, wherever it is set", () => {
    const advice =
      "was removed: remove it, and for more than one processor core run several processes, each with upstream keys of its own";
    assert.deepEqual(listProblems("[server]\nworkers = 4\n", { GLM_PROXY__SERVER__WORKERS: "2" }), [
      `config.toml:2: [server] workers ${advice}`,
      `environment GLM_PROXY__SERVER__WORKERS: ${advice}`,
    ]);
  });

  it("say where a key of another section belongs", () => {
    assert.deepEqual(listProblems("port = 1\n[rate_limit]\nbase_url = 1\n"), [
      "config.toml:1: port is not known here: it belongs to [server]",
      "config.toml:3: [rate_limit] base_url is not known here: it belongs to [glm]",
    ]);
  });

  it("name the place inside a variable's JSON", () => {
    const env = { GLM_PROXY__AUTH__USERS: '[{"username":"a","password":"x","weight":0}]', GLM_PROXY__GLM__MODELS: "{" };
    assert.deepEqual(listProblems("", env), [
      "environment GLM_PROXY__AUTH__USERS: [0].weight must be a number from 0.001 to 1000: got 0",
      "environment GLM_PROXY__GLM__MODELS: must be a table: got a text (variables spell it as JSON)",
    ]);
  });

  it("tell line and column of what is not TOML, without quoting the line", () => {
    const [problem = "", ...rest] = listProblems('[auth]\njwt_secret = "hush\n');
    assert.match(problem, /^config\.toml:2:\d+: not valid TOML: /);
    assert.doesNotMatch(problem, /hush/);
    assert.deepEqual(rest, []);
  });

  it("refuse a user with two passwords, aliases in a circle, and a hash of another kind", () => {
    const toml = `[[auth.users]]
username = "ada"
password = "x"
password_hash = "$2b$12$abcdefghijklmnopqrstuv"
[glm.aliases]
a = "b"
b = "a"
c = "glm-4.5"
`;
    assert.deepEqual(listProblems(toml), [
      "config.toml:1: [[auth.users]] entry 1 must have password_hash or password, not both",
      'config.toml:4: [[auth.users]] password_hash must be an argon2id hash like "$argon2id$v=19$m=…,t=…,p=…$salt$hash": got another text',
      "config.toml:6: [glm.aliases] a leads back to itself",
      "config.toml:7: [glm.aliases] b leads back to itself",
    ]);
  });

  it("refuse keys whose feature is not there, rather than ignore them", () => {
    assert.deepEqual(listProblems('[cluster]\nredis_url = "redis://u:p@cache"\n'), [
      "config.toml:2: [cluster] redis_url is not available in this version: remove it",
    ]);
  });

  it("leave harmless values of such keys alone", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", '[store]\nurl = "sqlite:glm.db"\n');
    assert.equal(workspace.load().settings.server.port, 8080);
  });

  it("cut long values and escape what a terminal would obey", () => {
    const [problem = ""] = listProblems(`[server]\nhost = "\\u001b[31m\\u202e${"x".repeat(500)}"\n`);
    assert.ok(problem.length < 160);
    assert.doesNotMatch(problem, /\p{C}/u);
  });

  it("check the upstream's URL", () => {
    const isRefused = (url: string) => listProblems(`[glm]\nbase_url = "${url}"\n`).length === 1;
    for (const url of ["ftp://x", "x", "https://", "https://me:pw@x.test", "https://x.test?a=1", "https://x.test#a"]) {
      assert.ok(isRefused(url), url);
    }
    assert.doesNotMatch(listProblems('[glm]\nbase_url = "https://me:hush@x/?key=hush"\n').join(), /hush/);
  });
});

describe("notices about a valid configuration", () => {
  function listCodes(toml: string, mode?: number): string[] {
    using workspace = createWorkspace();
    workspace.write("config.toml", toml, mode);
    return workspace.load().notices.map((notice) => notice.code);
  }

  it("warn of the Coding Plan's address", () => {
    assert.ok(listCodes('[glm]\nbase_url = "https://open.bigmodel.cn/api/coding/paas/v4"').includes("coding_plan"));
    assert.ok(!listCodes("").includes("coding_plan"));
  });

  it("warn of plain http unless it stays on this machine", () => {
    assert.ok(listCodes('[glm]\nbase_url = "http://glm.test/v4/"').includes("plain_http"));
    for (const host of ["127.0.0.1:9", "localhost", "[::1]:9"]) {
      assert.ok(!listCodes(`[glm]\nbase_url = "http://${host}/v4"`).includes("plain_http"), host);
    }
  });

  it("warn of a user's limit that is above that of all together", () => {
    const general = "[rate_limit]\nmax_concurrency = 2\nqueue_capacity = 5\n";
    assert.ok(listCodes(`${general}user_max_concurrency = 3\n`).includes("limit_without_effect"));
    assert.ok(listCodes(`${general}user_queue_capacity = 6\n`).includes("limit_without_effect"));
    const fine = `${general}user_max_concurrency = 2\nuser_queue_capacity = 5\nuser_tokens_per_minute = 9\n`;
    assert.ok(!listCodes(fine).includes("limit_without_effect"));
  });

  it("warn of heartbeats that no call waits long enough for", () => {
    assert.ok(listCodes("[server]\nheartbeat_seconds = 1\nheartbeat_grace_seconds = 5\n").includes("heartbeats_never"));
    assert.ok(!listCodes("[server]\nheartbeat_seconds = 1\n").includes("heartbeats_never"));
    assert.ok(!listCodes("[server]\nheartbeat_grace_seconds = 5\n").includes("heartbeats_never"));
  });

  it("warn of aliases that lead to a model that the key does not serve", () => {
    const keys = '[[glm.keys]]\napi_key = "a"\nmodels = ["glm-4.5-*"]\n[glm.aliases]\n';
    assert.ok(listCodes(`${keys}mini = "glm-5"\n`).includes("alias_not_served"));
    assert.ok(!listCodes(`${keys}mini = "small"\nsmall = "glm-4.5-flash"\n`).includes("alias_not_served"));
  });

  it("warn of a file with secrets that others can read", () => {
    const toml = '[glm]\napi_key = "a-real-key"\n[[auth.users]]\nusername = "a"\npassword = "b"\n';
    assert.ok(listCodes(toml, 0o644).includes("readable_secrets"));
    assert.ok(!listCodes(toml, 0o600).includes("readable_secrets"));
    assert.ok(!listCodes("[server]\nport = 1\n", 0o644).includes("readable_secrets"));
  });
});
