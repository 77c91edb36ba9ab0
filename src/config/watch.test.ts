import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Clock, systemClock } from "../base/clock.ts";
import { createWorkspace } from "./fixtures/workspace.ts";
import { watchFile } from "./watch.ts";

/** Counts changes and lets a test wait for the next one, or for the next look at the file that finds none. */
function observe(path: string) {
  let onChange = Promise.withResolvers<void>();
  let onCheck = Promise.withResolvers<void>();
  let count = 0;
  const clock: Clock = {
    ...systemClock,
    after: (ms, callback) =>
      systemClock.after(ms, () => {
        callback();
        onCheck.resolve();
        onCheck = Promise.withResolvers<void>();
      }),
  };
  const watch = watchFile(path, clock, () => {
    count++;
    onChange.resolve();
    onChange = Promise.withResolvers<void>();
  });
  return {
    watch,
    get count() {
      return count;
    },
    changed: () => onChange.promise,
    checked: () => onCheck.promise,
    [Symbol.dispose]: () => watch.close(),
  };
}

describe("watchFile()", () => {
  it("tells once of several writes in a row", async () => {
    using workspace = createWorkspace();
    const path = workspace.write("config.toml", "a");
    using observed = observe(path);
    const changed = observed.changed();
    for (const text of ["ab", "abc", "abcd"]) writeFileSync(path, text);
    await changed;
    assert.equal(observed.count, 1);
  });

  it("notices a file that takes the old one's place, again and again", async () => {
    using workspace = createWorkspace();
    const path = workspace.write("config.toml", "a");
    using observed = observe(path);
    for (const text of ["first", "the second"]) {
      const changed = observed.changed();
      renameSync(workspace.write("draft", text), path);
      await changed;
    }
    assert.equal(observed.count, 2);
  });

  it("notices a turned link in its folder, as Kubernetes updates a mounted file", async () => {
    using workspace = createWorkspace();
    workspace.write("v1/config.toml", "one");
    workspace.write("v2/config.toml", "second");
    symlinkSync("v1", join(workspace.folder, "data"));
    symlinkSync("data/config.toml", join(workspace.folder, "config.toml"));
    using observed = observe(join(workspace.folder, "config.toml"));
    const changed = observed.changed();
    symlinkSync("v2", join(workspace.folder, "next"));
    renameSync(join(workspace.folder, "next"), join(workspace.folder, "data"));
    await changed;
    assert.equal(observed.count, 1);
  });

  it("stays quiet when time and size are the same", async () => {
    using workspace = createWorkspace();
    const path = workspace.write("config.toml", "a");
    utimesSync(path, 1_000, 1_000);
    using observed = observe(path);
    const checked = observed.checked();
    utimesSync(path, 1_000, 1_000);
    await checked;
    assert.equal(statSync(path).mtimeMs, 1_000_000);
    assert.equal(observed.count, 0);
  });

  it("outlives the deletion of the file and of its folder", async () => {
    using workspace = createWorkspace();
    const path = workspace.write("etc/config.toml", "a");
    using observed = observe(path);
    const gone = observed.checked();
    rmSync(join(workspace.folder, "etc"), { recursive: true });
    await gone;
    assert.equal(observed.count, 0);
    const changed = observed.changed();
    mkdirSync(join(workspace.folder, "etc"));
    writeFileSync(path, "back again");
    await changed;
    assert.equal(observed.count, 1);
  });

  it("does not throw where nothing can be watched, and closes twice", () => {
    const watch = watchFile("/nowhere/at/all/config.toml", systemClock, () => {});
    assert.equal(watch.isActive, true);
    watch.close();
    watch.close();
    assert.equal(watch.isActive, false);
  });
});
