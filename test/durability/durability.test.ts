// A few of the trials that the commands here make many of: `npm run test:kill`, `npm run test:outage`.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { skipsPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { tryKill } from "./kill-trial.ts";
import { type Outage, tryOutage } from "./outage-trial.ts";
import { tryPromises } from "./promise-trial.ts";
import { heldElsewhere, promises } from "./promises.ts";

describe("a gateway that is killed under load", () => {
  for (const seed of [1, 7]) {
    it(`has every call in its books exactly once (seed ${seed})`, async () => {
      const { problems, seen } = await tryKill(seed);
      assert.deepEqual(problems, []);
      assert.ok(seen > 0);
    });
  }
});

describe("a gateway that is killed when it has answered", () => {
  it("keeps what it promised: every row of docs/storage.md's table", async () => {
    const { problems, answered } = await tryPromises(promises, 2);
    assert.deepEqual(problems, []);
    assert.ok(answered >= promises.length);
  });

  it("has a trial, or another test, for each row of that table", () => {
    const docs = readFileSync(new URL("../../docs/storage.md", import.meta.url), "utf8");
    const [, section = ""] = docs.split("\n## What is durable when\n");
    const [table = ""] = section.split("\n## ");
    const rows = Array.from(table.matchAll(/^\| (?!what |---)(.*?) \|/gm), ([, row]) => row as string);
    const held = new Set([...promises.map(({ row }) => row), ...Object.keys(heldElsewhere)]);
    assert.deepEqual(rows.toSorted(), [...held].sort());
    for (const file of Object.values(heldElsewhere)) {
      const path = file.includes("/") ? `../../${file}` : `./${file}`;
      assert.ok(existsSync(new URL(path, import.meta.url)), file);
    }
  });
});

describe("a gateway whose PostgreSQL is gone for a while", { skip: skipsPostgres }, () => {
  let postgres: TestPostgres;

  before(async () => {
    postgres = (await startPostgres()) as TestPostgres;
  });
  after(() => postgres.stop());

  async function prepare(): Promise<Outage> {
    const { server } = postgres;
    assert.ok(server, "a server of our own, which can be taken away");
    return { url: await postgres.createDatabase(), kill: () => server.halt("immediate"), start: server.resume };
  }

  it("loses nothing, doubles nothing, refuses no call and no login", async () => {
    const trial = await tryOutage(await prepare(), { seed: 1, outageMs: 2_000, killsGateway: false });
    assert.deepEqual(trial.problems, []);
    assert.ok(trial.spooledMax > 0 && trial.logins > 0);
  });

  it("has every call in its books although it is killed meanwhile", async () => {
    const trial = await tryOutage(await prepare(), { seed: 2, outageMs: 1_000, killsGateway: true });
    assert.deepEqual(trial.problems, []);
    assert.ok((trial.byState.unknown ?? 0) > 0);
  });
});
