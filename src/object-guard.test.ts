import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Answer, AnswerSink, StreamedAnswer, WholeAnswer } from "./base/answer.ts";
import type { Caller, Role } from "./base/principal.ts";
import { Refusal } from "./base/refusal.ts";
import { createObjectGuard } from "./object-guard.ts";
import type { UpstreamObject } from "./objects/objects.ts";
import { type CallRequest, type ListWish, noObjectUse, type ObjectUse } from "./surfaces/endpoint.ts";

function setUp() {
  const known = new Map<string, UpstreamObject>();
  const guard = createObjectGuard({
    requireWritable() {},
    note: async (object) => void known.set(object.id, { ...object, createdAt: 1_000 }),
    find: (id) => Promise.resolve(known.get(id) ?? null),
    listOwn: (owner, kind) =>
      Promise.resolve([...known.values()].filter((one) => one.owner === owner && one.kind === kind).reverse()),
    forget: async (id) => void known.delete(id),
  });
  return { guard, known };
}

const caller = (userId: string, role: Role = "user") =>
  ({ userId, role, keyId: null, knownSince: 0 }) as unknown as Caller;
const request = (object: Partial<ObjectUse>, family = "files") =>
  ({ family, object: { ...noObjectUse, kind: "file", ...object } }) as unknown as CallRequest;
const whole = (parsed: object) =>
  ({ kind: "whole", parsed, body: Buffer.from(JSON.stringify(parsed)) }) as unknown as Answer;
