import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ConfigSources } from "./config.ts";
import { createWorkspace, upstreamKey, type Workspace } from "./fixtures/workspace.ts";

/** Sources that all set the upstream key, lowest precedence first; each step adds one. */
function* addKeyLayers(
  workspace: Workspace,
): Generator<{ key: string; origin: string; sources: Partial<ConfigSources> }> {
  const env: Record<string, string | undefined> = { GLM_FLASH_API_KEY: undefined };
  const sources = { env };
  workspace.write("config.toml", '[glm]\napi_key = "from-file"\n');
  yield { key: "from-file", origin: "config.toml:2", sources };
  workspace.write("credentials/glm_api_key", "from-credential\n");
  env.CREDENTIALS_DIRECTORY = join(workspace.folder, "credentials");
  yield { key: "from-credential", origin: "credential glm_api_key", sources };
  workspace.write(".env", 'GLM_FLASH_API_KEY="from-dotenv"\n');
  yield { key: "from-dotenv", origin: ".env GLM_FLASH_API_KEY", sources };
  workspace.write(".env", 'GLM_FLASH_API_KEY="from-dotenv"\nGLM_PROXY__GLM__API_KEY=from-dotenv-long\n');
  yield { key: "from-dotenv-long", origin: ".env GLM_PROXY__GLM__API_KEY", sources };
  workspace.write("key", "from-short-file\r\n");
  env.GLM_FLASH_API_KEY_FILE = "key";
  yield { key: "from-short-file", origin: "environment GLM_FLASH_API_KEY_FILE", sources };
  env.GLM_FLASH_API_KEY = "from-short";
  yield { key: "from-short", origin: "environment GLM_FLASH_API_KEY", sources };
  workspace.write("long-key", "from-long-file\n");
  env.GLM_PROXY__GLM__API_KEY_FILE = join(workspace.folder, "long-key");
  yield { key: "from-long-file", origin: "environment GLM_PROXY__GLM__API_KEY_FILE", sources };
  env.GLM_PROXY__GLM__API_KEY = "from-long";
  yield { key: "from-long", origin: "environment GLM_PROXY__GLM__API_KEY", sources };
}

