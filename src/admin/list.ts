// Lists in pages: how they are asked for and how they are answered.

import { z } from "@hono/zod-openapi";
import { encodeCursor } from "./cursor.ts";

const pageSizeMax = 200;
const pageSizeDefault = 50;

/** The fields of every list's query. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `a whole number from 1 to ${pageSizeMax}`)
    .transform(Number)
    .pipe(z.int().min(1).max(pageSizeMax))
    .default(pageSizeDefault)
    .openapi({
      type: "integer",
      minimum: 1,
      maximum: pageSizeMax,
      default: pageSizeDefault,
      description: "Items a page",
    }),
  cursor: z.string().min(1).max(1_024).optional().openapi({ description: "`next_cursor` of the page before" }),
};

export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    next_cursor: z.string().nullable().openapi({ description: "Asks for the next page; null: this was the last" }),
  });
}

export interface Page<Item> {
  readonly data: readonly Item[];
  /** What the last item is known by, when others follow. */
  readonly nextAfter: string | null;
}

/** Of one more item than fits: it says that there is a next page. */
export function toPage<Item>(items: readonly Item[], limit: number, keyOf: (item: Item) => string): Page<Item> {
  const data = items.slice(0, limit);
  const last = data.at(-1);
  return { data, nextAfter: items.length > limit && last !== undefined ? keyOf(last) : null };
}

/** A page of what is in memory, in the order of `keyOf`. */
export function pageOf<Item>(items: readonly Item[], { limit, after, keyOf, matches }: PageWish<Item>): Page<Item> {
  const found: Item[] = [];
  for (let index = after === null ? 0 : findAfter(items, after, keyOf); index < items.length; index++) {
    const item = items[index] as Item;
    if (matches(item) && found.push(item) > limit) break;
  }
  return toPage(found, limit, keyOf);
}

export interface PageWish<Item> {
  readonly limit: number;
  readonly after: string | null;
  keyOf(item: Item): string;
  matches(item: Item): boolean;
}

/** The first index whose key is greater, by halving. */
function findAfter<Item>(items: readonly Item[], after: string, keyOf: (item: Item) => string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyOf(items[middle] as Item) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function toList<Item, Json>({ data, nextAfter }: Page<Item>, list: string, toJson: (item: Item) => Json) {
  return { data: data.map(toJson), next_cursor: nextAfter === null ? null : encodeCursor(list, nextAfter) };
}