const lists = { at: "data", limit: 100, isOldestFirst: false } as const;

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

  it("gives nothing of a former user to another who has its name now", async () => {
    const { guard } = setUp();
    await guard.review(caller("ada"), request({ creates: true }), "k", whole({ id: "f-1" }));
    const later = (knownSince: number) => ({ ...caller("ada"), knownSince });
    assert.equal(await guard.locate(later(1_000), request({ uses: ["f-1"] })), "k");
    await assert.rejects(guard.locate(later(1_001), request({ uses: ["f-1"] })), { reason: "unknown_object" });
    const list = (await guard.review(
      later(1_001),
      request({ lists }),
      "k",
      whole({ data: [{ id: "f-1" }] }),
    )) as WholeAnswer;
    assert.equal(list.body.toString(), '{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}');
    assert.equal(await guard.locate(later(1_001), request({ lists })), null);
  });

  it("tells accounts apart, and not the keys of one account", async () => {
    const known = new Map<string, UpstreamObject>();
    const guard = createObjectGuard(
      {
        requireWritable() {},
        note: async (object) => void known.set(object.id, { ...object, createdAt: 1_000 }),
        find: (id) => Promise.resolve(known.get(id) ?? null),
        listOwn: () => Promise.resolve([]),
        forget: async (id) => void known.delete(id),
      },
      (key) => key.slice(0, 1),
    );
    for (const [id, key] of [
      ["f-1", "a1"],
      ["f-2", "a2"],
      ["f-3", "b1"],
    ] as const)
      await guard.review(caller("ada"), request({ creates: true }), key, whole({ id }));
    assert.equal(await guard.locate(caller("ada"), request({ uses: ["f-1", "f-2"] })), "a2");
    await assert.rejects(guard.locate(caller("ada"), request({ uses: ["f-1", "f-3"] })), { reason: "unknown_object" });
    const all = whole({ data: [{ id: "f-1" }, { id: "f-2" }, { id: "f-3" }] });
    const seen = (await guard.review(caller("ada"), request({ lists }), "a2", all)) as WholeAnswer;
    assert.deepEqual((seen.parsed as { data: object[] }).data, [{ id: "f-1" }, { id: "f-2" }]);
  });

  it("forgets what was deleted", async () => {
    const { guard, known } = setUp();
    await guard.review(caller("ada"), request({ creates: true }), "k", whole({ id: "f-1" }));
    await guard.review(caller("ada"), request({ uses: ["f-1"], deletes: true }), "k", whole({ deleted: true }));
    assert.equal(known.size, 0);
  });

  it("lets everybody use the voices that everybody has, and a cloned one its owner alone", async () => {
    const { guard, known } = setUp();
    await guard.review(
      caller("ada"),
      request({ kind: "voice", creates: true }),
      "k",
      whole({ voice: "voice_1", file_id: "f-9" }),
    );
    assert.deepEqual([known.get("voice_1")?.kind, known.get("f-9")?.kind], ["voice", "file"]);
    const speak = (userId: string, voice: string) => guard.locate(caller(userId), request({ voices: [voice] }));
    assert.equal(await speak("bob", "tongtong"), null);
    assert.equal(await speak("ada", "voice_1"), "k");
    for (const voice of ["voice_1", "voice_2", "7"])
      await assert.rejects(speak("bob", voice), { reason: "unknown_object" });
    await guard.review(caller("ada"), request({ kind: "voice", creates: true }), "k", whole({ voice: "mine" }));
    await assert.rejects(speak("bob", "mine"), { reason: "unknown_object" }, "it looks like a voice of everybody's");
  });

  it("keeps figures of the whole account for administrators", async () => {
    const { guard } = setUp();
    const capacity = request({ isAboutAll: true });
    await assert.rejects(guard.locate(caller("ada"), capacity), { reason: "forbidden" });
    assert.equal(await guard.locate(caller("root", "admin"), capacity), null);
  });

  it("gives what an answer names to the owner of what it is about, whoever asks", async () => {
    const { guard, known } = setUp();
    await guard.review(caller("ada"), request({ kind: "batch", creates: true }), "k", whole({ id: "b-1" }));
    const done = { id: "b-1", output_file_id: "f-out", error_file_id: "f-err", result_files: ["f-1", "f-2"] };
    await guard.review(caller("root", "admin"), request({ kind: "batch", uses: ["b-1"] }, "poll"), "k", whole(done));
    for (const id of ["f-out", "f-err", "f-1", "f-2"]) {
      assert.deepEqual([known.get(id)?.owner, known.get(id)?.kind, known.get(id)?.upstreamKey], ["ada", "file", "k"]);
    }
    await guard.review(
      caller("root", "admin"),
      request({ uses: ["nobody's"] }, "poll"),
      "k",
      whole({ file_id: "f-3" }),
    );
    assert.ok(!known.has("f-3"), "whose it is is not known");
  });

  it("lets nobody take another's object by an answer that names it", async () => {
    const { guard, known } = setUp();
    await guard.review(caller("ada"), request({ creates: true }), "k", whole({ id: "f-1" }));
    const named = { id: "f-1", output_file_id: "f-1", metadata: { file_id: "f-2" } };
    await guard.review(caller("bob"), request({ kind: "batch", creates: true }), "k", whole(named));
    assert.deepEqual([known.get("f-1")?.owner, known.has("f-2")], ["ada", false]);
  });

  it("reads what a stream's beginning names, in pieces of any size", async () => {
    const { guard, known } = setUp();
    const text =
      'data: {"id":"t-1","conversation_id":"c-1"}\n\ndata: {"id":"t-1","async_id":"a-1"}\n\ndata: [DONE]\n\n';
    const chunks = Array.from(text, (character) => Buffer.from(character));
    const streamed = {
      kind: "stream",
      isEvents: true,
      consume: (sink: AnswerSink) => {
        for (const chunk of chunks) sink.onData(chunk);
        sink.onEnd();
      },
    } as unknown as StreamedAnswer;
    const asked = request({ kind: "task", creates: true }, "agents");
    const answer = (await guard.review(caller("ada"), asked, "k", streamed)) as StreamedAnswer;
    const passed: Buffer[] = [];
    await new Promise<void>((onEnd) =>
      answer.consume({ onData: (chunk) => void passed.push(chunk), onEnd, onError() {} }),
    );
    assert.equal(Buffer.concat(passed).toString(), text);
    assert.deepEqual([...known.values()].map(({ id, kind }) => [id, kind]).sort(), [
      ["a-1", "task"],
      ["c-1", "conversation"],
      ["t-1", "task"],
    ]);
  });

  it("tells no byte of a stream that names what could not be noted", async () => {
    const known = new Map<string, UpstreamObject>();
    const guard = createObjectGuard({
      requireWritable() {},
      note: () => Promise.reject(new Refusal("object_unrecorded")),
      find: (id) => Promise.resolve(known.get(id) ?? null),
      listOwn: () => Promise.resolve([]),
      forget: () => Promise.resolve(),
    });
    const streamed = {
      kind: "stream",
      isEvents: true,
      consume: (sink: AnswerSink) => {
        sink.onData(Buffer.from(": hi\n\n"));
        sink.onData(Buffer.from('data: {"async_id":"a-1"}\n\n'));
        sink.onData(Buffer.from("data: [DONE]\n\n"));
        sink.onEnd();
      },
    } as unknown as StreamedAnswer;
    const asked = request({ kind: "task", creates: true }, "agents");
    const answer = (await guard.review(caller("ada"), asked, "k", streamed)) as StreamedAnswer;
    const passed: string[] = [];
    const refusal = await new Promise<Refusal>((onError, reject) =>
      answer.consume({
        onData: (chunk) => void passed.push(chunk.toString()),
        onEnd: () => reject(new Error("it ended")),
        onError,
      }),
    );
    assert.deepEqual([refusal.reason, passed], ["object_unrecorded", [": hi\n\n"]]);
  });

  it("asks for lists where the caller made something last", async () => {
    const { guard } = setUp();
    for (const [id, key] of [
      ["f-1", "first"],
      ["f-2", "second"],
    ] as const)
      await guard.review(caller("ada"), request({ creates: true }), key, whole({ id }));
    assert.equal(await guard.locate(caller("ada"), request({ lists })), "second");
    assert.equal(await guard.locate(caller("bob"), request({ lists })), null);
  });

  it("counts a task's tokens once, however often its result is fetched", async () => {
    const { guard } = setUp();
    for (const kind of ["task", "batch"]) {
      const result = request({ kind, uses: [`${kind}-1`] }, "poll");
      const ask = async (parsed: object) =>
        ((await guard.review(caller("ada"), result, "k", whole(parsed))) as WholeAnswer).parsed;
      const done = { task_status: "SUCCESS", usage: { prompt_tokens: 1, completion_tokens: 2 } };
      assert.deepEqual(await ask({ task_status: "PROCESSING" }), { task_status: "PROCESSING" });
      assert.deepEqual(await ask(done), done);
      assert.equal(await ask(done), null);
    }
  });
});

