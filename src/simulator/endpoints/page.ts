// Lists in pages, as OpenAI has them: `limit` objects after the one that `after` names.

import type { KeptObject } from "../object-store.ts";

const pageMax = 1_000;

export function toPage(objects: readonly KeptObject[], query: URLSearchParams): object {
  const limit = Number(query.get("limit") ?? pageMax);
  const size = Number.isInteger(limit) && limit > 0 ? Math.min(limit, pageMax) : pageMax;
  const after = query.get("after");
  const start = after === null ? 0 : objects.findIndex(({ id }) => id === after) + 1;
  const shown = objects.slice(start, start + size);
  const ends = { first_id: shown[0]?.id ?? null, last_id: shown.at(-1)?.id ?? null };
  const hasMore = start + shown.length < objects.length;
  return { object: "list", data: shown.map(({ value }) => value), ...ends, has_more: hasMore };
}
