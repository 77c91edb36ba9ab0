import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dataFolder, listSearchPath, toDisplayPath } from "./locations.ts";
import { parseRustLog } from "./log-level.ts";
import { findNearest, measureDistance } from "./nearest-name.ts";
import { isAddressRange, isPasswordHash } from "./text-rules.ts";

describe("findNearest()", () => {
  const known = ["queue_capacity", "queue_timeout_seconds", "requests_per_second", "port", "host"];

  it("finds a mistyped name, one with the same first word, and one that contains it", () => {
    assert.equal(findNearest("request_per_second", known), "requests_per_second");
    assert.equal(findNearest("queue_size", known), "queue_capacity");
    assert.equal(findNearest("capacity", known), "queue_capacity");
    assert.equal(findNearest("prot", known), "port");
  });

  it("does not guess at random", () => {
    assert.equal(findNearest("zz", known), null);
    assert.equal(findNearest("something_else", known), null);
    assert.equal(measureDistance("kitten", "sitting"), 3);
  });
});

describe("parseRustLog()", () => {
  it("takes the most detailed level that is named", () => {
    assert.equal(parseRustLog("glm_proxy=debug,info"), "debug");
    assert.equal(parseRustLog("WARN"), "warn");
    assert.equal(parseRustLog("hyper=off,glm_proxy=info"), "info");
    assert.equal(parseRustLog("glm_proxy"), null);
    assert.equal(parseRustLog("constructor"), null);
  });
});

describe("where files are", () => {
  it("follows systemd, then XDG, then the home folder", () => {
    assert.equal(dataFolder({ STATE_DIRECTORY: "/var/lib/a:/var/lib/b", XDG_DATA_HOME: "/x" }), "/var/lib/a");
    assert.equal(dataFolder({ XDG_DATA_HOME: "/x", HOME: "/h" }), "/x/glm-proxy");
    assert.equal(dataFolder({ XDG_DATA_HOME: "relative", HOME: "/h" }), "/h/.local/share/glm-proxy");
    assert.deepEqual(listSearchPath({ HOME: "/h" }, "/w"), [
      "/w/config.toml",
      "/h/.config/glm-proxy/config.toml",
      "/etc/glm_proxy/config.toml",
    ]);
  });

  it("shows a path inside the working folder without it", () => {
    assert.equal(toDisplayPath("/w/a/config.toml", "/w"), "a/config.toml");
    assert.equal(toDisplayPath("/etc/config.toml", "/w"), "/etc/config.toml");
  });
});

describe("texts with a form", () => {
  it("accepts addresses and ranges only", () => {
    for (const text of ["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"]) assert.ok(isAddressRange(text), text);
    for (const text of ["10.0.0.0/33", "fd00::/129", "10.0.0/8", "x", "", "1.2.3.4/", "1.2.3.4/8/8"]) {
      assert.ok(!isAddressRange(text), text);
    }
  });

  it("accepts argon2id hashes of bearable cost only", () => {
    const hash = (cost: string) => `$argon2id$v=19$${cost}$c29tZXNhbHRzb21lc2FsdA$${"A".repeat(43)}`;
    assert.ok(isPasswordHash(hash("m=19456,t=2,p=1")));
    for (const cost of ["m=4194304,t=2,p=1", "m=19456,t=0,p=1", "m=19456,t=2"])
      assert.ok(!isPasswordHash(hash(cost)), cost);
  });
});
