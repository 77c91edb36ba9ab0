import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Refusal } from "../base/refusal.ts";
import { createFormReader } from "./form-reader.ts";

const type = "multipart/form-data; boundary=BND";

function read(body: Buffer | string, contentType = type, pieces: readonly number[] = []): ReadonlyMap<string, string> {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const reader = createFormReader(contentType);
  let at = 0;
  for (const piece of pieces) {
    reader.push(bytes.subarray(at, at + piece));
    at += piece;
  }
  reader.push(bytes.subarray(at));
  reader.end();
  return reader.takeFields();
}

const part = (head: string, value: string) => `--BND\r\n${head}\r\n\r\n${value}\r\n`;
const field = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value);
const file = part(
  'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
  "\0\r\n--x",
);
const end = "--BND--\r\n";

function isRefused(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    assert.ok(error instanceof Refusal && error.status === 400, String(error));
    return true;
  }
}

describe("createFormReader()", () => {
  it("reads what something depends on, and no other field, whatever pieces the form comes in", () => {
    const form = `${field("model", "glm-asr")}${field("prompt", "stream")}${file}${field("stream", "true")}${end}`;
    fc.assert(
      fc.property(fc.array(fc.nat(40)), (pieces) => {
        assert.deepEqual(
          [...read(form, type, pieces)],
          [
            ["model", "glm-asr"],
            ["stream", "true"],
          ],
        );
      }),
    );
  });

  it("takes the forms that clients send", async () => {
    const data = new FormData();
    data.set("model", "glm-asr");
    data.set("file", new File(["x\r\n"], "täst (1).wav", { type: "audio/wav" }));
    data.append("timestamp_granularities[]", "word");
    data.append("timestamp_granularities[]", "segment");
    const sent = new Response(data);
    const fetched = Buffer.from(await sent.clone().arrayBuffer());
    assert.equal(read(fetched, sent.headers.get("content-type") as string).get("model"), "glm-asr");
    const others: Record<string, string> = {
      "curl and requests": `${field("model", "glm-asr")}${file}${end}`,
      "without a last line's end": `${file}${field("model", "glm-asr")}--BND--`,
      ".NET":
        part("Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model", "glm-asr") +
        part("Content-Disposition: form-data; name=file; filename=a.wav; filename*=utf-8''a.wav", "x") +
        end,
      OkHttp: part('Content-Disposition: form-data; name="model"\r\nContent-Length: 7', "glm-asr") + end,
      Dart:
        part(
          'content-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: binary\r\ncontent-disposition: form-data; name="model"',
          "glm-asr",
        ) + end,
    };
    for (const [client, form] of Object.entries(others)) assert.equal(read(form).get("model"), "glm-asr", client);
    for (const boundary of ["----WebKitFormBoundaryAbC1", '"0a1b-2c3d"', "----formdata-undici-012"]) {
      const form = `${field("model", "m")}${end}`.replaceAll("BND", boundary.replaceAll('"', ""));
      assert.equal(read(form, `multipart/form-data; boundary=${boundary}`).get("model"), "m", boundary);
    }
  });

  const model = field("model", "small");
  const disposition = 'Content-Disposition: form-data; name="model"';
  const ambiguous: Record<string, string> = {
    "a field twice": model + field("model", "large") + end,
    "another case": model + field("Model", "large") + end,
    "another case alone": field("MODEL", "large") + end,
    "a list's name": field("model[]", "large") + model + end,
    "a member's name": field("model[x]", "large") + end,
    "an id's name with other separators": field("knowledge.id", "kb") + end,
    "Unicode that folds": field("voıce", "x") + end,
    "a preamble": `zz--BND\r\n${disposition}\r\n\r\nsmall\r\n${end}`,
    "an empty line before": `\r\n${model}${end}`,
    "another name beside": part(`${disposition}; name*=utf-8''other`, "small") + end,
    "two names": part(`Content-Disposition: form-data; name="x"; name="model"`, "large") + end,
    "the file's name first": part(`Content-Disposition: form-data; filename="a"; name="model"`, "large") + end,
    "a name in a file's name":
      part(`Content-Disposition: form-data; name="file"; filename="a; name=model; b"`, "x") + end,
    escapes: part(`Content-Disposition: form-data; name="mod\\el"`, "large") + end,
    "a parameter in capitals": part(`Content-Disposition: form-data; NAME="model"`, "large") + end,
    "another disposition": part(`Content-Disposition: attachment; name="model"`, "large") + end,
    "a folded head": part(`Content-Disposition: form-data;\r\n name="model"`, "large") + end,
    "two dispositions": part(`${disposition}\r\nContent-Disposition: form-data; name="x"`, "large") + end,
    "a line's end without CR": `--BND\n${disposition}\n\nlarge\n--BND--\n`,
    "a line's end without CR within":
      `${field("x", "y")}`.replace("y\r\n", `y\n--BND\r\n${disposition}\r\n\r\nlarge\r\n`) + end,
    "a delimiter within a line": field("x", `y--BND\r\n${disposition}\r\n\r\nlarge`) + end,
    "a delimiter that goes on": `${field("x", "y")}--BNDX\r\n${disposition}\r\n\r\nlarge\r\n${end}`,
    "a delimiter with spaces": `${field("x", "y")}--BND \r\n${disposition}\r\n\r\nlarge\r\n${end}`,
    "a delimiter in a head": part(`Content-Disposition: form-data; name="file"; filename="--BND"`, "x") + end,
    "an end within a line": `${field("x", "y--BND--")}${model}${end}`,
    "a delimiter in the model": field("model", "small--BND") + end,
    "an epilogue": `${model}--BND--\r\n${field("model", "large")}${end}`,
    "no end": model,
    "no field": end,
    "a file as the model": part(`${disposition}; filename="m"`, "large") + end,
    "an encoded model": part(`${disposition}\r\nContent-Transfer-Encoding: base64`, "bGFyZ2U=") + end,
    "an alphabet of its own": part(`${disposition}\r\nContent-Type: text/plain; charset=utf-16`, "large") + end,
    "an alphabet for all": field("_charset_", "utf-7") + model + end,
    "a wrong length": part(`${disposition}\r\nContent-Length: 3`, "small") + end,
    "a form within the form": part(`${disposition}\r\nContent-Type: multipart/mixed; boundary=X`, "--X") + end,
    "an unknown header": part(`X-Name: model\r\n${disposition}`, "small") + end,
    "spaces around the model": field("model", " small") + end,
    "two lines": field("model", "small\r\nlarge") + end,
    NUL: field("model", "small\0large") + end,
    "no model": field("model", "") + end,
  };
  for (const [what, form] of Object.entries(ambiguous)) {
    it(`refuses a form with ${what}`, () => {
      assert.ok(
        isRefused(() => read(form)),
        form,
      );
    });
  }

  it("takes a file that has the boundary in it by chance, and nothing that could be a field", () => {
    const bytes = "\0\r\n--BND-not\xff --BND\0\n--BNDx";
    fc.assert(
      fc.property(fc.array(fc.nat(30)), (pieces) => {
        assert.equal(read(field("x", bytes) + model + end, type, pieces).get("model"), "small");
        assert.ok(
          isRefused(() => read(`${field("x", `${bytes} ${"z".repeat(30)}naMe=`)}${model}${end}`, type, pieces)),
        );
      }),
    );
  });

  it("refuses content types that name the boundary in a doubtful way", () => {
    const form = `${model}${end}`;
    for (const contentType of [
      "multipart/form-data",
      "multipart/form-data; boundary=",
      "multipart/form-data; boundary=BND; boundary=X",
      "multipart/form-data; boundary=X; boundary=BND",
      "multipart/form-data; BOUNDARY=BND",
      "multipart/form-data; xboundary=X; boundary=BND",
      'multipart/form-data; boundary="B\\ND"',
      "multipart/form-data; boundary=BND, text/plain",
      "multipart/form-data; boundary*=utf-8''BND",
      "multipart/form-data; boundary=BND charset=utf-8",
      `multipart/form-data; boundary=${"B".repeat(71)}`,
    ]) {
      assert.ok(
        isRefused(() => read(form, contentType)),
        contentType,
      );
    }
  });

  it("is bounded in fields, heads and values", () => {
    const fields = (count: number) => `${field("x", "y").repeat(count)}${end}`;
    assert.doesNotThrow(() => read(fields(100)));
    assert.ok(isRefused(() => read(fields(101))));
    assert.doesNotThrow(() => read(field("model", "m".repeat(256)) + end));
    assert.ok(isRefused(() => read(field("model", "m".repeat(257)) + end)));
    const named = (length: number) =>
      part(`Content-Disposition: form-data; name="f"; filename="${"a".repeat(length)}"`, "x") + end;
    assert.doesNotThrow(() => read(named(4_000)));
    assert.ok(isRefused(() => read(named(4_100))));
    assert.ok(isRefused(() => createFormReader(type).push(Buffer.from(`--BND\r\n${"a".repeat(5_000)}`))));
  });

  it("refuses what comes after the fields were taken", () => {
    const reader = createFormReader(type);
    reader.push(Buffer.from(model + file));
    assert.equal(reader.takeFields().get("model"), "small");
    assert.ok(isRefused(() => reader.push(Buffer.from(field("stream", "true")))));
    const cut = createFormReader(type);
    cut.push(Buffer.from(model.slice(0, -4)));
    assert.equal(cut.takeFields().size, 0);
    assert.ok(isRefused(() => cut.push(Buffer.from(`ll\r\n${end}`))));
  });
});

