// Names in which `*` stands for any run of characters, the empty one included. Nothing else is special.

/** Says which names a pattern stands for. Upper and lower case differ. */
export function compilePattern(pattern: string): (name: string) => boolean {
  const [prefix = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return (name) => name === pattern;
  const suffix = rest.pop() as string;
  return (name) => {
    if (name.length < prefix.length + suffix.length || !name.startsWith(prefix) || !name.endsWith(suffix)) return false;
    let from = prefix.length;
    const end = name.length - suffix.length;
    for (const part of rest) {
      const at = name.indexOf(part, from);
      if (at === -1 || at + part.length > end) return false;
      from = at + part.length;
    }
    return true;
  };
}