describe("a list", () => {
  async function setUpList(kind = "file") {
    const { guard } = setUp();
    for (const [owner, id] of [
      ["ada", "a-1"],
      ["bob", "b-1"],
      ["ada", "a-2"],
      ["bob", "b-2"],
      ["bob", "b-3"],
    ] as const)
      await guard.review(caller(owner), request({ kind, creates: true }), "k", whole({ id }));
    const show = async (parsed: object, wish: ListWish = lists, userId = "bob", role: Role = "user") =>
      (await guard.review(
        caller(userId, role),
        request({ kind, lists: wish }, "poll"),
        "k",
        whole(parsed),
      )) as WholeAnswer;
    return { guard, show };
  }

  it("is made of the caller's objects, whatever the upstream says around them; administrators see it as it is", async () => {
    const { show } = await setUpList();
    const data = [{ id: "a-2" }, { id: "b-3" }, { id: "b-2", name: "x" }, { id: "unknown" }, null, 7, { id: "a-1" }];
    const answer = { object: "list", data, first_id: "a-2", last_id: "a-1", has_more: true, total: 7, owner: "ada" };
    assert.equal(
      (await show(answer)).body.toString(),
      '{"object":"list","data":[{"id":"b-3"},{"id":"b-2","name":"x"}],"first_id":"b-3","last_id":"b-2","has_more":true}',
    );
    assert.deepEqual((await show(answer, lists, "root", "admin")).parsed, answer);
    assert.deepEqual((await show(answer, lists, "eva")).parsed, {
      object: "list",
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
  });

  it("has the page that an administrator asked for, and is otherwise as the upstream gave it", async () => {
    const { show } = await setUpList();
    const answer = { data: [{ id: "b-3" }, { id: "a-1" }], last_id: "a-1", has_more: false, x: 1 };
    const cut = { data: [{ id: "b-3" }], last_id: "b-3", has_more: true, x: 1 };
    assert.deepEqual((await show(answer, { ...lists, limit: 1 }, "root", "admin")).parsed, cut);
    assert.deepEqual((await show(answer, { ...lists, limit: 2 }, "root", "admin")).parsed, answer);
  });

  it("has the page that was asked for, and says by the caller's own objects whether there are more", async () => {
    const { show } = await setUpList();
    const all = { data: [{ id: "b-3" }, { id: "b-2" }, { id: "b-1" }] };
    const page = async (parsed: object, wish: Partial<ListWish>) => {
      const { data, has_more } = (await show(parsed, { ...lists, ...wish })).parsed as {
        data: object[];
        has_more: boolean;
      };
      return [data.length, has_more];
    };
    assert.deepEqual(await page(all, { limit: 2 }), [2, true]);
    assert.deepEqual(await page(all, { limit: 3 }), [3, false]);
    assert.deepEqual(await page({ data: all.data.slice(0, 2), has_more: false }, {}), [2, true]);
    assert.deepEqual(await page({ data: [...all.data].reverse() }, { isOldestFirst: true, limit: 2 }), [2, true]);
  });

  it("is refused when it is none", async () => {
    const { guard, show } = await setUpList();
    for (const parsed of [[], {}, { data: {} }, { items: [{ id: "a-1" }] }, { data: "a-1" }, null as unknown as object])
      await assert.rejects(show(parsed), { reason: "upstream_unexpected" }, JSON.stringify(parsed));
    const stream = { kind: "stream", isEvents: true } as unknown as Answer;
    await assert.rejects(guard.review(caller("bob"), request({ lists }), "k", stream), {
      reason: "upstream_unexpected",
    });
  });

  const shapes: readonly (readonly [at: ListWish["at"], kind: string, wrap: (items: unknown) => object])[] = [
    ["data", "file", (items) => ({ object: "list", data: items })],
    ["voice_list", "voice", (items) => ({ voice_list: items })],
    ["list", "knowledge", (items) => ({ list: items })],
    ["list", "knowledge", (items) => ({ code: 200, data: { list: items } })],
    [
      "conversation_list",
      "conversation",
      (items) => ({ code: 200, data: { assistant_id: "x", conversation_list: items } }),
    ],
  ];
  for (const [at, kind, wrap] of shapes) {
    it(`at ${at} of ${kind}s says nothing of others' objects, wherever these stand in the upstream's answer`, async () => {
      const { show } = await setUpList(kind);
      const wish = { ...lists, at };
      const own = [
        { id: "b-3", status: "x" },
        { id: "b-1", output_file_id: "b-2", result_files: ["b-2"] },
      ];
      const expected = (await show(wrap(own), wish)).body.toString();
      const others = fc.constantFrom<unknown>(
        "a-1",
        { id: "a-1" },
        { id: "a-2", voice_type: "OFFICIAL" },
        { voice: "a-1" },
        { file: "b-1", id: "a-1" },
        ["a-1"],
      );
      const places = fc.array(fc.tuple(fc.nat(5), others), { maxLength: 6 });
      const around = fc.dictionary(
        fc.constantFrom("first_id", "last_id", "has_more", "total", "x", "message"),
        fc.constantFrom<unknown>("a-1", 3, true, null),
      );
      await fc.assert(
        fc.asyncProperty(places, around, fc.constantFrom(null, "a-1"), async (inserted, more, named) => {
          const items: unknown[] = named === null ? [...own] : own.map((item) => ({ ...item }));
          for (const [at, other] of inserted) items.splice(Math.min(at, items.length), 0, other);
          const seen = (await show({ ...more, ...wrap(items) }, wish)).body.toString();
          assert.equal(seen, expected);
        }),
      );
    });
  }

  it("shows no id of another's in an own object, and notes those that nobody has", async () => {
    const { guard, show } = await setUpList();
    const item = { id: "b-1", output_file_id: "a-1", error_file_id: "new", result_files: ["a-2", "b-2"] };
    const shown = (await show({ data: [item] })).parsed as { data: object[] };
    assert.deepEqual(shown.data, [{ id: "b-1", output_file_id: null, error_file_id: "new", result_files: ["b-2"] }]);
    assert.equal(await guard.locate(caller("bob"), request({ uses: ["new"] })), "k");
  });
});