/** As the most lenient of parsers: delimiters anywhere, any line's end, any spelling of names. */
function readLeniently(form: string): string[] {
  return form.split("--BND").flatMap((piece) => {
    const [head = "", ...content] = piece.split(/\r?\n\r?\n/);
    const unfolded = head.replace(/\r?\n[ \t]+/g, " ");
    const names = Array.from(
      unfolded.matchAll(/name\*?\s*=\s*(?:"((?:\\.|[^"\\])*)"|[^;\r\n]*?''([^;\r\n]*)|([^;\s]*))/gi),
      ([, quoted, extended, bare]) => (quoted ?? extended ?? bare ?? "").replace(/\\(.)/g, "$1"),
    );
    const isModel = names.some((name) => name.toLowerCase().replace(/\[.*/, "").trim() === "model");
    return isModel
      ? [
          content
            .join("\n\n")
            .replace(/\r?\n$/, "")
            .trim(),
        ]
      : [];
  });
}

describe("forms that are generated", () => {
  const names = fc.constantFrom("model", "Model", "MODEL", "model[]", "mo\\del", " model", "file", "purpose", "x");
  const lineEnd = fc.oneof(
    { weight: 12, arbitrary: fc.constant("\r\n") },
    { weight: 1, arbitrary: fc.constantFrom("\n", "\r", "\r\n ", "") },
  );
  const rarely = (text: string) =>
    fc.oneof({ weight: 9, arbitrary: fc.constant("") }, { weight: 1, arbitrary: fc.constant(text) });
  const pieceOf = fc
    .tuple(
      fc.oneof({ weight: 6, arbitrary: fc.constantFrom("model", "x") }, { weight: 1, arbitrary: names }),
      fc.constantFrom("small", "large"),
      fc.constantFrom(
        'name="@"',
        'name="@"',
        'name="@"',
        "name=@",
        'Name="@"',
        "name*=utf-8''@",
        "name='@'",
        'name = "@"',
      ),
      rarely('; filename="a.wav"'),
      rarely('; filename="a; name=model"'),
      rarely("\r\nContent-Type: text/plain"),
      rarely('\r\nContent-Disposition: form-data; name="model"'),
      lineEnd,
      lineEnd,
      rarely("zz"),
      rarely(" "),
    )
    .map(
      ([name, value, style, asFile, trap, more, twice, first, last, before, after]) =>
        `${before}--BND${after}${first}Content-Disposition: form-data; ${style.replace("@", name)}${asFile}${trap}${more}${twice}\r\n\r\n${value}${last}`,
    );
  const forms = fc
    .tuple(
      rarely("preamble"),
      fc.array(pieceOf, { maxLength: 4 }),
      fc.constantFrom("--BND--\r\n", "--BND--", "--BND--\r\nmodel", ""),
    )
    .map(([preamble, parts, ending]) => preamble + parts.join("") + ending);

  it("are refused, or have one model whichever parser reads them", () => {
    let passed = 0;
    fc.assert(
      fc.property(forms, (form) => {
        let checked: ReadonlyMap<string, string>;
        try {
          checked = read(form);
        } catch (error) {
          assert.ok(error instanceof Refusal && error.status === 400);
          return;
        }
        passed++;
        const found = readLeniently(form);
        const expected = checked.has("model") ? [checked.get("model")] : [];
        assert.deepEqual(found, expected, "first, last and folded are the same one");
      }),
      { numRuns: 5_000 },
    );
    assert.ok(passed > 100, `${passed} passed`);
  });
});
