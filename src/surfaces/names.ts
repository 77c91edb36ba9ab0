// Names of fields as the most lenient reader compares them: upstreams that ignore case, Unicode's forms or separators
// may take one name for another, and what the gateway has checked would not be what they read.

const plainName = /^[a-z0-9_]*$/;
const separators = /[\s_.-]+/g;

export function foldName(name: string): string {
  if (plainName.test(name)) return name.replaceAll("_", "");
  const folded = name.normalize("NFKC").toUpperCase().toLowerCase();
  return folded.replace(/\p{M}/gu, "").replace(separators, "");
}
