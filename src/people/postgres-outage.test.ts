// A real PostgreSQL that is stopped and started again, beneath two gateways that share it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { skipsPostgres, startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { until } from "../../test/support/until.ts";
import { parseApiKey } from "../identity/api-keys.ts";
import { createSigningKeys } from "../identity/signing-keys.ts";
import { openStore } from "../store/open-store.ts";
import type { Actor } from "./people.ts";
import { createPeople } from "./people-service.ts";

const signingKeys = createSigningKeys("a-secret-of-a-gateway-in-a-test-32-bytes");

const actor: Actor = { name: "root", via: "session", address: null, requestId: null };
const needsOwn = process.env.GLM_PROXY_TEST_POSTGRES_URL !== undefined && "needs a PostgreSQL that it may stop";

describe("people while PostgreSQL is away", { skip: skipsPostgres || needsOwn }, () => {
  let postgres: TestPostgres;
  before(async () => {
    postgres = (await startPostgres()) as TestPostgres;
  });
  after(() => postgres.stop());

  it("can be logged in and called for, not changed; afterwards all is as the database has it", async () => {
    const { server } = postgres;
    assert.ok(server);
    const url = await postgres.createDatabase();
    const clock = createManualClock();
    const failures: unknown[] = [];
    const open = async () => {
      const store = await openStore({ kind: "postgres", url }, { mayMigrate: true });
      const onStoreFailure = (error: unknown) => void failures.push(error);
      return { store, people: await createPeople({ store, signingKeys, staticUsers: [], clock, onStoreFailure }) };
    };
    const [one, other] = [await open(), await open()];
    await one.people.createUser({ name: "ada", password: "correct horse battery" }, actor);
    const { key, secret } = await one.people.createKey({ owner: "ada", name: "laptop" }, actor);
    const hash = parseApiKey(secret) as string;

    await server.halt("immediate");
    await assert.rejects(one.people.createUser({ name: "bob", password: null }, actor), {
      reason: "store_unavailable",
    });
    await assert.rejects(one.people.revokeKey(key.id, actor), { reason: "store_unavailable" });
    await assert.rejects(one.people.listAudit({ limit: 1, beforeId: null }), { reason: "store_unavailable" });
    assert.ok(one.people.directory.findUser("ada")?.secret);
    assert.equal(one.people.directory.findKeyCaller(hash)?.userId, "ada");
    await assert.rejects(one.people.directory.revoke("a-session", clock.wallNow() + 3_600_000), {
      reason: "store_unavailable",
    });
    assert.equal(one.people.directory.isRevoked("a-session"), true);
    assert.equal(failures.length, 1, "told once");

    await server.resume();
    await one.people.createUser({ name: "bob", password: null }, actor);
    await until("the other has caught up with everything", async () => {
      await clock.advance(1_000);
      return other.people.findUser("bob") !== undefined && other.people.directory.isRevoked("a-session");
    });
    assert.equal(other.people.directory.findKeyCaller(hash)?.userId, "ada");
    const names = (await one.people.listAudit({ limit: 9, beforeId: null })).map(({ target }) => target).reverse();
    assert.deepEqual(names, ["ada", key.id, "bob"]);
    for (const { store, people } of [one, other]) {
      await people.close();
      await store.close();
    }
  });
});
