// Ids that sort by the time they were made: UUID version 7 (RFC 9562).

import { randomBytes } from "node:crypto";

export function createUuid7(wallNowMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Math.floor(wallNowMs), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
