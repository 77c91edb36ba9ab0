import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createFormParser, type FormParser, fieldBytesMax, findBoundary, partsMax } from "./form-parser.ts";

const bounds = { fileBytesMax: 1_000 };

function parse(body: string | Buffer, chunkBytes = Number.POSITIVE_INFINITY, boundary = "b"): FormParser {
  const parser = createFormParser(boundary, bounds);
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += chunkBytes) parser.push(bytes.subarray(at, at + chunkBytes));
  return parser;
}

const field = (name: string, text: string) =>
  `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
const fileHead = `--b\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".txt"\r\nContent-Type: text/plain\r\n\r\n`;
const whole = (...parts: string[]) => `${parts.join("")}--b--\r\n`;

describe("a form", () => {
  it("has texts and a file, whatever the sizes of the pieces it comes in", () => {
    const body = `ignored\r\n${whole(field("purpose", "batch"), `${fileHead}one\r\n--two\r\n`, field("model", ""))}trailer`;
    for (const chunkBytes of [1, 2, 3, 5, 7, 64, 10_000]) {
      const parser = parse(body, chunkBytes);
      assert.equal(parser.end(), null);
      assert.deepEqual(parser.fields, { purpose: "batch", model: "" });
      const { chunks, ...file } = parser.file ?? { chunks: [] };
      assert.deepEqual(file, { name: 'a "b".txt', contentType: "text/plain", byteCount: 10 });
      assert.equal(Buffer.concat([...chunks]).toString(), "one\r\n--two");
    }
  });

  it("gives back any bytes that do not hold the boundary, cut anywhere (property)", () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
    // Much like the delimiter, so that it is begun and broken off.
    const tricky = fc.array(fc.constantFrom("\r", "\n", "-", "--", "\r\n--", "c"), { maxLength: 60, size: "max" });
    const contents = fc.oneof(
      bytes,
      tricky.map((parts) => Buffer.from(parts.join(""))),
    );
    fc.assert(
      fc.property(contents, fc.integer({ min: 1, max: 50 }), (content, chunkBytes) => {
        fc.pre(!content.includes("--b"));
        const body = Buffer.concat([Buffer.from(fileHead), content, Buffer.from("\r\n--b--")]);
        const parser = parse(body, chunkBytes);
        assert.equal(parser.end(), null);
        assert.deepEqual(Buffer.concat([...(parser.file?.chunks ?? [])]), content);
      }),
    );
  });

  it("may be empty, or have nothing in its head", () => {
    assert.equal(parse("--b--").end(), null);
    const parser = parse("--b\r\n\r\ntext\r\n--b--");
    assert.equal(parser.end(), null);
    assert.deepEqual(parser.fields, { "": "text" });
  });

  it("has its first file alone", () => {
    const parser = parse(whole(`${fileHead}one\r\n`, `${fileHead}two\r\n`));
    assert.equal(parser.end(), null);
    assert.equal(Buffer.concat([...(parser.file?.chunks ?? [])]).toString(), "one");
  });

  it("may have a file of as many bytes as are allowed, and not one more", () => {
    assert.equal(parse(whole(`${fileHead}${"x".repeat(1_000)}\r\n`), 100).end(), null);
    const parser = parse(whole(`${fileHead}${"x".repeat(1_001)}\r\n`), 100);
    assert.deepEqual([parser.end(), parser.file], ["435", null]);
  });

  it("may have texts of a mebibyte and a hundred parts, and not more", () => {
    assert.equal(parse(whole(field("a", "x".repeat(fieldBytesMax))), 65_536).end(), null);
    assert.equal(parse(whole(field("a", "x".repeat(fieldBytesMax + 1))), 65_536).end(), "1210");
    const parts = (count: number) => Array.from({ length: count }, (_, index) => field(`f${index}`, ""));
    assert.equal(parse(whole(...parts(partsMax))).end(), null);
    assert.equal(parse(whole(...parts(partsMax + 1))).end(), "1210");
  });

  it("is none when it breaks off, has no boundary, or no end to a part's head", () => {
    const wrong = ["", "text", field("a", "1"), `--b\r\n${"x".repeat(20_000)}`, "--bx\r\n\r\n\r\n--b--"];
    for (const body of wrong) assert.equal(parse(body).end(), "1210", body.slice(0, 30));
  });

  it("is told by its content type", () => {
    assert.equal(findBoundary("multipart/form-data; boundary=abc"), "abc");
    assert.equal(findBoundary('Multipart/Form-Data; charset=utf-8; boundary="a b"'), "a b");
    for (const other of ["multipart/form-data", "application/json; boundary=a", "multipart/mixed; boundary=a", ""]) {
      assert.equal(findBoundary(other), null, other);
    }
  });
});
