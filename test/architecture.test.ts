// The rules of the house, checked on the imports as they are: stages do not know each other, nothing goes in circles,
// every package has one owner, and what belongs to the process stays in main.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";

const root = new URL("../", import.meta.url).pathname;
const files = globSync("src/**/*.ts", { cwd: root }).filter((file) => !/\.test\.ts$|\/fixtures\//.test(file));
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));

/** What each file imports, types and lazy imports included: own files by path, packages by name. */
const imports = new Map(
  Array.from(sources, ([file, text]) => [
    file,
    Array.from(text.matchAll(/(?:^(?:import|export)[^"]*? from |^\} from |\bimport\()"([^"]+)"/gm), ([, name]) =>
      (name as string).startsWith(".") ? relative(root, join(root, dirname(file), name as string)) : (name as string),
    ),
  ]),
);

const stages = ["identity", "quota", "admission", "cache", "upstream", "relay", "surfaces", "ledger"];
/** The ledger keeps its records in the store, surfaces have what they can't say otherwise translated; others need nothing. */
const beyond: Readonly<Record<string, string>> = { ledger: "src/store/", surfaces: "src/translation/" };

describe("the house", () => {
  it("has its stages import nothing of each other and nothing of what puts them together", () => {
    const offences = [];
    for (const [file, names] of imports) {
      const stage = stages.find((name) => file.startsWith(`src/${name}/`));
      if (stage === undefined) continue;
      for (const name of names) {
        const isOwn = name.startsWith(`src/${stage}/`) || name.startsWith("src/base/") || !name.startsWith("src/");
        if (!isOwn && !name.startsWith(beyond[stage] ?? "src/base/")) offences.push(`${file} -> ${name}`);
      }
    }
    assert.deepEqual(offences, []);
  });

  it("has a base that imports nothing but itself", () => {
    const offences = Array.from(imports)
      .filter(([file]) => file.startsWith("src/base/"))
      .flatMap(([file, names]) =>
        names
          .filter((name) => !name.startsWith("src/base/") && !name.startsWith("node:"))
          .map((name) => `${file} -> ${name}`),
      );
    assert.deepEqual(offences, []);
  });

  it("has no import cycle, types included", () => {
    const done = new Set<string>();
    function visit(file: string, path: readonly string[]): void {
      assert.ok(!path.includes(file), `cycle: ${[...path.slice(path.indexOf(file)), file].join(" -> ")}`);
      if (done.has(file)) return;
      for (const name of imports.get(file) ?? []) visit(name, [...path, file]);
      done.add(file);
    }
    for (const file of files) visit(file, []);
  });

  it("has one owner file for each package, and each package in package.json", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    const owners = new Map<string, Set<string>>();
    for (const [file, names] of imports) {
      for (const name of names) {
        if (name.startsWith("src/") || name.startsWith("node:") || builtinModules.includes(name)) continue;
        const packageName = name
          .split("/")
          .slice(0, name.startsWith("@") ? 2 : 1)
          .join("/");
        owners.set(packageName, (owners.get(packageName) ?? new Set()).add(dirname(file)));
      }
    }
    assert.deepEqual([...owners.keys()].sort(), Object.keys(dependencies).sort());
    for (const [name, folders] of owners)
      assert.equal(folders.size, 1, `${name} is used in ${[...folders].join(", ")}`);
  });

  it("builds implementations in app.ts alone, in books.ts, and in what does without a server", () => {
    const constructors = [
      "createFamilyScheduler",
      "createUpstreamPool",
      "createAnswerCache",
      "createIdentity",
      "createHttpServer",
      "createMetrics",
      "createLedger",
      "createQuotas",
      "createPeople",
      "createControlPlane",
    ];
    for (const name of constructors) {
      const users = Array.from(sources).filter(
        ([file, text]) =>
          text.includes(`${name}(`) &&
          !text.includes(`function ${name}(`) &&
          !/^src\/(?:app|books|ledger\/open-ledger|commands\/client\/store-client)\.ts$/.test(file),
      );
      assert.deepEqual(
        users.map(([file]) => file),
        [],
        name,
      );
    }
  });

  it("reads process.env and ends the process in main.ts alone, and uses no clock but the injected one", () => {
    const offences = [];
    for (const [file, text] of sources) {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      if (file !== "src/main.ts" && /process\.(?:env|exit|argv|cwd)\b/.test(code)) offences.push(`${file}: process`);
      if (
        file !== "src/base/clock.ts" &&
        /\bsetTimeout\(|\bsetInterval\(|Date\.now\(|performance\.now\(|Math\.random/.test(code)
      ) {
        // Node's own methods of the same name belong to sockets, not to the clock.
        if (/(?<![.\w])set(?:Timeout|Interval)\(|Date\.now\(|performance\.now\(|Math\.random/.test(code))
          offences.push(`${file}: clock`);
      }
    }
    assert.deepEqual(offences, []);
  });

  it("keeps fetch and Web Streams off the data plane, and code that runs text out of everything", () => {
    for (const [file, text] of sources) {
      // The control plane is Hono's, which speaks in these; microseconds don't matter there.
      if (file !== "src/commands/demo.ts" && !file.startsWith("src/admin/"))
        assert.doesNotMatch(text, /(?<![.\w])fetch\(|ReadableStream|new Blob/, file);
      assert.doesNotMatch(text, /\beval\(|new Function\(|rejectUnauthorized: *false|node:vm/, file);
      if (file !== "src/observe/service-manager.ts") assert.doesNotMatch(text, /child_process/, file);
    }
  });

  it("shows the life of one call on one screen", () => {
    const text = sources.get("src/gateway.ts") as string;
    assert.ok(text.split("\n").length <= 80, `${text.split("\n").length} lines`);
  });
});
