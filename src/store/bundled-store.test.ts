import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { after, describe, it } from "node:test";
import { build } from "esbuild";
import { createWorkspace } from "../../test/support/process.ts";
import { workersPlugin } from "../../tools/workers-plugin.ts";

const workspace = createWorkspace();
after(() => workspace.remove());

describe("a store in a bundle of one file", () => {
  it("has its threads with it", async () => {
    const folder = new URL(".", import.meta.url).pathname;
    const outfile = workspace.path("bundle.mjs");
    await build({
      stdin: {
        contents: `
          import { openStore } from "./open-store.ts";
          const store = await openStore({ kind: "sqlite", file: process.argv[2] }, { mayMigrate: true });
          await store.db.insertInto("meta").values({ name: "written", value: "" }).execute();
          const rows = await store.reads.selectFrom("meta").select("name").execute();
          await store.backup(process.argv[2] + ".copy");
          await store.close();
          console.log(JSON.stringify(rows));`,
        resolveDir: folder,
        loader: "ts",
      },
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      banner: {
        js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
      },
      plugins: [workersPlugin],
    });
    const output = execFileSync(process.execPath, [outfile, workspace.path("data.sqlite")], { encoding: "utf8" });
    assert.deepEqual(JSON.parse(output), [{ name: "written" }]);
    const files = readdirSync(workspace.folder).sort();
    assert.deepEqual(files, ["bundle.mjs", "data.sqlite", "data.sqlite.copy", "data.sqlite.lock"]);
  });
});
