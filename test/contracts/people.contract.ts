// What people, groups, API keys and their audit promise on every store. Called once for each store.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Caller } from "../../src/base/principal.ts";
import { Refusal, type RefusalReason } from "../../src/base/refusal.ts";
import { parseApiKey } from "../../src/identity/api-keys.ts";
import { createIdentity } from "../../src/identity/identity.ts";
import { createPasswordChecker } from "../../src/identity/passwords.ts";
import { createSessionTokens } from "../../src/identity/session-tokens.ts";
import { createSigningKeys } from "../../src/identity/signing-keys.ts";
import type { PeopleBounds } from "../../src/people/bounds.ts";
import type { Actor, AuditEntry, KeyDraft, UserDraft } from "../../src/people/people.ts";
import { createPeople, type PeopleService } from "../../src/people/people-service.ts";
import type { Account } from "../../src/people/static-users.ts";
import { createManualClock, type ManualClock } from "../support/manual-clock.ts";
import { createStoreValve, type StoreValve } from "../support/store-valve.ts";
import type { FreshStore } from "../support/stores.ts";
import { until } from "../support/until.ts";

const signingKeys = createSigningKeys("a-secret-of-a-gateway-in-a-test-32-bytes");

const root: Account = { username: "root", password: "secret of root", role: "admin", weight: 1, class: "interactive" };
const actor: Actor = { name: "root", via: "session", address: "192.0.2.7", requestId: "req-1" };
const dayMs = 24 * 3_600_000;
const password = "correct horse battery";

