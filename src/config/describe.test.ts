import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ConfigError } from "./config.ts";
import { describeSettings } from "./describe.ts";
import { createWorkspace } from "./fixtures/workspace.ts";
import { maskSecret } from "./masks.ts";

describe("describeSettings()", () => {
  it("lists every key with its value and where it was written, in columns", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", '[server]\nhost = "::1"\n[[auth.users]]\nusername = "ada"\npassword = "hush"\n');
    const lines = describeSettings(workspace.load({ flags: { "server.port": "9" } })).split("\n");
    const find = (name: string) => lines.find((line) => line.startsWith(`${name} `)) ?? "";
    assert.match(find("server.host"), / {2}"::1" +config\.toml:2$/);
    assert.match(find("server.port"), / {2}9 +flag --port$/);
    assert.match(find("glm.api_key"), / {2}…mkey +environment GLM_FLASH_API_KEY$/);
    assert.match(find("auth.users[0].username"), / {2}"ada" +config\.toml:4$/);
    assert.match(find("auth.users[0].password"), / {2}\*\*\* +config\.toml:5$/);
    assert.match(find("rate_limit.max_concurrency"), / {2}not set +default$/);
    assert.equal(find("server.host").indexOf("config.toml"), find("server.port").indexOf("flag"));
    assert.ok(lines.some((line) => line.startsWith("warning: Passwords in plain text")));
  });
});

describe("maskSecret()", () => {
  it("shows the last four characters of a long secret and nothing of a short one", () => {
    assert.equal(maskSecret("123456789012"), "…9012");
    assert.equal(maskSecret("12345678901"), "***");
  });
});

describe("secrets", () => {
  it("are in no output, whether the configuration is good or not", () => {
    using workspace = createWorkspace();
    const secret = fc.stringMatching(/^[A-Za-z0-9~^$%&*()_+-]{16,48}$/);
    const keys = fc.constantFrom("jwt_secret", "jwt_secre", "token_ttl_seconds_");
    const defects = fc.subarray(["weight = 0", "role = 3", "pasword = 1"]);
    fc.assert(
      fc.property(fc.tuple(secret, secret, secret, secret), keys, defects, (secrets, authKey, extra) => {
        const [password, jwt, api, hash] = secrets;
        const users = `[[auth.users]]\nusername = "a"\npassword = '${password}'\n${extra.join("\n")}\n`;
        const broken = extra.length === 2 ? `password_hash = '${hash}'\n` : "";
        const glm = `[glm]\napi_key = '${api}'\nbase_url = 'https://x:${hash}@h'\n`;
        workspace.write(
          "config.toml",
          `[auth]\n${authKey} = '${jwt}'\n${users}${broken}${extra.length > 0 ? glm : ""}`,
        );
        const output = report(() => describeSettings(workspace.load()));
        for (const text of secrets) assert.ok(!output.includes(text), output);
      }),
      { numRuns: 150 },
    );
  });
});

function report(describeConfig: () => string): string {
  try {
    return describeConfig();
  } catch (error) {
    if (error instanceof ConfigError) return `${error.message}\n${error.stack}`;
    throw error;
  }
}
