// The id that a request carries through headers, log, errors and records.

import { createUuid7 } from "../base/uuid7.ts";

const acceptable = /^[A-Za-z0-9._:-]{8,128}$/;

/** The client's own `x-request-id` when it is sane, else a fresh UUID version 7, which sorts by time. */
export function chooseRequestId(offered: string | string[] | undefined, wallNowMs: number): string {
  return typeof offered === "string" && acceptable.test(offered) ? offered : createUuid7(wallNowMs);
}
