// "Did you mean": the known name that a mistyped one most likely stands for.

const distanceMax = 2;
const sharedLengthMin = 4;

/** A name at most two edits away; else one that begins with the same word or contains the name; else null. */
export function findNearest(name: string, known: readonly string[]): string | null {
  const ranked = known
    .map((candidate) => ({ candidate, distance: measureDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const nearest = ranked[0];
  // Two edits turn any short name into any other.
  if (nearest && nearest.distance <= Math.min(distanceMax, Math.floor(name.length / 2))) return nearest.candidate;
  const similar = ranked.find(({ candidate }) => sharesWord(name, candidate));
  return similar?.candidate ?? null;
}

function sharesWord(name: string, candidate: string): boolean {
  if (name.length >= sharedLengthMin && candidate.includes(name)) return true;
  const [firstWord = ""] = name.split("_");
  return firstWord.length >= sharedLengthMin && candidate.startsWith(`${firstWord}_`);
}

/** Levenshtein's distance: insertions, deletions and replacements between two names. */
export function measureDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, at(row, j) + 1, at(next, j - 1) + 1));
    }
    row = next;
  }
  return at(row, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
