// Ids that sort by the time they were made: UUID version 7 (RFC 9562).

import { randomFillSync } from "node:crypto";

const idBytes = 16;
/** Drawn many at a time: one draw costs 2 µs, whether for one id or for 256, and a call has two. */
const pool = Buffer.alloc(256 * idBytes);
let drawn = pool.length;

export function createUuid7(wallNowMs: number): string {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  const bytes = pool.subarray(drawn, drawn + idBytes);
  drawn += idBytes;
  bytes.writeUIntBE(Math.floor(wallNowMs), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
