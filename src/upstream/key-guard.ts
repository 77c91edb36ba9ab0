// Keeps the upstream key from leaving by the upstream's answers: masks it where only words are kept, and finds it in
// bytes that are passed on. Looks for the key and its parts, as they are and as other encodings write them.

export interface KeyGuard {
  /** With asterisks in the place of the key and of each part of it. */
  mask(text: string): string;
  /** For the bytes of one answer, in order. */
  openSearch(): KeySearch;
}

export interface KeySearch {
  /** Whether the key, or a part of it, is in the bytes so far. */
  finds(chunk: Buffer): boolean;
}

/** Shorter parts are no secret, and masking them would mangle words. */
const maskedCharactersMin = 6;
/** What ends a good answer must look like chance: "lm-studio" is what some call their key, and a word. */
const tellingCharactersMin = 10;
const randomCharactersMin = 24;
const escapePattern = /\\u00([2-7][0-9a-f])|\\\//gi;

export function createKeyGuard(apiKey: string): KeyGuard {
  const parts = splitKey(apiKey);
  const masked = parts.filter(({ length }) => length >= maskedCharactersMin).flatMap(encode);
  const telling = parts.filter(isTelling).flatMap(encode);
  // What is found within another form need not be searched for.
  const searched = telling.filter((form) => !telling.some((other) => other !== form && form.includes(other)));
  const longest = Math.max(0, ...searched.map(({ length }) => length));
  return {
    mask: (text) => masked.reduce((result, form) => result.replaceAll(form, "***"), text),
    openSearch: () => new FormSearch(searched, longest),
  };
}

/** The key, then its parts: GLM's are divided by a point, others in the middle. */
function splitKey(apiKey: string): string[] {
  const divided = apiKey.split(".");
  if (divided.length > 1) return [apiKey, ...divided];
  const middle = apiKey.length >> 1;
  return apiKey.length < randomCharactersMin ? [apiKey] : [apiKey, apiKey.slice(0, middle), apiKey.slice(middle)];
}

function isTelling(part: string): boolean {
  const classCount = [/[a-z]/, /[A-Z]/, /\d/].filter((pattern) => pattern.test(part)).length;
  return part.length >= randomCharactersMin || (part.length >= tellingCharactersMin && classCount > 1);
}

/** As it is, in URLs, and in base64 at each of the three places where it may begin in what was encoded. */
function encode(part: string): string[] {
  const inUrls = encodeURIComponent(part);
  const inBase64 = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.from("\0".repeat(offset) + part).toString("base64");
    // Without the characters that depend on what stands before and after.
    const core = text.slice([0, 2, 3][offset], Math.floor(((offset + part.length) * 8) / 6));
    return [core, core.replaceAll("+", "-").replaceAll("/", "_")];
  });
  return [...new Set([part, inUrls, inUrls.replace(/%../g, (code) => code.toLowerCase()), ...inBase64])];
}

class FormSearch implements KeySearch {
  readonly #forms: readonly string[];
  /** What may have begun before a chunk: each character may be an escape of six. */
  readonly #overlap: number;
  #tail = "";

  constructor(forms: readonly string[], longest: number) {
    this.#forms = forms;
    this.#overlap = 6 * longest;
  }

  finds(chunk: Buffer): boolean {
    if (this.#overlap === 0) return false;
    // One character for each byte: several searches in a string cost less than one pass of a regular expression.
    const text = this.#tail + chunk.toString("latin1");
    // No form has a line's end in it, and events end with one.
    this.#tail = text.endsWith("\n") ? "" : text.slice(-this.#overlap);
    return this.#isIn(text) || (text.includes("\\") && this.#isIn(decodeEscapes(text)));
  }

  #isIn(text: string): boolean {
    for (const form of this.#forms) if (text.includes(form)) return true;
    return false;
  }
}

/** Of JSON's escapes those that stand for printable ASCII. */
function decodeEscapes(text: string): string {
  return text.replace(escapePattern, (escaped, code?: string) =>
    code === undefined ? (escaped[1] as string) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
