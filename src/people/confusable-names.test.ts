import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mixesAlphabets, toSkeleton } from "./confusable-names.ts";

/** Letters are escaped where they could be taken for others. */
const cyrillicA = "\u0430";

describe("mixesAlphabets()", () => {
  it("holds for letters of alphabets that look alike, and for letters in disguise", () => {
    const mixed = [
      `${cyrillicA}da`,
      "ad\u0251".replace("\u0251", "\u03b1"),
      "\u0561da",
      "\uff21da",
      "\u{1d41a}da",
      "b\u043e\u0431",
    ];
    for (const name of mixed) assert.equal(mixesAlphabets(name), true, JSON.stringify(name));
  });

  it("does not hold for names as people have them", () => {
    const names = [
      "ada",
      "Ada-2",
      "j.o'x".replace("'", "_"),
      "王小明",
      "ada王",
      "たろう",
      "太郎タロウ",
      "한국",
      "\u0418\u0432\u0430\u043d",
      "\u0394\u03b7\u03bc\u03ae\u03c4\u03c1\u03b7\u03c2",
      "müller",
      "ssé@b.org",
      "محمد",
      "नमन".replace(/\p{M}/gu, ""),
    ];
    for (const name of names) assert.equal(mixesAlphabets(name), false, JSON.stringify(name));
  });
});

describe("toSkeleton()", () => {
  it("is the same for names that look the same", () => {
    const pairs = [
      ["coco", "\u0441\u043e\u0441\u043e"],
      ["paul", "pau1"],
      ["paul", "pauI"],
      ["TOM", "\u0422\u041e\u041c"],
      ["ROOT-0", "ROOT-O"],
      ["AB", "\u0391\u0392"],
    ] as const;
    for (const [one, other] of pairs) assert.equal(toSkeleton(one), toSkeleton(other), `${one} ${other}`);
  });

  it("keeps apart what can be told apart", () => {
    const names = ["ada", "Ada", "adam", "ad4", "user1", "user2", "user10", "root", "roof", "王小明", "王小朋"];
    assert.equal(new Set(names.map(toSkeleton)).size, names.length);
  });
});
