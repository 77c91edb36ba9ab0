import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal, refusalReasons } from "./refusal.ts";
import { chooseLanguage, describeRefusal } from "./refusal-words.ts";

describe("chooseLanguage()", () => {
  it("follows what the client ranks first among English and Chinese", () => {
    assert.equal(chooseLanguage(undefined), "en");
    assert.equal(chooseLanguage("zh-CN,zh;q=0.9,en;q=0.8"), "zh");
    assert.equal(chooseLanguage("en-US,en;q=0.9,zh;q=0.8"), "en");
    assert.equal(chooseLanguage("fr, zh-Hant;q=0.5, en;q=0.4"), "zh");
    assert.equal(chooseLanguage("zh;q=0, *;q=0.1"), "en");
    assert.equal(chooseLanguage(";;,q=,"), "en");
  });
});

describe("describeRefusal()", () => {
  const facts = {
    retryAfterMs: 8_400,
    limit: 20,
    waiting: 20,
    elapsedMs: 5_000,
    param: "model",
    detail: "x",
    allow: "POST",
    quota: "requests/day of the user ada",
    used: 20,
    resetsAt: "2026-11-24T00:00:00Z",
  };

  it("has words for every reason in both languages, without holes", () => {
    for (const reason of refusalReasons) {
      const [english, chinese] = (["en", "zh"] as const).map((language) =>
        describeRefusal(new Refusal(reason, facts), language),
      );
      for (const text of [english, chinese]) assert.doesNotMatch(text as string, /undefined|NaN|null/);
      assert.match(english as string, /[.!]$/);
      assert.match(chinese as string, /\p{Script=Han}.*。$/u);
    }
  });

  it("tells which limit was hit and when to retry", () => {
    const refusal = new Refusal("queue_full", facts);
    assert.equal(
      describeRefusal(refusal, "en"),
      "Cannot queue the call: 20 are waiting (limit 20). Retry in about 9 s.",
    );
    assert.match(describeRefusal(refusal, "zh"), /20.*上限 20.*9 秒/);
  });

  it("tells whose calls fill the queue, and what wait was foreseen", () => {
    const own = new Refusal("user_queue_full", { waiting: 4, limit: 4, retryAfterMs: 2_000 });
    assert.equal(
      describeRefusal(own, "en"),
      "Cannot queue the call: 4 of your own calls are waiting (limit 4). Retry in about 2 s.",
    );
    const long = new Refusal("wait_too_long", { elapsedMs: 7_600, limit: 5_000, retryAfterMs: 5_500 });
    assert.equal(
      describeRefusal(long, "en"),
      "Cannot queue the call: it would wait about 8 s (limit 5 s). Retry in about 6 s.",
    );
    assert.match(describeRefusal(long, "zh"), /约 8 秒（上限 5 秒）.*约 6 秒/);
  });
});
