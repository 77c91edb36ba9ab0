import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemFiles } from "./files.ts";
import { createWorkspace } from "./fixtures/workspace.ts";
import { findWeakness, resolveJwtSecret } from "./jwt-secret.ts";

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
    assert.equal(resolveJwtSecret(sourcesIn(workspace.folder)).secret, strong);
    assert.equal(
      systemFiles.createSecret(join(workspace.folder, "jwt_secret"), random, () => true),
      strong,
    );
  });

  it("replaces a kept secret that is cut short", () => {
    using workspace = createWorkspace();
    const path = workspace.write("jwt_secret", "short");
    assert.equal(resolveJwtSecret(sourcesIn(workspace.folder)).secret, random);
    assert.equal(readFileSync(path, "utf8"), random);
  });

  it("serves this process only when the data folder cannot be written, and says what that means", () => {
    using workspace = createWorkspace();
    const blocked = join(workspace.write("file", ""), "data");
    const { secret, notices } = resolveJwtSecret(sourcesIn(blocked));
    assert.equal(secret, random);
    assert.match(notices[0]?.message ?? "", /all session tokens die at a restart/);
  });

  it("writes nothing when a configuration is only checked", () => {
    using workspace = createWorkspace();
    const { notices } = resolveJwtSecret(sourcesIn(workspace.folder, false));
    assert.equal(systemFiles.readText(join(workspace.folder, "jwt_secret")), null);
    assert.match(notices[0]?.message ?? "", /will be made at the start/);
  });
});
