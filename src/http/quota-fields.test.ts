import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { QuotaStanding } from "../quota/quotas.ts";
import { formatQuotaWarnings } from "./quota-fields.ts";

const day: QuotaStanding = {
  scope: "user",
  id: "ada",
  name: "requests/day",
  limit: 25,
  used: 20,
  reserved: 1,
  resetsAt: Date.UTC(2026, 10, 24),
};

describe("formatQuotaWarnings()", () => {
  it("tells whose quota, how much of it is taken, and when it begins anew", () => {
    assert.equal(formatQuotaWarnings([day]), "user ada requests/day; used=84%; resets=2026-11-24T00:00:00Z");
    const total: QuotaStanding = { ...day, scope: "group", name: "cost/total", resetsAt: null };
    assert.equal(
      formatQuotaWarnings([day, total]),
      "user ada requests/day; used=84%; resets=2026-11-24T00:00:00Z, group ada cost/total; used=84%",
    );
  });

  it("is a legal header whatever the name is, and bounded", () => {
    const odd = { ...day, id: "王, \r\nx: 1" };
    const value = formatQuotaWarnings([odd, odd, odd, odd, odd]);
    assert.match(value, /^[\x20-\x7e]*$/);
    assert.equal(value.split(", ").length, 3);
    const half = { ...day, id: "\ud800" };
    assert.match(formatQuotaWarnings([half]), /^user %EF%BF%BD requests/);
  });
});
