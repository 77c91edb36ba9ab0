// Whether a request is to be answered always the same, so that one answer may serve for all that are like it.

/** By what it says of sampling; embeddings have nothing to say. */
export function isDeterministic(fields: Readonly<Record<string, unknown>>): boolean {
  return fields.temperature === 0 || fields.do_sample === false;
}
