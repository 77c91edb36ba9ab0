// What the simulated GLM has made and gives an address of: pictures, films, sounds and texts, all of them tiny and made
// from their name alone, so that nothing has to be kept. Their addresses take no key, as those of GLM's own store do not.

import { crc32, deflateSync } from "node:zlib";
import { type Plan, toBinaryPlan, toJsonPlan } from "./plan.ts";

const prefix = "/media/";

export function isMediaPath(path: string): boolean {
  return path.startsWith(prefix);
}

export type MediaKind = "png" | "mp4" | "wav" | "md";

/** `name` is hexadecimal. */
export function toMediaUrl(origin: string, name: string, kind: MediaKind): string {
  return `${origin}${prefix}${name}.${kind}`;
}

export function toMediaPlan(path: string): Plan {
  const [, name = "", kind = ""] = /^\/media\/([0-9a-f]{6,64})\.(\w+)$/.exec(path) ?? [];
  const make = Object.hasOwn(makers, kind) ? makers[kind as MediaKind] : undefined;
  if (!make || name === "") return toJsonPlan({ error: { code: "404", message: "not found" } }, 404, "404");
  return { ...toBinaryPlan([make(name)], contentTypes[kind as MediaKind]), isStream: false };
}

const contentTypes: Readonly<Record<MediaKind, string>> = {
  png: "image/png",
  mp4: "video/mp4",
  wav: "audio/wav",
  md: "text/markdown; charset=utf-8",
};

const makers: Readonly<Record<MediaKind, (name: string) => Buffer>> = {
  png: (name) => drawPng(Buffer.from(name.slice(0, 6), "hex")),
  mp4: composeMp4,
  wav: (name) => Buffer.concat([toWavHead(name.length), Buffer.from(name)]),
  md: (name) => Buffer.from(`# ${name}\n`),
};

/** One pixel of that colour. */
function drawPng(colour: Buffer): Buffer {
  const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  const chunks = [
    toChunk("IHDR", header),
    toChunk("IDAT", deflateSync(Buffer.concat([Buffer.from([0]), colour]))),
    toChunk("IEND", Buffer.alloc(0)),
  ];
  return Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), ...chunks]);
}

function toChunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

/** A file of the right type without a picture in it. */
function composeMp4(name: string): Buffer {
  const brand = Buffer.from("ftypisom\0\0\0\0isom", "latin1");
  const content = Buffer.from(`mdat${name}`, "latin1");
  return Buffer.concat([brand, content].map((box) => Buffer.concat([toLength(box.length + 4), box])));
}

function toLength(bytes: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes);
  return length;
}

export const sampleRate = 24_000;

/** 16 bits, one channel. */
export function toWavHead(bytes: number): Buffer {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + bytes, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(sampleRate, 24);
  head.writeUInt32LE(sampleRate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(bytes, 40);
  return head;
}
