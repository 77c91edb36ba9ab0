import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDirectHosts } from "./direct-hosts.ts";

describe("createDirectHosts()", () => {
  const cases: readonly [list: string, origin: string, isDirect: boolean][] = [
    ["10.0.0.0/8", "http://10.1.2.3:8000", true],
    ["10.0.0.0/8", "http://11.1.2.3:8000", false],
    ["10.0.0.0/8", "http://10.example.test", false],
    ["fd00::/8", "http://[fd12::1]:8000", true],
    ["fd00::/8", "http://[fe80::1]", false],
    ["10.1.2.3", "http://10.1.2.3:8000", true],
    ["::1", "http://[::1]:8000", true],
    ["[::1]:8000", "http://[::1]:8000", true],
    ["example.test", "https://example.test", true],
    ["example.test", "https://api.example.test", true],
    ["example.test", "https://notexample.test", false],
    [".example.test", "https://api.example.test", true],
    ["*.example.test", "https://api.example.test", true],
    ["EXAMPLE.test", "https://Api.Example.Test", true],
    ["example.test:8443", "https://example.test:8443", true],
    ["example.test:8443", "https://example.test", false],
    ["example.test:443", "https://example.test", true],
    ["*", "https://anything.test", true],
    ["a.test, b.test  c.test", "https://c.test", true],
    ["", "https://a.test", false],
    ["10.0.0.0/99, 1.2.3.4/x, /", "http://10.0.0.1", false],
  ];
  for (const [list, origin, isDirect] of cases) {
    it(`reaches ${origin} ${isDirect ? "directly" : "through the proxy"} by "${list}"`, () => {
      assert.equal(createDirectHosts(list)(origin), isDirect);
    });
  }
});
