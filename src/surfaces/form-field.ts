// Finds a short field in the beginning of a multipart form (RFC 7578), without touching the form.

const valueBytesMax = 256;
const fieldsMax = 100;

/** The field's text; null when it is not among the bytes, or longer than a name. */
export function findFormField(bytes: Buffer, contentType: string, name: string): string | null {
  const boundary = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))/i.exec(contentType);
  if (!boundary) return null;
  const delimiter = Buffer.from(`--${boundary[1] ?? boundary[2]}`, "latin1");
  let at = bytes.indexOf(delimiter);
  for (let count = 0; at !== -1 && count < fieldsMax; count++) {
    const headEnd = bytes.indexOf("\r\n\r\n", at);
    if (headEnd === -1) return null;
    const next = bytes.indexOf(delimiter, headEnd);
    const head = bytes.toString("latin1", at, headEnd);
    // A field that is cut off at the end of the bytes has no end to be read to.
    if (next !== -1 && next - headEnd <= valueBytesMax + 6 && isNamed(head, name)) {
      return bytes.toString("utf8", headEnd + 4, next - 2);
    }
    at = next;
  }
  return null;
}

function isNamed(head: string, name: string): boolean {
  const disposition = /^content-disposition:\s*form-data\b(.*)$/im.exec(head)?.[1] ?? "";
  if (/;\s*filename\*?=/i.test(disposition)) return false;
  return new RegExp(`;\\s*name="?${name}"?\\s*(?:;|$)`, "i").test(disposition.trimEnd());
}
