import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import type { NamedSecret } from "./directory.ts";
import { createPasswordChecker, defaultParameters, type HashParameters, hashPassword } from "./passwords.ts";
import { createUnknownNames, findOtherCosts } from "./unknown-names.ts";

const toKeyedHash = (text: string) => createHmac("sha256", "a key").update(text).digest("base64url").slice(0, 11);
const salt = "c2FsdHNhbHRzYWx0";

/** A hash with a digest of so many bytes. */
function hashOf(memory: number, passes: number, digestBytes = 32): NamedSecret {
  const digest = Buffer.alloc(digestBytes, 7).toString("base64").replace(/=+$/, "");
  return { name: "x", secret: { hash: `$argon2id$v=19$m=${memory},t=${passes},p=1$${salt}$${digest}` } };
}

const plain: NamedSecret = { name: "plain", secret: { plain: "x" } };
const names = Array.from({ length: 600 }, (_, index) => `nobody-${index}`);
const describeCost = ({ memory, passes, digestBytes }: HashParameters) => `${memory}/${passes}/${digestBytes}`;

describe("unknown names", () => {
  it("cost what a hash of the default costs while there are no others", () => {
    const costOf = createUnknownNames(toKeyedHash);
    for (const secrets of [[], [plain], [hashOf(19_456, 2)]]) {
      for (const name of names) {
        assert.equal(describeCost(costOf(name, secrets)), describeCost(defaultParameters), "");
      }
    }
  });

  it("have the cost and the digest's length of known hashes, as often as those have them", () => {
    const costOf = createUnknownNames(toKeyedHash);
    const secrets = [hashOf(65_536, 3), hashOf(65_536, 3), hashOf(65_536, 3), hashOf(19_456, 2, 24)];
    const counts = Map.groupBy(names, (name) => describeCost(costOf(name, secrets)));
    assert.deepEqual([...counts.keys()].sort(), ["19456/2/24", "65536/3/32"]);
    const part = (counts.get("65536/3/32")?.length ?? 0) / names.length;
    assert.ok(part > 0.65 && part < 0.85, String(part));
  });

  it("keep their cost: at each try, in another process, and when others come and go", () => {
    const secrets = [hashOf(65_536, 3), hashOf(19_456, 2), plain];
    const [one, another] = [createUnknownNames(toKeyedHash), createUnknownNames(toKeyedHash)];
    const before = names.map((name) => describeCost(one(name, secrets)));
    assert.deepEqual(
      before,
      names.map((name) => describeCost(another(name, [...secrets]))),
    );
    const grown = [
      ...secrets,
      ...Array.from({ length: 30 }, () => hashOf(19_456, 2)),
      ...Array.from({ length: 15 }, () => hashOf(65_536, 3)),
    ];
    const moved = names.filter((name, index) => describeCost(one(name, grown)) !== before[index]).length;
    assert.ok(moved < names.length * 0.05, `${moved} moved`);
  });

  it("are few where the costs are few, and the users with other ones are found", () => {
    const odd = { ...hashOf(65_536, 3), name: "odd" };
    const short = { ...hashOf(19_456, 2, 24), name: "short" };
    assert.deepEqual(findOtherCosts([hashOf(19_456, 2), odd, plain, short]), ["odd", "short"]);
  });

  it("are what the checker computes, and a right password for nobody is none", async () => {
    const computed: HashParameters[] = [];
    const checker = createPasswordChecker(
      { runningMax: 1, waitingMax: 1 },
      ({ memory, passes, parallelism, tagLength }) => {
        computed.push({ memory, passes, parallelism, digestBytes: tagLength });
        return Promise.resolve(Buffer.alloc(tagLength));
      },
    );
    const unknown = { memory: 65_536, passes: 3, parallelism: 4, digestBytes: 24 };
    assert.equal(await checker.check(null, "x", unknown), false);
    assert.equal(await checker.check(null, "x"), false);
    await checker.check({ plain: "x" }, "x", unknown);
    const hash = await hashPassword("x");
    await checker.check({ hash }, "x", unknown);
    assert.deepEqual(computed.map(describeCost), ["65536/3/24", "19456/2/32", "19456/2/32", "19456/2/32"]);
  });
});
