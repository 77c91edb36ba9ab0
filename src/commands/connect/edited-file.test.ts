import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type EditedFile, findFile, restore, writeSettings } from "./edited-file.ts";
import type { Setting } from "./file-format.ts";
import { createJsonFormat } from "./json-format.ts";

const format = createJsonFormat({ allowsComments: false, emptyText: "{}\n" });
const settings: readonly Setting[] = [{ path: ["env", "URL"], value: "http://x" }];
const owned = [["env", "URL"]];
const original = '{ "b":   1 }';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "glm-proxy-"));
  path = join(folder, "settings.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (): EditedFile => findFile(path, "~/settings.json", format);
const write = (more = settings) => writeSettings(open(), more);
const putBack = (isForced = false) => restore(open(), owned, isForced);
const text = () => readFileSync(path, "utf8");

describe("a written file", () => {
  it("keeps its mode; what was there is beside it, for its owner alone; nothing else is left", () => {
    writeFileSync(path, original);
    chmodSync(path, 0o640);
    const { changes, backup, isOpen } = write();
    assert.deepEqual(changes, [{ path: ["env", "URL"], isSecret: false, before: undefined, after: "http://x" }]);
    assert.deepEqual([backup, isOpen], [`${path}.before-glm-proxy`, true]);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.equal(readFileSync(`${path}.before-glm-proxy`, "utf8"), original);
    assert.equal(statSync(`${path}.before-glm-proxy`).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder).sort(), ["settings.json", "settings.json.before-glm-proxy"]);
    assert.equal(putBack(), "restored");
    assert.equal(text(), original);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(folder), ["settings.json"]);
  });

  it("that was not there is made for its owner alone, with its folder, and removed again", () => {
    path = join(folder, "new", "deep", "settings.json");
    const { backup, isOpen } = write();
    assert.deepEqual([backup, isOpen, statSync(path).mode & 0o777], [null, false, 0o600]);
    assert.equal(statSync(join(folder, "new")).mode & 0o777, 0o700);
    assert.equal(putBack(), "removed");
    assert.deepEqual(readdirSync(join(folder, "new", "deep")), []);
  });

  it("is not touched by a second time, and a third with other values keeps what was there before the first", () => {
    writeFileSync(path, original);
    write();
    const { ino, mtimeMs } = statSync(path);
    assert.deepEqual(write().changes, []);
    assert.deepEqual([statSync(path).ino, statSync(path).mtimeMs], [ino, mtimeMs]);
    write([{ path: ["env", "URL"], value: "http://y" }]);
    putBack();
    assert.equal(text(), original);
  });

  it("stays a link where it is one, and its file is changed", () => {
    mkdirSync(join(folder, "dotfiles"));
    const real = join(folder, "dotfiles", "claude.json");
    writeFileSync(real, original);
    symlinkSync("dotfiles/claude.json", path);
    write();
    assert.equal(readlinkSync(path), "dotfiles/claude.json");
    assert.match(readFileSync(real, "utf8"), /http:/);
    assert.ok(existsSync(`${real}.before-glm-proxy`));
    putBack();
    assert.ok(lstatSync(path).isSymbolicLink());
    assert.equal(readFileSync(real, "utf8"), original);
  });

  it("keeps a byte order mark", () => {
    writeFileSync(path, `\uFEFF${original}`);
    write();
    assert.equal(text(), '\uFEFF{ "b":   1, "env": {"URL":"http://x"} }');
    putBack();
    assert.equal(text(), `\uFEFF${original}`);
  });

  it("is refused, and left alone, when it is broken, a folder, a link to nothing, or not text", () => {
    writeFileSync(path, "{");
    assert.throws(() => write(), /Cannot edit ~\/settings\.json: it is not valid JSON at 1:2\./);
    assert.equal(text(), "{");
    writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d]));
    assert.throws(() => write(), /it is not UTF-8 text/);
    rmSync(path);
    mkdirSync(path);
    assert.throws(() => write(), /it is a directory/);
    rmSync(path, { recursive: true });
    symlinkSync("nowhere", path);
    assert.throws(() => write(), /it is a symbolic link to nothing/);
    assert.deepEqual(readdirSync(folder), ["settings.json"]);
  });

  it("is refused in words when its folder can't be had", () => {
    writeFileSync(join(folder, "x"), "");
    path = join(folder, "x", "settings.json");
    assert.throws(() => write(), /Cannot edit ~\/settings\.json: ENOTDIR/);
  });
});

describe("restore()", () => {
  it("is refused when nothing was written", () => {
    writeFileSync(path, original);
    assert.throws(() => putBack(), /Nothing to restore: there is no ~\/settings\.json\.before-glm-proxy\./);
  });

  it("is fine when only our settings, or the layout, changed since", () => {
    writeFileSync(path, original);
    write();
    writeFileSync(path, JSON.stringify({ env: { URL: "http://mine" }, b: 1 }, null, 4));
    assert.equal(putBack(), "restored");
    assert.equal(text(), original);
  });

  it("is refused when more changed since, and then forced", () => {
    writeFileSync(path, original);
    write();
    const changed = text().replace("1", "2");
    writeFileSync(path, changed);
    assert.throws(() => putBack(), /Nothing was restored: ~\/settings\.json was changed since/);
    assert.equal(text(), changed);
    assert.equal(putBack(true), "restored");
    assert.equal(text(), original);
  });

  it("is refused when the file that we made has more in it, is broken or gone; and then forced", () => {
    for (const now of ['{"env":{"URL":"http://x"},"mine":1}', "{", null]) {
      if (now !== null) write();
      else {
        writeFileSync(path, original);
        write();
      }
      if (now === null) rmSync(path);
      else writeFileSync(path, now);
      assert.throws(() => putBack(), /Nothing was restored/);
      assert.equal(putBack(true), now === null ? "restored" : "removed");
      assert.deepEqual(readdirSync(folder), now === null ? ["settings.json"] : []);
    }
  });

  it("is fine when the file that we made is gone already", () => {
    write();
    rmSync(path);
    assert.equal(putBack(), "removed");
    assert.deepEqual(readdirSync(folder), []);
  });

  it("gives an empty file back empty", () => {
    writeFileSync(path, "");
    write();
    assert.equal(putBack(), "restored");
    assert.equal(text(), "");
  });
});
