// Text that both databases keep alike. PostgreSQL refuses U+0000 in a text, and half of a character (a lone surrogate)
// has no UTF-8: both become U+FFFD, here and nowhere else, for whatever is written or searched.

export function toStorableText(text: string): string {
  return (text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text).toWellFormed();
}

export function toStorableParameters(parameters: readonly unknown[]): unknown[] {
  return parameters.map((value) => (typeof value === "string" ? toStorableText(value) : value));
}