describe("the layers of the configuration", () => {
  it("let each source hide the ones below it", () => {
    using workspace = createWorkspace();
    for (const { key, origin, sources } of addKeyLayers(workspace)) {
      const { settings, origins } = workspace.load(sources);
      assert.equal(settings.glm.apiKey, key);
      assert.equal(origins.find(["glm", "api_key"]).text, origin);
    }
  });

  it("put flags above everything", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", "[server]\nport = 1\n");
    const env = { GLM_PROXY__SERVER__PORT: "2" };
    assert.equal(workspace.load().settings.server.port, 1);
    assert.equal(workspace.load({ env }).settings.server.port, 2);
    const { settings, origins } = workspace.load({ env, flags: { "server.port": "3", "server.host": undefined } });
    assert.equal(settings.server.port, 3);
    assert.equal(origins.find(["server", "port"]).text, "flag --port");
    assert.equal(origins.find(["server", "host"]).text, "default");
  });

  it("are content with the environment alone", () => {
    using workspace = createWorkspace();
    const { settings, file } = workspace.load();
    assert.equal(file, null);
    assert.equal(settings.glm.apiKey, upstreamKey);
    assert.equal(settings.rateLimit.queueCapacity, 20);
  });

  it("find the file in the working folder, then in the user's configuration", () => {
    using workspace = createWorkspace();
    const home = workspace.write(".config/glm-proxy/config.toml", "[server]\nport = 1\n");
    assert.equal(workspace.load().file, home);
    const xdg = workspace.write("xdg/glm-proxy/config.toml", "[server]\nport = 2\n");
    const env = { XDG_CONFIG_HOME: join(workspace.folder, "xdg") };
    assert.equal(workspace.load({ env }).file, xdg);
    const here = workspace.write("config.toml", "[server]\nport = 3\n");
    assert.equal(workspace.load({ env }).file, here);
  });

  it("spell lists and tables as JSON and numbers as such", () => {
    using workspace = createWorkspace();
    const { settings } = workspace.load({
      env: {
        GLM_PROXY__AUTH__USERS:
          '[{"username":"ada","password":"long enough","role":"admin","weight":2.5,"class":"batch"}]',
        GLM_PROXY__GLM__MODELS: '{"glm-5*":{"timeout_seconds":600}}',
        GLM_PROXY__GLM__ALIASES: '{"a":"b","b":"c"}',
        GLM_PROXY__RATE_LIMIT__REQUESTS_PER_SECOND: " 1e3 ",
        GLM_PROXY__RATE_LIMIT__QUEUE_CAPACITY: "0",
        GLM_PROXY__RATE_LIMIT__MAX_CONCURRENCY: "",
        GLM_PROXY__RATE_LIMIT__EARLY_REFUSAL: "true",
        GLM_PROXY__METRICS__USER_LABELS: "5",
      },
    });
    assert.deepEqual(settings.auth.users, [
      { username: "ada", password: "long enough", role: "admin", weight: 2.5, class: "batch" },
    ]);
    assert.deepEqual(settings.glm.models, [{ pattern: "glm-5*", timeouts: { totalMs: 600_000 } }]);
    assert.deepEqual(
      [...settings.glm.aliases],
      [
        ["a", "c"],
        ["b", "c"],
      ],
    );
    assert.equal(settings.rateLimit.keys[0]?.startsPerSecond, 1_000);
    assert.equal(settings.rateLimit.queueCapacity, 0);
    assert.equal(settings.rateLimit.refusesEarly, true);
    assert.equal(settings.metrics.userLabelsMax, 5);
    assert.equal(settings.rateLimit.keys[0]?.concurrencyMax, null);
  });

  it("read the log level from its own name or from RUST_LOG", () => {
    using workspace = createWorkspace();
    const levelOf = (env: ConfigSources["env"]) => workspace.load({ env }).settings.log.level;
    assert.equal(levelOf({}), "info");
    assert.equal(levelOf({ RUST_LOG: "glm_proxy=trace,info" }), "debug");
    assert.equal(levelOf({ RUST_LOG: "error" }), "warn");
    assert.equal(levelOf({ RUST_LOG: "what=ever" }), "info");
    assert.equal(levelOf({ RUST_LOG: "debug", GLM_PROXY_LOG: "warn" }), "warn");
  });
});

describe("a pool of one upstream key", () => {
  const pool = '[[glm.keys]]\nname = "lab"\napi_key = "pool-key"\nrequests_per_second = 5\nmax_concurrency = 3\n';

  it("takes the place of the general key and limits of the same file", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", `[glm]\napi_key = "general"\n${pool}[rate_limit]\nrequests_per_second = 1\n`);
    const { settings, origins } = workspace.load({ env: { GLM_FLASH_API_KEY: undefined } });
    assert.equal(settings.rateLimit.keys[0]?.name, "lab");
    assert.equal(settings.glm.apiKey, "pool-key");
    assert.equal(settings.rateLimit.keys[0]?.startsPerSecond, 5);
    assert.equal(settings.rateLimit.keys[0]?.concurrencyMax, 3);
    assert.equal(origins.find(["rate_limit", "requests_per_second"]).text, "config.toml:6");
  });

  it("gives way to what the environment says", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", pool);
    const { settings } = workspace.load({ env: { GLM_PROXY__RATE_LIMIT__REQUESTS_PER_SECOND: "7" } });
    assert.equal(settings.glm.apiKey, upstreamKey);
    assert.equal(settings.rateLimit.keys[0]?.startsPerSecond, 7);
    assert.equal(settings.rateLimit.keys[0]?.concurrencyMax, 3);
  });
});

