import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createWorkspace, type Workspace } from "../../test/support/process.ts";
import {
  createFile,
  followLink,
  makeDraft,
  makeFolder,
  mayOthersFill,
  mayOthersReplace,
  replaceFile,
  requirePlainFile,
} from "./own-files.ts";

let workspace: Workspace;
let path: string;
beforeEach(() => {
  workspace = createWorkspace();
  path = workspace.path("file");
});
afterEach(() => workspace.remove());

const modeOf = (file: string) => statSync(file).mode & 0o777;
const foreign = { name: "Error", code: "EFOREIGN" };

describe("a file that is made", () => {
  it("is for its owner alone, and never takes the place of anything", () => {
    createFile(path, "text");
    assert.deepEqual([readFileSync(path, "utf8"), modeOf(path)], ["text", 0o600]);
    symlinkSync("nowhere", workspace.path("link"));
    mkdirSync(workspace.path("folder"));
    for (const name of ["file", "link", "folder"]) {
      assert.throws(() => createFile(workspace.path(name), "other"), { code: "EEXIST" });
    }
    assert.deepEqual(readdirSync(workspace.folder).sort(), ["file", "folder", "link"]);
    assert.equal(readFileSync(path, "utf8"), "text");
  });

  it("leaves nothing when it can't be filled", () => {
    assert.throws(
      () =>
        makeDraft(workspace.folder, (draft) => {
          assert.equal(dirname(draft), workspace.folder);
          throw new Error("no room");
        }),
      /no room/,
    );
    assert.deepEqual(readdirSync(workspace.folder), []);
  });
});

describe("a file that is replaced", () => {
  it("keeps its mode, and is never a link or something else", () => {
    writeFileSync(path, "before");
    chmodSync(path, 0o640);
    replaceFile(path, "after");
    assert.deepEqual([readFileSync(path, "utf8"), modeOf(path)], ["after", 0o640]);
    symlinkSync("file", workspace.path("link"));
    mkdirSync(workspace.path("folder"));
    for (const name of ["link", "folder"]) assert.throws(() => replaceFile(workspace.path(name), "x"), foreign);
    assert.equal(readFileSync(path, "utf8"), "after");
  });
});

describe("what stands at a path", () => {
  it("is looked at without following links, unless to a file", () => {
    assert.equal(requirePlainFile(path), null);
    writeFileSync(path, "");
    symlinkSync("file", workspace.path("link"));
    symlinkSync("nowhere", workspace.path("lost"));
    assert.ok(requirePlainFile(path));
    assert.throws(() => requirePlainFile(workspace.path("link"), "x"), { ...foreign, message: "x is a symbolic link" });
    assert.equal(followLink(workspace.path("link")), path);
    assert.throws(() => followLink(workspace.path("lost")), foreign);
  });
});

describe("a folder", () => {
  const skip = process.getuid?.() !== 0 && "needs root, to give a folder away";

  it("is one in which others can't replace files, unless they may write there and it is not sticky", () => {
    const folder = workspace.path("a/b");
    makeFolder(folder);
    assert.deepEqual([modeOf(folder), modeOf(workspace.path("a"))], [0o700, 0o700]);
    for (const [mode, isExposed] of [
      [0o700, false],
      [0o755, false],
      [0o1777, false],
      [0o777, true],
      [0o770, true],
    ] as const) {
      chmodSync(folder, mode);
      assert.equal(mayOthersReplace(folder), isExposed, mode.toString(8));
    }
    chmodSync(folder, 0o700);
    chmodSync(workspace.path("a"), 0o777);
    assert.equal(mayOthersReplace(folder), true, "one above it may be replaced");
  });

  it("is filled by others when they may write there, sticky or not, or may make it", () => {
    const folder = workspace.path("cache");
    assert.equal(mayOthersFill(folder), false);
    for (const [mode, isFilled] of [
      [0o700, false],
      [0o1777, true],
      [0o770, true],
    ] as const) {
      makeFolder(folder);
      chmodSync(folder, mode);
      assert.equal(mayOthersFill(folder), isFilled, mode.toString(8));
    }
    chmodSync(workspace.folder, 0o777);
    assert.equal(mayOthersFill(workspace.path("other")), true);
  });

  it("is exposed to its owner", { skip }, () => {
    chownSync(workspace.folder, 65_534, 65_534);
    assert.equal(mayOthersReplace(workspace.folder), true);
  });
});
