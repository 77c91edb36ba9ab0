// GLM's way with time: ids that begin with it, and texts that name it. Both are Beijing's time, without a zone.

import type { Random } from "./random.ts";

const beijingAheadMs = 8 * 60 * 60_000;
const hexDigits = 16;

/** `YYYYMMDDHHMMSS` and hexadecimal digits. */
export function createGlmId(random: Random, wallNowMs: number): string {
  return formatBeijing(wallNowMs).replace(/\D/g, "") + random.hex(hexDigits);
}

/** `2026-11-23 20:15:00`. */
export function formatBeijing(wallMs: number): string {
  return new Date(wallMs + beijingAheadMs).toISOString().slice(0, 19).replace("T", " ");
}
