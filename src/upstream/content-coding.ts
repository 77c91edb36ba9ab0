// Undoes a compression that was not asked for: one layer, bounded in size or by backpressure. More is refused.

import type { Transform } from "node:stream";
import { promisify } from "node:util";
import {
  brotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
  gunzip,
  inflate,
  zstdDecompress,
} from "node:zlib";
import { Refusal } from "../base/refusal.ts";

const decoders = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
} as const;

const streamDecoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** A stream that undoes the coding as the bytes come; null for unknown or several codings. */
export function createStreamDecoder(coding: string): Transform | null {
  return Object.hasOwn(streamDecoders, coding) ? (streamDecoders[coding] as () => Transform)() : null;
}

/** Throws `upstream_unexpected` for unknown or several codings, `upstream_too_large` beyond `bytesMax`. */
export async function decodeBody(body: Buffer, coding: string, bytesMax: number): Promise<Buffer> {
  if (coding === "identity") return body;
  if (!Object.hasOwn(decoders, coding)) {
    throw new Refusal("upstream_unexpected", { detail: "its content-encoding is not known" });
  }
  try {
    return await decoders[coding as keyof typeof decoders](body, { maxOutputLength: bytesMax });
  } catch (error) {
    const isTooLarge = (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
    throw isTooLarge
      ? new Refusal("upstream_too_large", { limit: bytesMax }, error)
      : new Refusal("upstream_unexpected", { detail: "its content-encoding is broken" }, error);
  }
}
