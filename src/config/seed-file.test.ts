import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createWorkspace, upstreamKey } from "./fixtures/workspace.ts";

const seedFile = readFileSync(join(import.meta.dirname, "fixtures", "seed.toml"), "utf8");

describe("the first service's configuration file, unchanged", () => {
  it("gives every number it states", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", seedFile);
    const { settings } = workspace.load();
    assert.equal(settings.server.host, "0.0.0.0");
    assert.equal(settings.server.port, 8080);
    assert.equal(settings.glm.baseUrl, "https://open.bigmodel.cn/api/paas/v4");
    assert.equal(settings.glm.timeouts.totalMs, 20_000);
    assert.deepEqual(settings.glm.upstreams, [
      {
        name: "default",
        kind: "glm",
        apiKey: upstreamKey,
        baseUrl: "https://open.bigmodel.cn/api/paas/v4",
        anthropicBaseUrl: "https://open.bigmodel.cn/api/anthropic",
      },
    ]);
    assert.deepEqual(settings.auth.users, [
      { username: "user1", password: "pass123", role: "user", weight: 1, class: "default" },
    ]);
    assert.deepEqual(settings.rateLimit, {
      keys: [{ name: "default", startsPerSecond: 2, concurrencyMax: null, tokensPerMinute: null, models: null }],
      families: [{ family: "poll", startsPerSecond: 10, concurrencyMax: null }],
      models: [],
      user: { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null },
      userQueueCapacity: null,
      queueCapacity: 20,
      queueTimeoutMs: 5_000,
      refusesEarly: false,
      sendGuardMs: 20,
      abortLingerMs: 300,
    });
  });

  it("takes the keys after the user's table as meant for [auth], and says so", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", seedFile.replace("token_ttl_seconds = 60", "token_ttl_seconds = 61"));
    const { settings, notices, origins } = workspace.load();
    assert.equal(settings.auth.tokenTtlSeconds, 61);
    assert.equal(origins.find(["auth", "token_ttl_seconds"]).text, "config.toml:12");
    const notice = notices.find(({ code }) => code === "auth_keys_misplaced");
    assert.match(notice?.message ?? "", /jwt_secret \(config\.toml:11\) and token_ttl_seconds \(config\.toml:12\)/);
  });

  it("refuses such a key in the user's table when [auth] has its own", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", seedFile.replace("[auth]\n", "[auth]\ntoken_ttl_seconds = 30\n"));
    assert.deepEqual(workspace.listProblems(), [
      "config.toml:13: [[auth.users]] token_ttl_seconds is not known here: it belongs to [auth]",
    ]);
  });

  it("never signs with its public secret, but with one made once and kept from others", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", seedFile);
    const first = workspace.load();
    const second = workspace.load();
    assert.ok(Buffer.byteLength(first.settings.auth.jwtSecret) >= 32);
    assert.equal(second.settings.auth.jwtSecret, first.settings.auth.jwtSecret);
    const kept = join(workspace.folder, ".local/share/glm-proxy/jwt_secret");
    assert.equal(readFileSync(kept, "utf8"), first.settings.auth.jwtSecret);
    assert.equal(statSync(kept).mode & 0o777, 0o600);
    assert.equal(statSync(join(kept, "..")).mode & 0o777, 0o700);
    const notice = first.notices.find(({ code }) => code === "jwt_secret_generated");
    assert.equal(notice?.level, "warn");
    assert.match(notice?.message ?? "", /config\.toml:11.*published sample.*openssl rand/);
  });

  it("accepts plain passwords, and names the command that hashes them", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", seedFile);
    const notice = workspace.load().notices.find(({ code }) => code === "plain_passwords");
    assert.match(notice?.message ?? "", /"user1".*glm-proxy hash-password/);
  });

  it("needs the upstream key from somewhere, since its own is empty", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", seedFile);
    const problems = workspace.listProblems({ env: { GLM_FLASH_API_KEY: undefined } });
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /^Cannot find the upstream key: set GLM_FLASH_API_KEY/);
  });
});
