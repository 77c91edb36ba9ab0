import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { createAddressBook, toCountedAddress } from "./client-address.ts";

function from(remoteAddress: string, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage;
}

describe("createAddressBook().findClient()", () => {
  const { findClient } = createAddressBook(["10.0.0.0/8", "2001:db8::1"]);

  it("is the peer when it is no trusted proxy, whatever it claims", () => {
    assert.equal(findClient(from("203.0.113.5", "192.0.2.1")), "203.0.113.5");
    assert.equal(findClient(from("::ffff:203.0.113.5")), "203.0.113.5");
  });

  it("is the last hop that is not a trusted proxy", () => {
    assert.equal(findClient(from("10.1.1.1", "192.0.2.1")), "192.0.2.1");
    assert.equal(findClient(from("::ffff:10.1.1.1", "198.51.100.9, 192.0.2.1, 10.2.2.2")), "192.0.2.1");
    assert.equal(findClient(from("2001:db8::1", "2001:db8::77")), "2001:db8::77");
  });

  it("reads an address in every form that proxies write", () => {
    const forms: [string, string][] = [
      ["203.0.113.7:5001", "203.0.113.7"],
      ['"203.0.113.7:5001"', "203.0.113.7"],
      ["[2001:db8::77]", "2001:db8::77"],
      ["[2001:db8::77]:443", "2001:db8::77"],
      ['"[2001:db8::77]:443"', "2001:db8::77"],
      ["[::ffff:203.0.113.7]:80", "203.0.113.7"],
      [" 192.0.2.1 , 203.0.113.7:80 , 10.2.2.2:90", "203.0.113.7"],
    ];
    for (const [forwarded, client] of forms) assert.equal(findClient(from("10.1.1.1", forwarded)), client, forwarded);
  });

  it("stops at what is no address", () => {
    assert.equal(findClient(from("10.1.1.1", "unknown")), "10.1.1.1");
    assert.equal(findClient(from("10.1.1.1", "192.0.2.1, ' OR 1=1")), "10.1.1.1");
  });
});

describe("createAddressBook().isNear()", () => {
  const { isNear } = createAddressBook(["10.0.0.1"]);

  it("holds for this machine and private networks, not for others", () => {
    for (const near of ["127.0.0.1", "::1", "192.168.1.2", "172.31.0.1", "fd00::1", "::ffff:10.9.9.9"]) {
      assert.equal(isNear(from(near)), true, near);
    }
    for (const far of ["8.8.8.8", "172.32.0.1", "2001:db8::1", ""]) assert.equal(isNear(from(far)), false, far);
  });

  const ask = (remoteAddress: string, headers: Record<string, string>) =>
    isNear({ socket: { remoteAddress }, headers } as unknown as IncomingMessage);

  it("does not hold for whom a proxy forwards that we were not told of, whatever header says so", () => {
    const said = [
      { "x-real-ip": "192.168.1.2" },
      { "x-real-ip": "8.8.8.8" },
      { forwarded: "for=192.168.1.2" },
      { via: "1.1 proxy" },
      { "x-forwarded-host": "glm.example.org" },
      { "x-forwarded-proto": "https" },
      { "cf-connecting-ip": "8.8.8.8" },
      { "true-client-ip": "8.8.8.8" },
      { "x-client-ip": "8.8.8.8" },
    ] as unknown as Record<string, string>[];
    for (const headers of said) {
      for (const peer of ["127.0.0.1", "192.168.1.2", "10.0.0.1"]) {
        assert.equal(ask(peer, headers), false, `${peer} ${JSON.stringify(headers)}`);
      }
      // The trusted one says whom it forwards where we read it.
      assert.equal(ask("10.0.0.1", { ...headers, "x-forwarded-for": "192.168.1.2" }), true, JSON.stringify(headers));
    }
  });

  it("does not hold for a page that has its own name resolve to this machine", () => {
    assert.equal(ask("127.0.0.1", { host: "evil.example:8080" }), false);
    assert.equal(ask("127.0.0.1", { host: "localhost:8080" }), true);
    assert.equal(ask("172.17.0.5", { host: "glm-proxy:8080" }), true);
    const named = createAddressBook([], ["glm.example.org"]);
    const request = { socket: { remoteAddress: "10.0.0.7" }, headers: { host: "glm.example.org" } };
    assert.equal(named.isNear(request as unknown as IncomingMessage), true);
  });

  it("does not hold for whom a proxy forwards that we were not told of", () => {
    assert.equal(isNear(from("127.0.0.1", "192.168.1.2")), false);
    assert.equal(isNear(from("10.0.0.1", "192.168.1.2")), true);
    assert.equal(isNear(from("10.0.0.1", "8.8.8.8")), false);
  });
});

describe("toCountedAddress()", () => {
  const cases: Record<string, string> = {
    "127.0.0.2": "127.0.0.2",
    "::ffff:10.1.2.3": "10.1.2.3",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2",
    "2001:0DB8:0001:0002::1": "2001:db8:1:2",
    "2001:db8::1": "2001:db8:0:0",
    "fe80::1%eth0": "fe80:0:0:0",
    "::1": "0:0:0:0",
    "::": "0:0:0:0",
    unknown: "unknown",
  };
  for (const [address, counted] of Object.entries(cases)) {
    it(`counts ${address} as ${counted}`, () => assert.equal(toCountedAddress(address), counted));
  }
});
