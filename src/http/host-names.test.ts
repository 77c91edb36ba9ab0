import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHostNames } from "./host-names.ts";

const local = [
  "localhost",
  "LOCALHOST:8080",
  "127.0.0.1",
  "127.0.0.1:8080",
  "192.168.1.20:8080",
  "[::1]",
  "[::1]:8080",
  "glm-proxy:8080",
  "glm-proxy.monitoring.svc:8080",
  "gateway.docker.internal",
  "nas.local",
  "nas.local.",
  "app.localhost:8080",
];
const foreign = [
  "evil.test.example.com",
  "evil.com:8080",
  "127.0.0.1.nip.io",
  "localhost.evil.com",
  "a.local.evil.org",
  "1.2.3.4.5",
];

describe("host names", () => {
  it("are known when no stranger can have them resolve to this machine", () => {
    const names = createHostNames([]);
    for (const host of local) assert.equal(names.isKnown(host), true, host);
    for (const host of foreign) assert.equal(names.isKnown(host), false, host);
    for (const host of [undefined, ""]) assert.equal(names.isKnown(host), true, "no browser leaves it out");
  });

  it("are known when they are configured, in any case and with any port", () => {
    const names = createHostNames(["Glm.Example.org"]);
    for (const host of ["glm.example.org", "GLM.example.org:443", "glm.example.org."]) {
      assert.equal(names.isKnown(host), true, host);
    }
    assert.equal(names.isKnown("other.example.org"), false);
    assert.equal(names.isKnown("sub.glm.example.org"), false);
  });

  it("are all allowed until some are configured, and then those and the local ones", () => {
    for (const host of [...local, ...foreign]) assert.equal(createHostNames([]).isAllowed(host), true, host);
    const names = createHostNames(["glm.example.org"]);
    for (const host of local) assert.equal(names.isAllowed(host), true, host);
    for (const host of foreign) assert.equal(names.isAllowed(host), false, host);
  });
});
