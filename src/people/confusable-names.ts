// Names that look alike (UTS #39): letters of several alphabets in one name, and names that differ from another only by
// letters which readers take for each other. Not all of Unicode's table: its letters of the alphabets that names here mix.

/** Latin letters and digits, by the letters of other alphabets that look like them. */
// Escaped, since nobody could tell them apart.
const lookalikes: Readonly<Record<string, string>> = {
  a: "\u0430\u0251\u03b1",
  b: "\u042c\u0185",
  c: "\u0441\u03f2",
  d: "\u0501",
  e: "\u0435\u04bd",
  f: "\u0493",
  g: "\u0261\u0581",
  h: "\u04bb\u0570",
  i: "\u0456\u03b9\u0131\u0269",
  j: "\u0458\u03f3",
  k: "\u043a\u03ba",
  l: "1I\u0399\u0406\u04c0\u05d5\u217c",
  m: "\u043c",
  n: "\u0578\u043f",
  o: "\u043e\u03bf\u03c3\u0585\u05e1\u1d0f",
  p: "\u0440\u03c1",
  q: "\u051b\u0566",
  r: "\u0433\u1d26",
  s: "\u0455",
  t: "\u0442\u03c4",
  u: "\u03c5\u057d\u0446",
  v: "\u0475\u03bd\u05d8",
  w: "\u051d\u0448\u0461\u03c9",
  x: "\u0445\u03c7",
  y: "\u0443\u04af\u03b3",
  z: "\u1d22",
  A: "\u0410\u0391",
  B: "\u0412\u0392",
  C: "\u0421\u03f9",
  E: "\u0415\u0395",
  F: "\u03dc",
  G: "\u050c",
  H: "\u041d\u0397",
  J: "\u0408\u037f",
  K: "\u041a\u039a",
  M: "\u041c\u039c",
  N: "\u039d",
  O: "0\u041e\u039f\u0555",
  P: "\u0420\u03a1",
  Q: "\u051a",
  S: "\u0405\u054f",
  T: "\u0422\u03a4",
  U: "\u054d",
  V: "\u0474",
  W: "\u051c",
  X: "\u0425\u03a7",
  Y: "\u04ae\u03a5",
  Z: "\u0396",
};

const latinFor = new Map(
  Object.entries(lookalikes).flatMap(([latin, others]) => [...others].map((one) => [one, latin])),
);

/** Alphabets that have letters like those of another. What is of none of them (Chinese, say) goes with each. */
const alphabets = ["Latin", "Cyrillic", "Greek", "Armenian", "Hebrew", "Cherokee", "Coptic", "Deseret", "Lisu"].map(
  (name) => new RegExp(`^\\p{Script=${name}}$`, "u"),
);

/** Whether it has letters of two alphabets that have letters alike, or letters in disguise (fullwidth, mathematical). */
export function mixesAlphabets(name: string): boolean {
  const used = new Set(Array.from(name, (character) => alphabets.findIndex((alphabet) => alphabet.test(character))));
  used.delete(-1);
  return used.size > 1 || name.normalize("NFKC") !== name;
}

/** The same for names that look the same. */
export function toSkeleton(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name) && !/[01I]/.test(name)) return name;
  return Array.from(name.normalize("NFKC"), (character) => latinFor.get(character) ?? character).join("");
}
