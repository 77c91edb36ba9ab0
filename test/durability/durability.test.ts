// A few of the trials that the commands here make many of: `npm run test:kill`, `npm run test:outage`.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { skipsPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { tryKill } from "./kill-trial.ts";
import { type Outage, tryOutage } from "./outage-trial.ts";

describe("a gateway that is killed under load", () => {
  for (const seed of [1, 7]) {
    it(`has every call in its books exactly once (seed ${seed})`, async () => {
      const { problems, seen } = await tryKill(seed);
      assert.deepEqual(problems, []);
      assert.ok(seen > 0);
    });
  }
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
