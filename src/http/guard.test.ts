import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { guardRequest } from "./guard.ts";

function guard(url: string): string {
  const rawHeaders = ["Host", "x"];
  const request = { httpVersionMajor: 1, httpVersionMinor: 1, method: "GET", rawHeaders, headers: { host: "x" }, url };
  return guardRequest(request as unknown as IncomingMessage);
}

describe("guardRequest()", () => {
  it("refuses secrets in a query, however their names are written", () => {
    const names = `key KEY %6bey api_key api-key apiKey x-api-key access_key secret_key token access_token auth_token
      Authorization authorization auth a%75th bearer sk SK secret client_secret password passwd pwd credential
      credentials jwt key[] s%4b`.split(/\s+/);
    for (const name of names) {
      for (const query of [`?${name}=x`, `?a=1&${name}=x`, `?a=1;${name}=x`, `?${name}`]) {
        assert.throws(() => guard(`/v1/files${query}`), { reason: "bad_request" }, query);
      }
    }
  });

  it("lets other parameters pass", () => {
    for (const query of [
      "?limit=3",
      "?after=key",
      "?q=token",
      "?key_id=1",
      "?cursor=x&state=active",
      "?beta=true",
      "?",
    ]) {
      assert.equal(guard(`/v1/files${query}`), "/v1/files", query);
    }
  });
});
