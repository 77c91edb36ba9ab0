import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, WholeAnswer } from "./base/answer.ts";
import type { Caller, Role } from "./base/principal.ts";
import { createObjectGuard } from "./object-guard.ts";
import type { UpstreamObject } from "./objects/objects.ts";
import type { CallRequest, ObjectUse } from "./surfaces/endpoint.ts";

function setUp() {
  const known = new Map<string, UpstreamObject>();
  const guard = createObjectGuard({
    requireWritable() {},
    note: async (object) => void known.set(object.id, object),
    find: (id) => Promise.resolve(known.get(id) ?? null),
    forget: async (id) => void known.delete(id),
  });
  return { guard, known };
}

const caller = (userId: string, role: Role = "user") => ({ userId, role, keyId: null }) as unknown as Caller;
const request = (object: Partial<ObjectUse>, family = "files") =>
  ({
    family,
    object: { kind: "file", uses: [], creates: false, deletes: false, lists: false, ...object },
  }) as unknown as CallRequest;
const whole = (parsed: object) =>
  ({ kind: "whole", parsed, body: Buffer.from(JSON.stringify(parsed)) }) as unknown as Answer;

describe("createObjectGuard()", () => {
  it("binds calls to the key where their object is, and lets nobody else's caller know of it", async () => {
    const { guard } = setUp();
    await guard.review(caller("ada"), request({ creates: true }), "second", whole({ id: "f-1" }));
    assert.equal(await guard.locate(caller("ada"), request({ uses: ["f-1"] })), "second");
    assert.equal(await guard.locate(caller("root", "admin"), request({ uses: ["f-1"] })), "second");
    await assert.rejects(guard.locate(caller("bob"), request({ uses: ["f-1"] })), { reason: "unknown_object" });
    await assert.rejects(guard.locate(caller("ada"), request({ uses: ["f-2"] })), { reason: "unknown_object" });
    assert.equal(await guard.locate(caller("root", "admin"), request({ uses: ["f-2"] })), null);
  });

  it("forgets what was deleted", async () => {
    const { guard, known } = setUp();
    await guard.review(caller("ada"), request({ creates: true }), "k", whole({ id: "f-1" }));
    await guard.review(caller("ada"), request({ uses: ["f-1"], deletes: true }), "k", whole({ deleted: true }));
    assert.equal(known.size, 0);
  });

  it("lists to each caller its own alone, and to administrators all", async () => {
    const { guard } = setUp();
    await guard.review(caller("ada"), request({ creates: true }), "k", whole({ id: "f-1" }));
    await guard.review(caller("bob"), request({ creates: true }), "k", whole({ id: "f-2" }));
    const all = whole({ object: "list", data: [{ id: "f-1" }, { id: "f-2" }, { id: "f-3" }, null] });
    const seen = (await guard.review(caller("bob"), request({ lists: true }), "k", all)) as WholeAnswer;
    assert.equal(seen.body.toString(), '{"object":"list","data":[{"id":"f-2"}]}');
    assert.equal(await guard.review(caller("root", "admin"), request({ lists: true }), "k", all), all);
  });

  it("counts a task's tokens once, however often its result is fetched", async () => {
    const { guard } = setUp();
    const result = request({ kind: "task", uses: ["t-1"] }, "poll");
    const ask = async (parsed: object) =>
      ((await guard.review(caller("ada"), result, "k", whole(parsed))) as WholeAnswer).parsed;
    const done = { task_status: "SUCCESS", usage: { prompt_tokens: 1, completion_tokens: 2 } };
    assert.deepEqual(await ask({ task_status: "PROCESSING" }), { task_status: "PROCESSING" });
    assert.deepEqual(await ask(done), done);
    assert.equal(await ask(done), null);
  });
});
