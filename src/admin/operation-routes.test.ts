import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { arrive, charge, serve } from "../../test/support/call-records.ts";
import { toFinal } from "../ledger/change.ts";
import type { CallRecord } from "../ledger/record.ts";
import { createToStatements } from "../ledger/statements.ts";
import { StoreError } from "../store/store.ts";
import { type ControlRoom, items, openControlRoom, text } from "./fixtures/control-room.ts";

describe("operation over HTTP", () => {
  let room: ControlRoom;
  let root: string;
  let ada: string;
  let folder: string;
  before(async () => {
    room = await openControlRoom();
    folder = mkdtempSync(join(tmpdir(), "glm-proxy-admin-"));
    await room.addUser("root", "admin");
    await room.addUser("ada");
    root = await room.logIn("root");
    ada = await room.logIn("ada");
  });
  after(async () => {
    await room.close();
    rmSync(folder, { recursive: true });
  });

  const show = (path: string, token = root) => room.visit("GET", path, { token });

  describe("the ledger", () => {
    before(async () => {
      const users = ["ada", "bob", "ada", "ada", "bob"];
      const records: CallRecord[] = [];
      for (const [index, userId] of users.entries()) {
        await room.clock.advance(1_000);
        const more = { callId: `request-${index}`, userId, model: index === 0 ? "glm-4.5-air" : "glm-4.5-flash" };
        records.push(serve(arrive(room.clock, more), room.clock, { ...more, charge }));
      }
      const toStatements = createToStatements(room.store);
      await room.store.writeBatch(toStatements(records.map((record) => toFinal(record, "test", null))));
      root = await room.logIn("root");
      ada = await room.logIn("ada");
    });

    const requestsOf = async (path: string, token = root) =>
      items((await show(path, token)).json.data).map((call) => text(call.request_id));

    it("shows calls, the newest first, in pages that fit together", async () => {
      assert.deepEqual(await requestsOf("/admin/calls"), [
        "request-4",
        "request-3",
        "request-2",
        "request-1",
        "request-0",
      ]);
      const first = (await show("/admin/calls?limit=3")).json;
      const second = (await show(`/admin/calls?limit=3&cursor=${text(first.next_cursor)}`)).json;
      assert.deepEqual(
        items(second.data).map((call) => text(call.request_id)),
        ["request-1", "request-0"],
      );
      assert.equal(second.next_cursor, null);
    });

    it("filters them by what they were and when", async () => {
      assert.deepEqual(await requestsOf("/admin/calls?user=bob"), ["request-4", "request-1"]);
      assert.deepEqual(await requestsOf("/admin/calls?model=glm-4.5-air"), ["request-0"]);
      assert.deepEqual(await requestsOf("/admin/calls?request_id=request-2"), ["request-2"]);
      assert.deepEqual(await requestsOf("/admin/calls?state=refused"), []);
      const from = new Date(room.clock.wallNow() - 1_500).toISOString();
      assert.deepEqual(await requestsOf(`/admin/calls?from=${from}`), ["request-4", "request-3"]);
      assert.deepEqual(await requestsOf("/admin/calls?to=2026-11-23"), []);
    });

    it("shows each user only their own", async () => {
      assert.deepEqual(await requestsOf("/me/calls", ada), ["request-3", "request-2", "request-0"]);
      assert.equal((await show("/me/calls?user=bob", ada)).json.param, "user");
      const { json } = await show("/me/usage?by=model", ada);
      assert.deepEqual(
        items(json.data).map(({ name, calls }) => `${text(name)} ${text(calls)}`),
        ["glm-4.5-air 1", "glm-4.5-flash 2"],
      );
      assert.equal((await show("/me/usage?by=user", ada)).json.param, "by");
    });

    it("sums them up in the currency of the prices", async () => {
      const { json } = await show("/admin/usage?by=user");
      assert.equal(json.currency, "CNY");
      assert.deepEqual(items(json.data).map((row) => ({ ...row }))[0], {
        name: "ada",
        calls: 3,
        served: 3,
        requests: 3,
        prompt_tokens: 33,
        completion_tokens: 21,
        cost: 0.000075,
      });
      const days = (await show("/admin/usage?by=day&from=2026-11-23&to=2026-11-24")).json;
      assert.equal(days.from, "2026-11-22T23:00:00.000Z");
      assert.deepEqual(
        items(days.data).map(({ name }) => text(name)),
        ["2026-11-23"],
      );
    });

    it("shows one, or none of the kind", async () => {
      const id = text(items((await show("/admin/calls?limit=1")).json.data)[0]?.id);
      assert.equal((await show(`/admin/calls/${id}`)).json.request_id, "request-4");
      assert.equal((await show("/admin/calls/nothing")).json.code, "unknown_object");
    });

    it("that can't be read now is a 503 with the cause in the log alone", async () => {
      const { callLog } = room.parts;
      Object.assign(room.parts, {
        callLog: { ...callLog, list: () => Promise.reject(new StoreError("unavailable", "10.0.0.7 is down")) },
      });
      const { status, headers, text: shown } = await show("/admin/calls");
      Object.assign(room.parts, { callLog });
      assert.equal(status, 503);
      assert.equal(headers.get("retry-after"), "2");
      assert.doesNotMatch(shown, /10\.0\.0\.7/);
      assert.match(String(room.failures.at(-1)), /10\.0\.0\.7/);
    });
  });

  it("shows the queue, everybody's or one's own", async () => {
    const call = { model: "glm-4.5-flash", class: "default" } as const;
    room.showQueue({
      waiting: 2,
      running: 1,
      waitingCalls: ["ada", "bob"].map((userId, index) => ({
        ...call,
        callId: `waiting-${userId}`,
        userId,
        position: index + 1,
        etaMs: 500.4,
        etaP90Ms: 812.5,
        waitedMs: 99.6,
        blockedBy: "rate" as const,
        tryCount: 0,
      })),
      runningCalls: [
        { ...call, callId: "running-bob", userId: "bob", upstreamKey: "default", runningMs: 12.2, isSent: true },
      ],
      nextStartInMs: 499.7,
    });
    const all = (await show("/admin/queue")).json;
    assert.equal(all.waiting_count, 2);
    assert.equal(all.next_start_in_ms, 500);
    assert.deepEqual(
      items(all.waiting).map((one) => text(one.request_id)),
      ["waiting-ada", "waiting-bob"],
    );
    const { json: mine, text: shown } = await show("/me/queue", ada);
    assert.deepEqual(
      items(mine.waiting).map((one) => `${text(one.position)} ${text(one.eta_ms)}`),
      ["1 500"],
    );
    assert.doesNotMatch(shown, /bob/);
    const bobs = (await show("/admin/queue?user=bob")).json;
    assert.equal(items(bobs.running).length, 1);
  });

  it("shows the upstream's limits and the configuration, masked", async () => {
    assert.equal(items((await show("/admin/upstreams")).json.data)[0]?.requests_per_second, 2);
    assert.deepEqual((await show("/admin/config")).json, {
      data: [{ name: "glm.api_key", value: "…9876", origin: "environment" }],
    });
  });

  it("shows who changed what, the newest first, in pages and filtered", async () => {
    for (const name of ["one", "two", "three"])
      await room.visit("POST", "/admin/groups", { token: root, body: { name } });
    const targetsOf = async (path: string) => items((await show(path)).json.data).map(({ target }) => text(target));
    assert.deepEqual(await targetsOf("/admin/audit?action=group.create"), ["three", "two", "one"]);
    const first = (await show("/admin/audit?action=group.create&limit=2")).json;
    assert.deepEqual(await targetsOf(`/admin/audit?action=group.create&cursor=${text(first.next_cursor)}`), ["one"]);
    assert.deepEqual(await targetsOf("/admin/audit?target=two&actor=root"), ["two"]);
    const [entry] = items(first.data);
    assert.equal(entry?.before, null);
    assert.equal(entry?.after?.member_limits === undefined, false);
  });

  describe("a backup", () => {
    const backUp = (file: string, isLocalSocket = true) =>
      room.visit("POST", "/admin/backup", { body: { file }, isLocalSocket, token: root });

    it("is made for whoever runs the machine alone", async () => {
      const file = join(folder, "copy.db");
      assert.equal((await backUp(file, false)).status, 403);
      assert.deepEqual(room.backups, []);
      const { status, json } = await backUp(file);
      assert.equal(status, 201);
      assert.equal(json.file, file);
      assert.deepEqual(room.backups, [file]);
    });

    it("never replaces a file, and needs an absolute path", async () => {
      const file = join(folder, "there");
      writeFileSync(file, "");
      assert.equal((await backUp(file)).json.code, "conflict");
      assert.equal((await backUp(folder)).json.code, "conflict");
      for (const path of ["copy.db", "./copy.db", "~/copy.db", "/tmp/a\nb", "/tmp/a\0b"]) {
        assert.equal((await backUp(path)).json.param, "file", path);
      }
    });

    it("that fails says why", async () => {
      const { backup } = room.parts;
      Object.assign(room.parts, { backup: () => Promise.reject(new StoreError("unsupported", "use pg_dump")) });
      const { status, json } = await backUp(join(folder, "other.db"));
      Object.assign(room.parts, { backup });
      assert.equal(status, 409);
      assert.match(text(json.detail), /use pg_dump/);
    });
  });

  it("prunes on request", async () => {
    const { status, json } = await room.visit("POST", "/admin/prune", { token: root, body: { before: "2026-01-01" } });
    assert.equal(status, 200);
    assert.deepEqual(json, { calls: 3, contents: 1 });
    assert.equal((await room.visit("POST", "/admin/prune", { token: root })).status, 200);
  });
});