describe("limits", () => {
  it("are the key's, each model's by pattern, and each user's, in the program's units", () => {
    using workspace = createWorkspace();
    workspace.write(
      "config.toml",
      `[rate_limit]
requests_per_second = 0.5
max_concurrency = 8
tokens_per_minute = 100_000
user_requests_per_second = 0.25
user_max_concurrency = 2
user_tokens_per_minute = 20_000
user_queue_capacity = 4
early_refusal = true
[glm.models."glm-4.5-flash"]
max_concurrency = 1
[glm.models."glm-5*"]
timeout_seconds = 600
[glm.models."*"]
requests_per_second = 3
tokens_per_minute = 50_000
idle_timeout_seconds = 2
[[glm.keys]]
name = "lab"
tokens_per_minute = 90_000
models = ["glm-4.5*", "glm-5"]
`,
    );
    const { rateLimit, glm } = workspace.load().settings;
    assert.deepEqual(rateLimit.keys, [
      {
        name: "lab",
        startsPerSecond: 0.5,
        concurrencyMax: 8,
        tokensPerMinute: 90_000,
        models: ["glm-4.5*", "glm-5"],
      },
    ]);
    assert.deepEqual(rateLimit.models, [
      { pattern: "glm-4.5-flash", startsPerSecond: null, concurrencyMax: 1, tokensPerMinute: null },
      { pattern: "*", startsPerSecond: 3, concurrencyMax: null, tokensPerMinute: 50_000 },
    ]);
    assert.deepEqual(rateLimit.user, { startsPerSecond: 0.25, concurrencyMax: 2, tokensPerMinute: 20_000 });
    assert.equal(rateLimit.userQueueCapacity, 4);
    assert.equal(rateLimit.refusesEarly, true);
    assert.deepEqual(
      glm.models.map(({ pattern }) => pattern),
      ["glm-5*", "*"],
      "a pattern that sets no time does not hide one that does",
    );
  });
});

describe("what is told to clients and in metrics", () => {
  it("has no heartbeats and names no person unless asked for", () => {
    using workspace = createWorkspace();
    const plain = workspace.load().settings;
    assert.deepEqual(
      [plain.server.heartbeatMs, plain.server.heartbeatGraceMs, plain.server.heartbeatStyle],
      [null, 2_000, "comment"],
    );
    assert.equal(plain.server.sendsIetfFields, true);
    assert.equal(plain.metrics.userLabelsMax, 0);
    workspace.write(
      "config.toml",
      '[server]\nheartbeat_seconds = 10\nheartbeat_grace_seconds = 0\nheartbeat_style = "chunk"\n[rate_limit]\nietf_fields = false\n',
    );
    const { server } = workspace.load().settings;
    assert.deepEqual([server.heartbeatMs, server.heartbeatGraceMs, server.heartbeatStyle], [10_000, 0, "chunk"]);
    assert.equal(server.sendsIetfFields, false);
  });
});

describe("a source that cannot be read", () => {
  it("is a problem when the command line named it", () => {
    using workspace = createWorkspace();
    assert.deepEqual(workspace.listProblems({ path: "nowhere.toml" }), ["nowhere.toml: there is no such file"]);
    mkdirSync(join(workspace.folder, "folder"));
    assert.deepEqual(workspace.listProblems({ path: "folder" }), ["folder: cannot be read: it is a directory"]);
  });

  it("is a problem when a variable names it", () => {
    using workspace = createWorkspace();
    workspace.write("empty", "\n");
    const env = { GLM_FLASH_API_KEY_FILE: "nowhere", GLM_PROXY__AUTH__JWT_SECRET_FILE: "empty" };
    assert.deepEqual(workspace.listProblems({ env }), [
      "environment GLM_FLASH_API_KEY_FILE: there is no file nowhere",
      "environment GLM_PROXY__AUTH__JWT_SECRET_FILE: the file empty is empty",
    ]);
  });
});
