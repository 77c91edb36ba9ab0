import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemFiles } from "./files.ts";
import { createWorkspace } from "./fixtures/workspace.ts";
import { findWeakness, type JwtSecret, type JwtSecretSources, resolveJwtSecret } from "./jwt-secret.ts";

const strong = "Zk9vT1pQc2xkR0hKbE1uT3BRclN0VXZXeFl6QUJDREVG";
const random = "cmFuZG9tLXNlY3JldC1mb3ItdGVzdHMtb25seS0wMDAw";

function sourcesIn(dataFolder: string, mayStore = true) {
  return { configured: undefined, dataFolder, files: systemFiles, createSecret: () => random, mayStore };
}

describe("findWeakness()", () => {
  it("knows the samples of manuals and starter projects", () => {
    for (const sample of [
      "your-secret-key-change-in-production",
      "CHANGE-THIS-32-CHARACTER-KEY-NOW",
      "a-string-secret-at-least-256-bits-long",
      "my_super_long_jwt_secret_key_for_this_app",
      "x".repeat(40),
    ]) {
      assert.equal(findWeakness(sample), "a published sample", sample);
    }
    for (const sample of ["changeit", "secret", "your-secret-key"]) assert.notEqual(findWeakness(sample), null);
  });

  it("wants 32 bytes", () => {
    assert.equal(findWeakness("  "), "empty");
    assert.equal(findWeakness(strong.slice(0, 31)), "shorter than 32 bytes");
    assert.equal(findWeakness(strong.slice(0, 32)), null);
  });
});

function resolve(sources: JwtSecretSources): JwtSecret {
  const resolved = resolveJwtSecret(sources);
  if ("problem" in resolved) throw new Error(resolved.problem);
  return resolved;
}

describe("resolveJwtSecret()", () => {
  it("uses a strong secret as it is and writes nothing", () => {
    using workspace = createWorkspace();
    const configured = { secret: strong, origin: { layer: "file", text: "config.toml:2" } } as const;
    const resolved = resolveJwtSecret({ ...sourcesIn(workspace.folder), configured });
    assert.deepEqual(resolved, { ...configured, notices: [] });
    assert.equal(systemFiles.readText(join(workspace.folder, "jwt_secret")), null);
  });

  it("keeps what another process stored first", () => {
    using workspace = createWorkspace();
    workspace.write("jwt_secret", strong);
    assert.equal(resolve(sourcesIn(workspace.folder)).secret, strong);
    assert.equal(
      systemFiles.createSecret(join(workspace.folder, "jwt_secret"), random, () => true),
      strong,
    );
  });

  it("fills an empty file, and refuses one that holds something else, which stays", () => {
    using workspace = createWorkspace();
    const path = workspace.write("jwt_secret", "");
    assert.equal(resolve(sourcesIn(workspace.folder)).secret, random);
    assert.equal(readFileSync(path, "utf8"), random);
    workspace.write("jwt_secret", "shopping list", 0o644);
    const refused = resolveJwtSecret(sourcesIn(workspace.folder));
    assert.ok("problem" in refused);
    assert.match(refused.problem, /jwt_secret: cannot keep .* it holds something else; move it away, or set one/);
    assert.equal(readFileSync(path, "utf8"), "shopping list");
    assert.equal(statSync(path).mode & 0o777, 0o644);
  });

  it("serves this process only when the data folder cannot be written, and says what that means", () => {
    using workspace = createWorkspace();
    const blocked = join(workspace.write("file", ""), "data");
    const { secret, notices } = resolve(sourcesIn(blocked));
    assert.equal(secret, random);
    assert.match(notices[0]?.message ?? "", /all session tokens die at a restart/);
  });

  it("writes nothing when a configuration is only checked", () => {
    using workspace = createWorkspace();
    const { notices } = resolve(sourcesIn(workspace.folder, false));
    assert.equal(systemFiles.readText(join(workspace.folder, "jwt_secret")), null);
    assert.match(notices[0]?.message ?? "", /will be made at the start/);
  });
});
