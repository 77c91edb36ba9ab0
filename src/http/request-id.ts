// The id that a request carries through headers, log, errors and records.

import { randomBytes } from "node:crypto";

const acceptable = /^[A-Za-z0-9._:-]{8,128}$/;

/** The client's own `x-request-id` when it is sane, else a fresh UUID version 7 (RFC 9562), which sorts by time. */
export function chooseRequestId(offered: string | string[] | undefined, wallNowMs: number): string {
  return typeof offered === "string" && acceptable.test(offered) ? offered : createUuid7(wallNowMs);
}

function createUuid7(wallNowMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Math.floor(wallNowMs), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
