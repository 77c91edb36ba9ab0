// How large the input of a request is: its text in bytes, and its pictures, sound, films and files in tokens. Encoded data
// is as long as its file, while a model takes about as many tokens for a large picture as for a small one, so that its bytes
// must count nowhere as text: not in estimates, and not where the bytes of a token are learned.

export interface InputSize {
  /** The request without its encoded data. */
  readonly textBytes: number;
  /** For all parts that are not text, wherever their data is. */
  readonly binaryTokens: number;
}

export const noInput: InputSize = { textBytes: 0, binaryTokens: 0 };

/** About what models take for one part: a picture of a megapixel, half a minute of sound or film, some pages. */
const tokensOf = { image: 1_200, audio: 1_500, video: 6_000, file: 3_000 } as const;
type Kind = keyof typeof tokensOf;

type Fields = Readonly<Record<string, unknown>>;

/** Deeper parts are no dialect's: a tool's result holds a document, which holds a picture. */
const depthMax = 5;

/**
 * Measures a chat completion, a message or a response by the structure of its parts; text that merely looks like encoded
 * data stays text. `fields`: the request as parsed JSON. `byteCount`: of the whole body.
 */
export function measureInput(fields: Fields, byteCount: number): InputSize {
  const found = { dataBytes: 0, tokens: 0 };
  for (const list of [fields.messages, fields.input, fields.system]) visit(list, found, depthMax);
  return { textBytes: Math.max(0, byteCount - found.dataBytes), binaryTokens: found.tokens };
}

interface Found {
  dataBytes: number;
  tokens: number;
}

/** Messages, items and parts have their own parts under `content` or `output`. */
function visit(value: unknown, found: Found, depth: number): void {
  if (depth === 0) return;
  if (Array.isArray(value)) {
    for (const item of value) visit(item, found, depth);
    return;
  }
  if (!isFields(value)) return;
  const part = readPart(value);
  if (part !== null) {
    found.tokens += tokensOf[part.kind];
    if (typeof part.data === "string" && !/^https?:/i.test(part.data)) found.dataBytes += part.data.length;
    return;
  }
  visit(value.content, found, depth - 1);
  visit(value.output, found, depth - 1);
  if (value.type === "document" && isFields(value.source)) visit(value.source.content, found, depth - 1);
}

interface BinaryPart {
  readonly kind: Kind;
  /** Encoded, or an address. */
  readonly data: unknown;
}

/** Null: text, or something that holds other parts. */
function readPart({ type, ...part }: Fields): BinaryPart | null {
  switch (type) {
    case "image_url":
    case "input_image":
    case "computer_screenshot":
      return { kind: "image", data: urlIn(part.image_url) };
    case "image":
      return { kind: "image", data: isFields(part.source) ? part.source.data : urlIn(part.image_url ?? part.image) };
    case "video_url":
    case "video":
    case "input_video":
      return { kind: "video", data: urlIn(part.video_url ?? part.video) };
    case "input_audio":
    case "audio_url":
    case "audio":
      return { kind: "audio", data: isFields(part.input_audio) ? part.input_audio.data : urlIn(part.audio_url) };
    case "file":
    case "input_file":
    case "file_url":
      return {
        kind: "file",
        data: isFields(part.file) ? part.file.file_data : (part.file_data ?? urlIn(part.file_url)),
      };
    case "document":
      return isFields(part.source) && (part.source.type === "text" || part.source.type === "content")
        ? null
        : { kind: "file", data: isFields(part.source) ? part.source.data : null };
    default:
      return null;
  }
}

function urlIn(value: unknown): unknown {
  return isFields(value) ? value.url : value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
