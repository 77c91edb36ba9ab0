import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { diffSettings } from "./diff.ts";
import { createWorkspace } from "./fixtures/workspace.ts";
import type { Settings } from "./settings.ts";

const secret = "Zk9vT1pQc2xkR0hKbE1uT3BRclN0VXZXeFl6QUJDREVG";

function load(toml: string): Settings {
  using workspace = createWorkspace();
  workspace.write("config.toml", `auth.jwt_secret = "${secret}"\n${toml}`);
  return workspace.load().settings;
}

describe("diffSettings()", () => {
  it("finds nothing between equal settings", () => {
    assert.deepEqual(diffSettings(load(""), load("")), []);
  });

  it("tells what takes effect now, in the file's names and units", () => {
    const before = load(`[[auth.users]]
username = "ada"
password = "a"
[[auth.users]]
username = "bob"
password = "b"
[glm.aliases]
x = "glm-4.5"
`);
    const after = load(`[rate_limit]
requests_per_second = 1
queue_timeout_seconds = 0.5
max_concurrency = 4
user_max_concurrency = 2
user_queue_capacity = 3
early_refusal = true
ietf_fields = false
[server]
heartbeat_seconds = 1.5
[metrics]
user_labels = 10
[[auth.users]]
username = "ada"
password = "changed"
role = "admin"
class = "batch"
[[auth.users]]
username = "eve"
password = "e"
[glm.models."glm-5*"]
timeout_seconds = 600
max_concurrency = 1
[glm.models."glm-4*"]
requests_per_second = 0.5
tokens_per_minute = 1000
[glm.aliases]
x = "glm-4.6"
`);
    const changes = diffSettings(before, after);
    assert.deepEqual(
      changes.map((change) => change.line),
      [
        "server.heartbeat_seconds not set -> 1.5",
        "rate_limit.requests_per_second 2 -> 1",
        "rate_limit.max_concurrency not set -> 4",
        "rate_limit.user_max_concurrency not set -> 2",
        "rate_limit.user_queue_capacity not set -> 3",
        "rate_limit.queue_timeout_seconds 5 -> 0.5",
        "rate_limit.early_refusal false -> true",
        "rate_limit.ietf_fields true -> false",
        "metrics.user_labels 0 -> 10",
        'auth.users "ada" changed (role user -> admin, class default -> batch, password)',
        'auth.users "bob" removed',
        'auth.users "eve" added',
        'glm.models "glm-5*" added: timeout 600 s, 1 at once',
        'glm.models "glm-4*" added: 0.5 a second, 1000 tokens a minute',
        'glm.aliases "x" glm-4.5 -> glm-4.6',
      ],
    );
    assert.ok(changes.every((change) => change.isLive));
  });

  it("tells what only the next start brings, and nothing of a secret", () => {
    const before = load("");
    const after: Settings = {
      ...before,
      server: { ...before.server, port: 9 },
      auth: { ...before.auth, jwtSecret: "another" },
    };
    assert.deepEqual(diffSettings(before, after), [
      { line: "server.port 8080 -> 9", isLive: false },
      { line: "auth.jwt_secret changed", isLive: false },
    ]);
  });

  it("notices that rules changed places", () => {
    const rules = ['[glm.models."a*"]\ntimeout_seconds = 1\n', '[glm.models."b*"]\ntimeout_seconds = 2\n'];
    const lines = diffSettings(load(rules.join("")), load(rules.toReversed().join(""))).map((change) => change.line);
    assert.deepEqual(lines, ["glm.models in another order"]);
    const limits = ['[glm.models."a*"]\nmax_concurrency = 1\n', '[glm.models."b*"]\nmax_concurrency = 2\n'];
    const [change] = diffSettings(load(limits.join("")), load(limits.toReversed().join("")));
    assert.equal(change?.line, "glm.models in another order");
  });

  it("tells which keys of the pool come, go and change, and nothing of the keys themselves", () => {
    const key = (name: string, secret: string, more = "") =>
      `[[glm.keys]]\nname = "${name}"\napi_key = "${secret}-hush"\n${more}`;
    const before = load(key("a", "one") + key("b", "two", "max_concurrency = 2\n") + key("c", "three"));
    const after = load(
      key("b", "new", 'max_concurrency = 3\nweight = 2\nbase_url = "https://other.test/v1"\n') +
        key("d", "four", 'kind = "openai"\nbase_url = "http://127.0.0.1:1"\nmodels = ["qwen*"]\naccount = "lab"\n') +
        key("a", "one"),
    );
    const changes = diffSettings(before, after);
    assert.deepEqual(
      changes.map(({ line }) => line),
      [
        'glm.keys "b" changed (api_key, base_url "https://open.bigmodel.cn/api/paas/v4" -> "https://other.test/v1", anthropic_base_url "https://open.bigmodel.cn/api/anthropic" -> not set, weight 1 -> 2, max_concurrency 2 -> 3)',
        'glm.keys "c" removed',
        'glm.keys "d" added (openai, account "lab", 2 a second, models qwen*)',
        "glm.keys in another order",
      ],
    );
  });

  it("tells of the one key that it was changed, and of its limits as those of all", () => {
    const before = load('[glm]\napi_key = "x"\n');
    const after = load('[[glm.keys]]\nmax_concurrency = 3\nmodels = ["glm-4.5*"]\n');
    assert.deepEqual(
      diffSettings(before, after).map(({ line }) => line),
      ["rate_limit.max_concurrency not set -> 3", 'glm.keys "default" changed (models not set -> "glm-4.5*")'],
    );
    const rotated = load('[glm]\napi_key = "y"\n[[glm.keys]]\napi_key = "another-hush"\n');
    const without = { ...rotated, glm: { ...rotated.glm, upstreams: [{ ...rotated.glm.upstreams[0], apiKey: "z" }] } };
    assert.deepEqual(diffSettings(rotated, without as Settings), [
      { line: 'glm.keys "default" changed (api_key)', isLive: true },
    ]);
  });

  it("tells of families, fallbacks and the cache", () => {
    const after = load(`[rate_limit.families.images]
requests_per_second = 0.5
max_concurrency = 1
[rate_limit.families.poll]
requests_per_second = 5
[glm.fallbacks]
"glm-4.6" = ["glm-4.5-air", "glm-4.5-flash"]
[cache]
enabled = true
ttl_seconds = 60
[server]
upload_limit_bytes = 1000
`);
    assert.deepEqual(
      diffSettings(load(""), after).map(({ line }) => line),
      [
        "server.upload_limit_bytes 105906176 -> 1000",
        "cache.enabled false -> true",
        "cache.ttl_seconds 300 -> 60",
        'rate_limit.families "poll" 10 a second -> 5 a second',
        'rate_limit.families "images" added: 0.5 a second, 1 at once',
        'glm.fallbacks "glm-4.6" added: glm-4.5-air, glm-4.5-flash',
      ],
    );
  });
});