/** `makeFresh` makes a place with nothing in it, for one test. */
export function peopleContract(makeFresh: () => Promise<FreshStore>): void {
  let store: StoreValve;
  let clock: ManualClock;
  let people: PeopleService;
  let failures: unknown[];
  let opened: PeopleService[];

  beforeEach(async () => {
    store = createStoreValve(await (await makeFresh()).open());
    clock = createManualClock();
    failures = [];
    opened = [];
    people = await start();
  });
  afterEach(async () => {
    store.isAway = false;
    for (const one of opened) await one.close();
  });

  async function start(staticUsers = [root], bounds: Partial<PeopleBounds> = {}): Promise<PeopleService> {
    const onStoreFailure = (error: unknown) => void failures.push(error);
    const one = await createPeople({ store, signingKeys, staticUsers, clock, onStoreFailure, bounds });
    opened.push(one);
    return one;
  }

  const addUser = (name: string, more: Partial<UserDraft> = {}, to = people) =>
    to.createUser({ name, password: null, ...more }, actor);
  const addKey = (owner: string, more: Partial<KeyDraft> = {}, to = people) =>
    to.createKey({ owner, name: "laptop", ...more }, actor);
  const callerOf = (secret: string, from = people): Caller | undefined =>
    from.directory.findKeyCaller(parseApiKey(secret) as string);
  const audit = (limit = 100): Promise<readonly AuditEntry[]> => people.listAudit({ limit, beforeId: null });
  const lastAudit = async () => (await audit(1))[0] as AuditEntry;

  describe("users", () => {
    it("are there at once and after a restart, with what they were given", async () => {
      await people.createGroup({ name: "lab" }, actor);
      const made = await addUser("ada", {
        role: "admin",
        group: "lab",
        weight: 2.5,
        class: "batch",
        limits: { concurrency: 2, "requests/day": 100 },
        expiresAt: clock.wallNow() + dayMs,
      });
      assert.deepEqual(made, {
        name: "ada",
        source: "store",
        role: "admin",
        group: "lab",
        weight: 2.5,
        class: "batch",
        limits: { "requests/day": 100, concurrency: 2 },
        runsJobs: null,
        isEnabled: true,
        expiresAt: clock.wallNow() + dayMs,
        hasPassword: false,
        createdAt: clock.wallNow(),
        updatedAt: clock.wallNow(),
      });
      assert.deepEqual(people.findUser("ada"), made);
      assert.deepEqual((await start()).findUser("ada"), made);
    });

    it("are listed by name, those of the configuration among them", async () => {
      for (const name of ["zoë", "ada", "Bob", "ada.l"]) await addUser(name);
      const names = ["Bob", "ada", "ada.l", "root", "zoë"];
      assert.deepEqual(
        people.listUsers().map(({ name }) => name),
        names,
      );
      assert.deepEqual(
        (await start()).listUsers().map(({ name }) => name),
        names,
      );
    });

    it("change in what is named, and in nothing else", async () => {
      const before = await addUser("ada", { weight: 3, limits: { "requests/day": 5 } });
      await clock.advance(1_000);
      const after = await people.changeUser("ada", { class: "batch", weight: null }, actor);
      assert.deepEqual(after, { ...before, class: "batch", weight: null, updatedAt: clock.wallNow() });
      assert.deepEqual((await start()).findUser("ada"), after);
    });

    it("take over nothing that is not theirs to be given (mass assignment)", async () => {
      const foreign = { source: "config", createdAt: 1, hasPassword: true, tokensValidFrom: 0, passwordHash: "x" };
      const made = await addUser("ada", foreign as Partial<UserDraft>);
      assert.deepEqual([made.source, made.createdAt, made.hasPassword], ["store", clock.wallNow(), false]);
      const changed = await people.changeUser("ada", { ...foreign, name: "eve" } as object, actor);
      assert.deepEqual([changed.name, changed.source, changed.hasPassword], ["ada", "store", false]);
      assert.equal(people.findUser("eve"), undefined);
    });

    it("log in with their password, of which only a hash is kept", async () => {
      await addUser("ada", { password });
      const passwords = createPasswordChecker({ runningMax: 2, waitingMax: 2 });
      const secret = (await start()).directory.findUser("ada")?.secret;
      assert.ok(secret && "hash" in secret);
      assert.match(secret.hash, /^\$argon2id\$/);
      assert.equal(await passwords.check(secret, password), true);
      await people.changeUser("ada", { password: `${password}!` }, actor);
      assert.equal(await passwords.check(people.directory.findUser("ada")?.secret ?? null, password), false);
      await people.changeUser("ada", { password: null }, actor);
      assert.equal(people.directory.findUser("ada")?.secret, null);
    });

    it("that are disabled or whose time is up are as unknown as those who never were", async () => {
      await addUser("ada");
      await addUser("bob", { expiresAt: clock.wallNow() + 1_000 });
      assert.ok(people.directory.findUser("ada") && people.directory.findUser("bob"));
      await people.changeUser("ada", { isEnabled: false }, actor);
      await clock.advance(1_000);
      for (const name of ["ada", "bob", "nobody", "__proto__", "constructor"]) {
        assert.equal(people.directory.findUser(name), undefined, name);
      }
    });

    it("void their sessions when password, role or access is taken, to the second after next", async () => {
      await addUser("ada", { role: "admin", password });
      const validFrom = () => people.directory.findUser("ada")?.tokensValidFrom;
      const fresh = validFrom();
      await clock.advance(10_500);
      await people.changeUser("ada", { weight: 2, role: "admin", isEnabled: true }, actor);
      assert.equal(validFrom(), fresh);
      await people.changeUser("ada", { role: "user" }, actor);
      assert.equal(validFrom(), Math.ceil(clock.wallNow() / 1_000) + 1);
      await clock.advance(10_000);
      await people.changeUser("ada", { password: "another password" }, actor);
      assert.equal(validFrom(), Math.ceil(clock.wallNow() / 1_000) + 1);
      const before = validFrom();
      await clock.advance(10_000);
      await people.changeUser("ada", { role: "admin" }, actor);
      assert.equal(validFrom(), before);
    });

    for (const [what, voidThem] of [
      ["disabled and enabled", [{ isEnabled: false }, { isEnabled: true }]],
      ["given another password", [{ password: "another password" }]],
      ["made a user and an administrator again", [{ role: "user" }, { role: "admin" }]],
    ] as const) {
      it(`has sessions that end when the user is ${what}, without a pause after any change or login`, async () => {
        const lifetimes = { tokenSeconds: 600, consoleIdleSeconds: 600, sessionSeconds: 6_000 };
        const sessionTokens = createSessionTokens("a-test-secret-of-more-than-32-bytes!", lifetimes, clock);
        const passwords = createPasswordChecker({ runningMax: 1, waitingMax: 1 });
        const { directory } = people;
        const identity = createIdentity({ directory, sessionTokens, passwords, signingKeys, clock });
        await addUser("ada", { role: "admin", password });
        let secret: string = password;
        for (let round = 0; round < 5; round++) {
          const { sessionToken } = await identity.logIn({ username: "ada", password: secret, address: "192.0.2.1" });
          assert.equal((await identity.identify(sessionToken)).userId, "ada");
          for (const change of voidThem) {
            const other = "password" in change ? { password: `${change.password} ${round}` } : change;
            if ("password" in other) secret = other.password;
            await people.changeUser("ada", other, actor);
          }
          await refused(identity.identify(sessionToken), "invalid_token");
          await refused(identity.refresh(sessionToken), "invalid_token");
        }
      });
    }

    it("can't have names that look like others, or that mix alphabets which look alike", async () => {
      await addUser("paul");
      await refused(addUser("pau1"), "conflict");
      await refused(addUser("p\u0430ul"), "invalid_field", "name");
      await refused(addUser("\uff50aul"), "invalid_field", "name");
      // Cyrillic through and through, and the configuration's user is Latin.
      await refused(addUser("r\u043e\u043et"), "invalid_field", "name");
      await addUser("coco");
      await refused(addUser("\u0441\u043e\u0441\u043e"), "conflict");
      await addUser("\u0418\u0432\u0430\u043d");
      await addUser("王小明");
      await people.createGroup({ name: "lab" }, actor);
      await refused(people.createGroup({ name: "1ab" }, actor), "conflict");
      await refused(people.createGroup({ name: "l\u0430b" }, actor), "invalid_field", "name");
    });

    it("go with their keys, and leave nothing to who gets their name", async () => {
      await addUser("ada", { password });
      const { key, secret } = await addKey("ada");
      const other = await addKey("root");
      await clock.advance(5_000);
      await people.removeUser("ada", actor);
      assert.deepEqual(
        [people.findUser("ada"), people.findKey(key.id), callerOf(secret)],
        [undefined, undefined, undefined],
      );
      const restarted = await start();
      assert.deepEqual(restarted.listKeys(null).length, 1);
      await addUser("ada");
      assert.equal(callerOf(secret), undefined);
      assert.ok((people.directory.findUser("ada")?.tokensValidFrom ?? 0) > clock.wallNow() / 1_000);
      assert.ok(callerOf(other.secret));
    });

    it("refuse what makes no sense, and say which field it is", async () => {
      const cases: [Partial<UserDraft>, string][] = [
        [{ weight: 0 }, "weight"],
        [{ weight: 1_000.1 }, "weight"],
        [{ weight: Number.NaN }, "weight"],
        [{ role: "root" as "admin" }, "role"],
        [{ class: "urgent" as "batch" }, "class"],
        [{ group: "nowhere" }, "group"],
        [{ limits: { "requests/week": 1 } as object }, "limits.requests/week"],
        [{ limits: { "requests/day": -1 } }, "limits.requests/day"],
        [{ limits: { "requests/day": "9" } as object }, "limits.requests/day"],
        [{ limits: { concurrency: 1.5 } }, "limits.concurrency"],
        [{ expiresAt: 1 }, "expires_at"],
        [{ expiresAt: 1e15 }, "expires_at"],
        [{ password: "short" }, "password"],
        [{ password: `é${"x".repeat(128)}` }, "password"],
        [{ password: "Ada.Lovelace" }, "password"],
        [{ password: "aaaaaaaaaaaa" }, "password"],
        [{ password: "password123" }, "password"],
        [{ password: "surrogate \ud800 alone" }, "password"],
      ];
      for (const [draft, param] of cases) {
        await refused(addUser("ada.lovelace", draft), "invalid_field", param);
      }
      const names = [
        "",
        " ada",
        "ada lovelace",
        "_ada",
        "a/b",
        "a\nb",
        "ada\u0000",
        "e\u0301va",
        "x".repeat(129),
        "👩",
      ];
      for (const name of names) await refused(addUser(name), "invalid_field", "name");
      await addUser("ada");
      for (const [draft, param] of cases.slice(0, 10)) {
        await refused(people.changeUser("ada", draft, actor), "invalid_field", param);
      }
      assert.deepEqual(people.findUser("ada"), (await start()).findUser("ada"));
      assert.equal(people.listUsers().length, 2);
    });

    it("accept what is at the edge of sense", async () => {
      const edges: [string, Partial<UserDraft>][] = [
        ["x".repeat(128), { weight: 0.001, limits: { "cost/month": 0, "requests/total": 0 } }],
        ["张伟", { weight: 1_000, password: "12 chars: 密码" }],
        ["ada+tools@example.org", { password: "é!".repeat(64) }],
        ["a'; drop table users; --".replaceAll(/[^a-z-]/g, "."), { expiresAt: clock.wallNow() + 1 }],
      ];
      for (const [name, draft] of edges) await addUser(name, draft);
      const restarted = await start();
      for (const [name] of edges) assert.deepEqual(restarted.findUser(name), people.findUser(name), name);
    });

    it("are what they are called: a name is given once", async () => {
      await addUser("ada");
      await refused(addUser("ada"), "conflict");
      await refused(addUser("root"), "conflict");
      await addUser("Ada");
      await refused(people.changeUser("nobody", { weight: 1 }, actor), "unknown_object");
      await refused(people.removeUser("nobody", actor), "unknown_object");
    });

    it("of the configuration are seen, and changed by nobody", async () => {
      const view = people.findUser("root");
      assert.deepEqual([view?.source, view?.hasPassword, view?.createdAt], ["config", true, null]);
      await refused(people.changeUser("root", { weight: 2 }, actor), "read_only_object");
      await refused(people.removeUser("root", actor), "read_only_object");
    });

    it("of the configuration hide one of the store that has their name, until they go", async () => {
      await addUser("ada", { weight: 7 });
      people.replaceStatic([root, { ...root, username: "ada", weight: 3 }]);
      assert.deepEqual([people.findUser("ada")?.source, people.findUser("ada")?.weight], ["config", 3]);
      assert.equal(people.listUsers().filter(({ name }) => name === "ada").length, 1);
      await refused(people.changeUser("ada", { weight: 9 }, actor), "read_only_object");
      people.replaceStatic([root]);
      assert.deepEqual([people.findUser("ada")?.source, people.findUser("ada")?.weight], ["store", 7]);
    });

    it("keep an administrator: the last one can't be removed, disabled or made less", async () => {
      people.replaceStatic([]);
      await addUser("ada", { role: "admin" });
      await addUser("bob", { role: "admin", isEnabled: false });
      await addUser("eva", { role: "admin", expiresAt: clock.wallNow() + 1_000 });
      await people.changeUser("ada", { role: "user" }, actor);
      await refused(people.changeUser("eva", { role: "user" }, actor), "conflict");
      await people.changeUser("ada", { role: "admin" }, actor);
      await clock.advance(1_000);
      for (const change of [{ role: "user" as const }, { isEnabled: false }]) {
        await refused(people.changeUser("ada", change, actor), "conflict");
      }
      await refused(people.removeUser("ada", actor), "conflict");
      await people.changeUser("ada", { weight: 2 }, actor);
      people.replaceStatic([root]);
      await people.removeUser("ada", actor);
    });

    it("are bounded, to the last one", async () => {
      const small = await start([root], { usersMax: 3 });
      for (const name of ["a", "b", "c"]) await addUser(name, {}, small);
      await refused(addUser("d", {}, small), "conflict");
      await small.removeUser("b", actor);
      await addUser("d", {}, small);
    });

    it("changed by many at once lose no change", async () => {
      await addUser("ada");
      const changes = [
        { weight: 2 },
        { class: "batch" as const },
        { limits: { concurrency: 1 } },
        { isEnabled: false },
      ];
      await Promise.all(changes.map((change) => people.changeUser("ada", change, actor)));
      const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => addUser("bob")));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      const { weight, class: trafficClass, limits, isEnabled } = (await start()).findUser("ada") ?? {};
      assert.deepEqual([weight, trafficClass, limits, isEnabled], [2, "batch", { concurrency: 1 }, false]);
    });
  });

  describe("groups", () => {
    it("are there at once and after a restart, and count their members of both kinds", async () => {
      const made = await people.createGroup(
        { name: "lab", weight: 2, class: "batch", limits: { "cost/month": 20.5 }, memberLimits: { concurrency: 1 } },
        actor,
      );
      assert.deepEqual(made, {
        name: "lab",
        weight: 2,
        class: "batch",
        limits: { "cost/month": 20.5 },
        memberLimits: { concurrency: 1 },
        runsJobs: false,
        memberCount: 0,
        createdAt: clock.wallNow(),
        updatedAt: clock.wallNow(),
      });
      await addUser("ada", { group: "lab" });
      people.replaceStatic([{ ...root, group: "lab" }]);
      assert.equal(people.findGroup("lab")?.memberCount, 2);
      assert.deepEqual((await start()).findGroup("lab"), { ...made, memberCount: 1 });
    });

    it("give their members what those have not themselves", async () => {
      await people.createGroup({ name: "lab", weight: 2, class: "batch", memberLimits: { concurrency: 1 } }, actor);
      const ada = await addUser("ada", { group: "lab", limits: { "requests/day": 5 } });
      const bob = await addUser("bob", { group: "lab", weight: 3, class: "interactive", limits: { concurrency: 9 } });
      assert.deepEqual(people.effectiveOf(ada), {
        weight: 2,
        class: "batch",
        limits: { concurrency: 1, "requests/day": 5 },
        runsJobs: false,
      });
      const own = { weight: 3, class: "interactive", limits: { concurrency: 9 }, runsJobs: false };
      assert.deepEqual(people.effectiveOf(bob), own);
      const normal = { weight: 1, class: "default", limits: {}, runsJobs: false };
      assert.deepEqual(people.effectiveOf(await addUser("eva")), normal);
    });

    it("bind all members together by their limits, each by its own, and change for all at once", async () => {
      await people.createGroup({ name: "lab", limits: { "cost/month": 20 }, memberLimits: { concurrency: 1 } }, actor);
      await addUser("ada", { group: "lab" });
      const caller = () => people.directory.findUser("ada")?.caller;
      assert.equal(caller()?.groupId, "lab");
      assert.deepEqual(caller()?.scopes, [
        { kind: "user", id: "ada", limits: { concurrency: 1 } },
        { kind: "group", id: "lab", limits: { "cost/month": 20 } },
      ]);
      await people.changeGroup("lab", { limits: {}, memberLimits: { concurrency: 2 }, weight: 4 }, actor);
      assert.deepEqual(caller()?.scopes, [{ kind: "user", id: "ada", limits: { concurrency: 2 } }]);
      assert.equal(caller()?.weight, 4);
      await people.changeUser("ada", { group: null }, actor);
      assert.deepEqual([caller()?.groupId, caller()?.scopes, caller()?.weight], [null, [], 1]);
    });

    it("can't be removed while somebody is in them, disabled or of the configuration", async () => {
      await people.createGroup({ name: "lab" }, actor);
      await addUser("ada", { group: "lab", isEnabled: false });
      await refused(people.removeGroup("lab", actor), "conflict");
      await people.removeUser("ada", actor);
      people.replaceStatic([{ ...root, group: "lab" }]);
      await refused(people.removeGroup("lab", actor), "conflict");
      people.replaceStatic([root]);
      await people.removeGroup("lab", actor);
      assert.deepEqual([people.findGroup("lab"), (await start()).listGroups()], [undefined, []]);
      await refused(people.removeGroup("lab", actor), "unknown_object");
      await refused(people.changeGroup("lab", {}, actor), "unknown_object");
    });

    it("refuse what makes no sense, and are bounded", async () => {
      const small = await start([root], { groupsMax: 1 });
      await refused(small.createGroup({ name: "a b" }, actor), "invalid_field", "name");
      await refused(small.createGroup({ name: "a", weight: -1 }, actor), "invalid_field", "weight");
      await refused(
        small.createGroup({ name: "a", memberLimits: { "tokens/day": 0.5 } }, actor),
        "invalid_field",
        "member_limits.tokens/day",
      );
      await small.createGroup({ name: "a" }, actor);
      await refused(small.createGroup({ name: "a" }, actor), "conflict");
      await refused(small.createGroup({ name: "b" }, actor), "conflict");
    });
  });

  describe("API keys", () => {
    it("work at once and after a restart, and are kept as a hash", async () => {
      await addUser("ada");
      const draft = {
        models: ["glm-4.5-*"],
        class: "batch" as const,
        limits: { "requests/day": 3 },
        keepsContent: true,
        expiresAt: clock.wallNow() + dayMs,
      };
      const { key, secret } = await addKey("ada", draft);
      assert.equal(key.prefix, secret.slice(5, 13));
      const { id, ...rest } = key;
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      assert.deepEqual(rest, {
        ...draft,
        owner: "ada",
        name: "laptop",
        prefix: secret.slice(5, 13),
        scope: "calls",
        runsJobs: false,
        isLocked: false,
        cachesAnswers: false,
        signsTokens: false,
        revokedAt: null,
        replacedBy: null,
        createdAt: clock.wallNow(),
        lastUsedAt: null,
      });
      const restarted = await start();
      assert.deepEqual(restarted.findKey(id), key);
      assert.deepEqual(callerOf(secret, restarted), callerOf(secret));
      const rows = JSON.stringify(await store.db.selectFrom("api_keys").selectAll().execute());
      assert.ok(!rows.includes(secret) && !rows.includes(secret.slice(13)));
    });

    it("may be of two parts, whose secret is kept nowhere and comes again from its id, after a restart too", async () => {
      await addUser("ada");
      const { key, secret } = await addKey("ada", { signsTokens: true });
      assert.match(secret, /^glmp[0-9a-f]{32}\.[\w-]{43}$/);
      assert.equal(signingKeys.make(key.id).secret, secret);
      const restarted = await start();
      assert.equal(restarted.findKey(key.id)?.signsTokens, true);
      const caller = restarted.directory.findKeyCaller(signingKeys.make(key.id).hash);
      assert.equal(caller?.keyId, key.id);
      const rotated = await people.rotateKey(key.id, 0, actor);
      assert.ok(rotated.key.signsTokens && rotated.secret !== secret);
      const rows = JSON.stringify(await store.db.selectFrom("api_keys").selectAll().execute());
      assert.ok(!rows.includes(secret.split(".")[1] as string));
    });

    it("make calls as their owner, with what binds the owner and the key", async () => {
      await people.createGroup({ name: "lab", limits: { "cost/day": 5 } }, actor);
      await addUser("ada", { group: "lab", weight: 2, limits: { concurrency: 4 } });
      const { key, secret } = await addKey("ada", { models: ["glm-*"], class: "batch", limits: { concurrency: 1 } });
      assert.deepEqual(callerOf(secret), {
        userId: "ada",
        role: "user",
        weight: 2,
        class: "batch",
        groupId: "lab",
        flowId: key.id,
        keyId: key.id,
        models: ["glm-*"],
        lacksJobs: "user",
        knownSince: clock.wallNow(),
        scopes: [
          { kind: "user", id: "ada", limits: { concurrency: 4 } },
          { kind: "group", id: "lab", limits: { "cost/day": 5 } },
          { kind: "key", id: key.id, limits: { concurrency: 1 } },
        ],
        keepsContent: false,
        cachesAnswers: false,
      });
    });

    it("start jobs unless quotas or models limit them or their owner, or with the right to", async () => {
      await people.createGroup({ name: "lab", memberLimits: { "tokens/day": 500 } }, actor);
      await people.createGroup({ name: "all", limits: { "cost/month": 5 } }, actor);
      await addUser("ada", { limits: { concurrency: 2 } });
      await addUser("bob", { limits: { "requests/day": 5 } });
      await addUser("eva", { group: "lab" });
      await addUser("joe", { group: "all" });
      const plain = await addKey("ada", { limits: { concurrency: 1 } });
      const small = await addKey("ada", { models: ["glm-*"] });
      const limited = await addKey("ada", { limits: { "tokens/total": 1 } });
      const ofBob = await addKey("bob", { runsJobs: true });
      const lacks = (from = people) => [
        ...["ada", "bob", "eva", "joe"].map((name) => from.directory.findUser(name)?.caller.lacksJobs),
        ...[plain, small, limited, ofBob].map(({ secret }) => callerOf(secret, from)?.lacksJobs),
      ];
      assert.deepEqual(lacks(), [null, "user", "user", "user", null, "key", "key", "user"]);
      for (const name of ["bob", "joe"]) await people.changeUser(name, { runsJobs: true }, actor);
      await people.changeGroup("lab", { runsJobs: true }, actor);
      for (const { key } of [small, limited]) await people.changeKey(key.id, { runsJobs: true }, actor);
      assert.deepEqual(lacks(), Array(8).fill(null));
      assert.deepEqual(lacks(await start()), Array(8).fill(null));
      await people.changeUser("eva", { runsJobs: false }, actor);
      assert.equal(lacks()[2], "user", "its own word counts before its group's");
    });

    it("are locked by what an administrator limits, over a rotation and a restart", async () => {
      await addUser("ada");
      const { key } = await addKey("ada", { models: ["glm-*"], locks: true });
      assert.ok(key.isLocked);
      const { key: named } = await addKey("ada", { locks: true });
      assert.ok(!named.isLocked, "nothing of it is limited");
      const rotated = (await people.rotateKey(key.id, 0, actor)).key;
      assert.ok((await start()).findKey(rotated.id)?.isLocked);
      assert.ok((await people.changeKey(rotated.id, { name: "other", locks: true }, actor)).isLocked);
      assert.ok(!(await people.changeKey(rotated.id, { models: null, locks: true }, actor)).isLocked);
      for (const limits of [
        { class: "batch" },
        { limits: { concurrency: 1 } },
        { expiresAt: clock.wallNow() + dayMs },
      ] as const)
        assert.ok((await addKey("ada", { ...limits, locks: true })).key.isLocked);
    });

    it("never have a class above their owner's, whichever of them changes", async () => {
      await addUser("ada", { class: "default" });
      await refused(addKey("ada", { class: "interactive" }), "invalid_field", "class");
      const { key, secret } = await addKey("ada", { class: "default" });
      await refused(people.changeKey(key.id, { class: "interactive" }, actor), "invalid_field", "class");
      await people.changeUser("ada", { class: "batch" }, actor);
      assert.equal(callerOf(secret)?.class, "batch");
      await people.changeUser("ada", { class: "interactive" }, actor);
      assert.equal(callerOf(secret)?.class, "default");
      await people.changeKey(key.id, { class: null }, actor);
      assert.equal(callerOf(secret)?.class, "interactive");
    });

    it("administer only for who administers, and only as long", async () => {
      await addUser("ada");
      await refused(addKey("ada", { scope: "admin" }), "invalid_field", "scope");
      await people.changeUser("ada", { role: "admin" }, actor);
      const [admin, calls] = [await addKey("ada", { scope: "admin" }), await addKey("ada")];
      assert.deepEqual([callerOf(admin.secret)?.role, callerOf(calls.secret)?.role], ["admin", "user"]);
      await people.changeUser("ada", { role: "user" }, actor);
      assert.equal(callerOf(admin.secret)?.role, "user");
    });

    it("are listed by id, everybody's or one person's, dead ones included", async () => {
      await addUser("ada");
      const made = [];
      for (const owner of ["ada", "root", "ada"]) {
        made.push((await addKey(owner)).key.id);
        await clock.advance(1);
      }
      await people.revokeKey(made[0] as string, actor);
      for (const one of [people, await start()]) {
        assert.deepEqual(
          one.listKeys(null).map(({ id }) => id),
          made,
        );
        assert.deepEqual(
          one.listKeys("ada").map(({ id }) => id),
          [made[0], made[2]],
        );
      }
      assert.deepEqual(people.listKeys("nobody"), []);
    });

    it("stop at once when revoked, when their time is up, and when their owner may not come in", async () => {
      await addUser("ada");
      const [first, second, third] = [await addKey("ada"), await addKey("ada"), await addKey("root")];
      const revoked = await people.revokeKey(first.key.id, actor);
      assert.equal(revoked.revokedAt, clock.wallNow());
      assert.equal(callerOf(first.secret), undefined);
      await clock.advance(10);
      assert.deepEqual(await people.revokeKey(first.key.id, actor), revoked);
      await people.changeKey(second.key.id, { expiresAt: clock.wallNow() + 1_000 }, actor);
      await clock.advance(999);
      assert.ok(callerOf(second.secret));
      await people.changeUser("ada", { isEnabled: false }, actor);
      assert.equal(callerOf(second.secret), undefined);
      await people.changeUser("ada", { isEnabled: true }, actor);
      assert.ok(callerOf(second.secret));
      await clock.advance(1);
      assert.equal(callerOf(second.secret), undefined);
      people.replaceStatic([]);
      assert.equal(callerOf(third.secret), undefined);
      const restarted = await start();
      assert.deepEqual(
        [first, second, third].map(({ secret }) => callerOf(secret, restarted)?.userId),
        [undefined, undefined, "root"],
      );
    });

    it("that are dead are changed and rotated no more", async () => {
      const [revoked, expired] = [await addKey("root"), await addKey("root", { expiresAt: clock.wallNow() + 1 })];
      await people.revokeKey(revoked.key.id, actor);
      await clock.advance(1);
      for (const { id } of [revoked.key, expired.key]) {
        await refused(people.changeKey(id, { expiresAt: clock.wallNow() + dayMs }, actor), "conflict");
        await refused(people.rotateKey(id, 0, actor), "conflict");
      }
      for (const id of ["", "nothing", revoked.secret]) {
        await refused(people.revokeKey(id, actor), "unknown_object");
        await refused(people.rotateKey(id, 0, actor), "unknown_object");
        await refused(people.changeKey(id, {}, actor), "unknown_object");
      }
    });

    it("are rotated with an overlap: a new one of the same rights, and an old one that ends", async () => {
      const old = await addKey("root", { models: ["glm-5"], limits: { concurrency: 1 }, class: "batch" });
      await clock.advance(1_000);
      const next = await people.rotateKey(old.key.id, 60_000, actor);
      const { id: _id, prefix: _prefix, createdAt, ...rights } = next.key;
      const { id: _oldId, prefix: _oldPrefix, createdAt: _oldCreatedAt, ...oldRights } = old.key;
      assert.deepEqual(rights, oldRights);
      assert.equal(createdAt, clock.wallNow());
      const after = people.findKey(old.key.id);
      assert.deepEqual([after?.replacedBy, after?.expiresAt], [next.key.id, clock.wallNow() + 60_000]);
      await clock.advance(59_999);
      assert.ok(callerOf(old.secret) && callerOf(next.secret));
      await refused(people.rotateKey(old.key.id, 60_000, actor), "conflict");
      await clock.advance(1);
      assert.deepEqual([callerOf(old.secret), callerOf(next.secret)?.keyId], [undefined, next.key.id]);
      await people.close();
      assert.deepEqual((await start()).listKeys(null), people.listKeys(null));
    });

    it("are rotated at once without an overlap, never live longer by it, and overlap at most 30 days", async () => {
      const old = await addKey("root", { expiresAt: clock.wallNow() + 5_000 });
      await refused(people.rotateKey(old.key.id, -1, actor), "invalid_field", "overlap_seconds");
      await refused(people.rotateKey(old.key.id, 30 * dayMs + 1, actor), "invalid_field", "overlap_seconds");
      await refused(people.rotateKey(old.key.id, Number.NaN, actor), "invalid_field", "overlap_seconds");
      const next = await people.rotateKey(old.key.id, 30 * dayMs, actor);
      assert.deepEqual(
        [people.findKey(old.key.id)?.expiresAt, next.key.expiresAt],
        [old.key.expiresAt, old.key.expiresAt],
      );
      const last = await people.rotateKey(next.key.id, 0, actor);
      assert.deepEqual([callerOf(next.secret), callerOf(last.secret)?.keyId], [undefined, last.key.id]);
    });

    it("refuse what makes no sense, and take over nothing that is not theirs to be given", async () => {
      await refused(addKey("nobody"), "invalid_field", "owner");
      const cases: [Partial<KeyDraft>, string][] = [
        [{ name: "" }, "name"],
        [{ name: "two\nlines" }, "name"],
        [{ name: "x".repeat(129) }, "name"],
        [{ scope: "all" as "admin" }, "scope"],
        [{ models: [] }, "models"],
        [{ models: ["glm 5"] }, "models"],
        [{ models: ["x".repeat(201)] }, "models"],
        [{ models: Array.from({ length: 101 }, () => "glm-5") }, "models"],
        [{ class: "urgent" as "batch" }, "class"],
        [{ limits: { tokens: 1 } as object }, "limits.tokens"],
        [{ expiresAt: clock.wallNow() }, "expires_at"],
      ];
      for (const [draft, param] of cases) await refused(addKey("root", draft), "invalid_field", param);
      const models = Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(200, "*"));
      const { key } = await addKey("root", { name: "my laptop (家)", models });
      const foreign = { owner: "eve", scope: "admin", prefix: "x", hash: "x", id: "x", createdAt: 1 } as object;
      assert.deepEqual(await people.changeKey(key.id, foreign, actor), key);
      assert.deepEqual((await start()).findKey(key.id), key);
    });

    it("are bounded in all and for each owner, whose longest dead one makes room", async () => {
      const small = await start([root], { keysMax: 4, keysPerOwnerMax: 2 });
      for (const owner of ["ada", "bob"]) await addUser(owner, {}, small);
      const [first, second] = [await addKey("ada", {}, small), await addKey("ada", {}, small)];
      await refused(addKey("ada", {}, small), "conflict");
      await small.revokeKey(second.key.id, actor);
      const third = await addKey("ada", {}, small);
      assert.deepEqual(new Set(small.listKeys("ada").map(({ id }) => id)), new Set([first.key.id, third.key.id]));
      for (let count = 0; count < 2; count++) await addKey("bob", {}, small);
      await refused(addKey("root", {}, small), "conflict");
      assert.deepEqual((await start()).listKeys(null).length, 4);
    });

    it("of someone who has left the configuration are not inherited by who gets the name", async () => {
      const { secret } = await addKey("root");
      people.replaceStatic([]);
      await addUser("root");
      assert.deepEqual([callerOf(secret), people.listKeys("root")], [undefined, []]);
      const restarted = await start([]);
      assert.deepEqual([callerOf(secret, restarted), restarted.listKeys("root")], [undefined, []]);
    });

    it("remember their last use, written at most once a minute and at the end", async () => {
      const { key, secret } = await addKey("root");
      const stored = async () =>
        (await store.db.selectFrom("api_keys").select("last_used_at").executeTakeFirstOrThrow()).last_used_at;
      callerOf(secret);
      assert.equal(people.findKey(key.id)?.lastUsedAt, clock.wallNow());
      await clock.advance(30_000);
      callerOf(secret);
      const lastUse = clock.wallNow();
      await clock.advance(29_999);
      assert.equal(await stored(), null);
      await clock.advance(1);
      await until("the use is written", async () => (await stored()) === lastUse);
      assert.equal(people.findKey(key.id)?.lastUsedAt, lastUse);
      await people.changeKey(key.id, { name: "another" }, actor);
      assert.deepEqual([people.findKey(key.id)?.lastUsedAt, await stored()], [lastUse, lastUse]);
      callerOf(secret);
      await people.close();
      assert.equal(await stored(), clock.wallNow());
      assert.deepEqual(failures, []);
    });
  });

  describe("sessions that were logged out", () => {
    it("are known at once and after a restart, until their time is over", async () => {
      const end = clock.wallNow() + 100_000;
      const revoked = people.directory.revoke("a-session", end);
      assert.equal(people.directory.isRevoked("a-session"), true);
      await revoked;
      const restarted = await start();
      assert.equal(restarted.directory.isRevoked("a-session"), true);
      assert.equal(restarted.directory.isRevoked("another"), false);
      await clock.advance(99_999);
      assert.equal(restarted.directory.isRevoked("a-session"), true);
      await clock.advance(1);
      assert.equal(restarted.directory.isRevoked("a-session"), false);
    });

    it("are forgotten by the store as well when their time is over", async () => {
      await people.directory.revoke("a-session", clock.wallNow() + 30_000);
      await people.directory.revoke("another", clock.wallNow() + 90_000);
      const stored = async () => (await store.db.selectFrom("revoked_sessions").select("session_id").execute()).length;
      assert.equal(await stored(), 2);
      await clock.advance(60_000);
      await until("one is forgotten", async () => (await stored()) === 1);
      await clock.advance(60_000);
      await until("the other is forgotten", async () => (await stored()) === 0);
    });
  });

  describe("the audit", () => {
    it("says who did what to whom, from where, and what was before and after", async () => {
      await people.createGroup({ name: "lab" }, actor);
      await addUser("ada", { limits: { concurrency: 2 } });
      await clock.advance(1_000);
      await people.changeUser("ada", { group: "lab", limits: { concurrency: 3 } }, actor);
      const { id, ...entry } = await lastAudit();
      assert.ok(Number.isSafeInteger(id));
      assert.deepEqual(entry, {
        at: clock.wallNow(),
        actor: "root",
        via: "session",
        address: "192.0.2.7",
        requestId: "req-1",
        action: "user.change",
        target: "ada",
        before: { group: null, limits: { concurrency: 2 } },
        after: { group: "lab", limits: { concurrency: 3 } },
      });
    });

    it("has a record of every kind of change, and none of what was refused", async () => {
      await people.createGroup({ name: "lab" }, actor);
      await people.changeGroup("lab", { weight: 2 }, actor);
      await people.removeGroup("lab", actor);
      await addUser("ada");
      await people.changeUser("ada", { weight: 2 }, actor);
      const { key } = await addKey("ada");
      await people.changeKey(key.id, { name: "other" }, actor);
      const next = await people.rotateKey(key.id, 0, actor);
      await people.revokeKey(next.key.id, actor);
      await people.revokeKey(next.key.id, actor);
      await people.removeUser("ada", actor);
      for (const attempt of [addUser("root"), addUser("", {}), people.removeGroup("lab", actor), addKey("nobody")]) {
        await attempt.catch(() => {});
      }
      assert.deepEqual((await audit()).map(({ action }) => action).reverse(), [
        "group.create",
        "group.change",
        "group.remove",
        "user.create",
        "user.change",
        "key.create",
        "key.change",
        "key.rotate",
        "key.revoke",
        "user.remove",
      ]);
    });

    it("has no secret: no password, no key, no hash of either", async () => {
      await addUser("ada", { password });
      await people.changeUser("ada", { password: `${password}!` }, actor);
      assert.deepEqual((await lastAudit()).after, { password: "changed" });
      const { key, secret } = await addKey("ada");
      await people.rotateKey(key.id, 0, actor);
      await people.removeUser("ada", actor);
      const text = JSON.stringify(await audit());
      assert.ok(!text.includes(password) && !text.includes("argon2"), "password");
      assert.ok(!text.includes(secret) && !text.includes(secret.slice(13)), "key");
      assert.ok(!text.includes(parseApiKey(secret) as string), "hash");
    });

    it("is read newest first, page by page, by actor, action and target", async () => {
      const other: Actor = { name: "eve", via: "key", address: null, requestId: null };
      for (const name of ["a", "b", "c"]) await addUser(name);
      await people.createUser({ name: "d", password: null }, other);
      const targets = async (filter: object) =>
        (await people.listAudit({ limit: 2, beforeId: null, ...filter })).map(({ target }) => target);
      assert.deepEqual(await targets({}), ["d", "c"]);
      const [, second] = await audit(2);
      assert.deepEqual(await targets({ beforeId: second?.id }), ["b", "a"]);
      assert.deepEqual(await targets({ actor: "eve" }), ["d"]);
      assert.deepEqual(await targets({ target: "b" }), ["b"]);
      assert.deepEqual(await targets({ action: "user.create", actor: "root" }), ["c", "b"]);
      assert.deepEqual(await targets({ action: "user.%" }), []);
    });
  });

  describe("several processes", () => {
    it("never undo each other's changes: who is behind catches up before it changes anything", async () => {
      const other = await start();
      await addUser("ada");
      await refused(addUser("ada", {}, other), "conflict");
      await people.changeUser("ada", { weight: 2 }, actor);
      await other.changeUser("ada", { class: "batch" }, actor);
      const { weight, class: trafficClass } = other.findUser("ada") ?? {};
      assert.deepEqual([weight, trafficClass], [2, "batch"]);
      await Promise.all(Array.from({ length: 4 }, (_, at) => addUser(`u${at}`, {}, at % 2 === 0 ? people : other)));
      assert.equal((await start()).listUsers().length, 6);
    });

    it("keep an administrator between them", async () => {
      people.replaceStatic([]);
      const other = await start([]);
      for (const name of ["ada", "bob"]) await addUser(name, { role: "admin" });
      const outcomes = await Promise.allSettled([people.removeUser("ada", actor), other.removeUser("bob", actor)]);
      assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 1);
    });

    it("make one first administrator", async () => {
      people.replaceStatic([]);
      const other = await start([]);
      const outcomes = await Promise.allSettled([
        people.createFirstAdmin({ name: "ada", password }, actor),
        other.createFirstAdmin({ name: "bob", password }, actor),
      ]);
      assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 1);
      assert.equal((await start([])).listUsers().length, 1);
    });

    it("hear of each other's changes within a second; a SQLite file belongs to one, which looks for none", async () => {
      if (store.kind === "sqlite") return assert.equal(clock.armedCount, 0);
      const other = await start();
      await addUser("ada");
      const { key, secret } = await addKey("ada");
      await people.directory.revoke("a-session", clock.wallNow() + dayMs);
      await clock.advance(1_000);
      await until(
        "the other knows key and logout",
        async () => callerOf(secret, other) !== undefined && other.directory.isRevoked("a-session"),
      );
      await people.revokeKey(key.id, actor);
      await clock.advance(1_000);
      await until("the other knows of the revocation", async () => callerOf(secret, other) === undefined);
    });
  });

  describe("a store that is away", () => {
    it("stops changes, and neither logins nor keys", async () => {
      await addUser("ada", { password });
      const { secret } = await addKey("ada");
      store.isAway = true;
      await refused(addUser("bob"), "store_unavailable");
      await refused(people.changeUser("ada", { weight: 2 }, actor), "store_unavailable");
      await refused(people.listAudit({ limit: 1, beforeId: null }), "store_unavailable");
      assert.equal(people.findUser("ada")?.weight, null);
      assert.ok(people.directory.findUser("ada")?.secret && callerOf(secret));
      await refused(people.directory.revoke("a-session", clock.wallNow() + dayMs), "store_unavailable");
      assert.equal(people.directory.isRevoked("a-session"), true);
    });

    it("gets what was noted meanwhile when it is back: last uses and logouts", async () => {
      const { key, secret } = await addKey("root");
      store.isAway = true;
      const usedAt = clock.wallNow();
      callerOf(secret);
      await refused(people.directory.revoke("a-session", clock.wallNow() + dayMs), "store_unavailable");
      await clock.advance(60_000);
      store.isAway = false;
      await clock.advance(1_000);
      await until("the logout is written", async () => (await start()).directory.isRevoked("a-session"));
      await clock.advance(60_000);
      await until("the use is written", async () => (await start()).findKey(key.id)?.lastUsedAt === usedAt);
      await addUser("ada");
    });

    it("is told of once a minute, however often it fails", async () => {
      store.isAway = true;
      for (let count = 0; count < 5; count++) await refused(addUser(`u${count}`), "store_unavailable");
      assert.equal(failures.length, 1);
      await clock.advance(60_000);
      await refused(addUser("ada"), "store_unavailable");
      assert.equal(failures.length, 2);
    });
  });

  it("leaves no timer behind at close", async () => {
    callerOf((await addKey("root")).secret);
    await people.directory.revoke("a-session", clock.wallNow() + dayMs);
    await people.close();
    assert.equal(clock.armedCount, 0);
    await refused(addUser("ada"), "store_unavailable");
  });
}

async function refused(attempt: Promise<unknown>, reason: RefusalReason, param?: string): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.deepEqual([error.reason, error.facts.param], [reason, param], JSON.stringify(error.facts));
    return true;
  });
}
