// A list of objects as its caller may see it: made anew of the caller's own objects. Nothing else of the upstream's answer
// is taken over, so that neither others' objects nor facts about them, such as how many there are, are left in it.

import type { WholeAnswer } from "./base/answer.ts";
import { Refusal } from "./base/refusal.ts";
import type { UpstreamObject } from "./objects/objects.ts";
import type { ListWish } from "./surfaces/endpoint.ts";

export interface Listed {
  readonly [name: string]: unknown;
}

/** What an upstream lists, and the members around it that its dialect puts them in. */
interface Found {
  readonly items: readonly Listed[];
  wrap(own: readonly Listed[]): object;
}

/** The objects in an answer. Throws `upstream_unexpected` where there is no list. */
export function findList(parsed: unknown, at: ListWish["at"]): Found {
  const answer = toFields(parsed);
  if (at === "conversation_list") {
    const { assistant_id: assistant } = toFields(answer.data);
    const wrap = (own: readonly Listed[]) => {
      const data = { assistant_id: typeof assistant === "string" ? assistant : null, has_more: false };
      return { code: 200, msg: "success", data: { ...data, conversation_list: own } };
    };
    return { items: toItems(toFields(answer.data).conversation_list), wrap };
  }
  if (at === "voice_list") return { items: toItems(answer.voice_list), wrap: (own) => ({ voice_list: own }) };
  if (at === "data") return { items: toItems(answer.data), wrap: (own) => ({ object: "list", data: own }) };
  if (answer.list !== undefined) {
    return { items: toItems(answer.list), wrap: (own) => ({ object: "list", list: own, total: own.length }) };
  }
  const wrap = (own: readonly Listed[]) => ({ code: 200, message: "success", data: { list: own, total: own.length } });
  return { items: toItems(toFields(answer.data).list), wrap };
}

/** By which an item is known, or null. */
export function idOf(item: Listed): string | null {
  const id = item.id ?? item.voice ?? item.conversation_id;
  return typeof id === "string" ? id : null;
}

/**
 * The answer of the caller's items, in the upstream's order. `recorded`: the caller's objects of that kind, the newest
 * first: by them alone it is said whether there are more.
 */
export function composeList(
  found: Found,
  own: readonly Listed[],
  wish: ListWish,
  recorded: readonly UpstreamObject[],
): object {
  const shown = own.slice(0, wish.limit);
  if (wish.at !== "data") return found.wrap(shown);
  const ids = shown.map(idOf);
  const ends = { first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null };
  return {
    ...found.wrap(shown),
    ...ends,
    has_more: own.length > shown.length || hasBeyond(ids.at(-1), wish, recorded),
  };
}

/** As the upstream gave it, but for what goes beyond the page that was asked for: larger ones are asked for upstream. */
export function cutList(answer: WholeAnswer, { at, limit }: ListWish): WholeAnswer {
  const { data } = toFields(answer.parsed);
  if (at !== "data" || !Array.isArray(data) || data.length <= limit) return answer;
  const shown = data.slice(0, limit) as Listed[];
  const parsed = { ...toFields(answer.parsed), data: shown, last_id: idOf(shown.at(-1) ?? {}), has_more: true };
  return { ...answer, parsed, body: Buffer.from(JSON.stringify(parsed)) };
}

function hasBeyond(lastId: string | null | undefined, wish: ListWish, recorded: readonly UpstreamObject[]): boolean {
  if (lastId === undefined) return false;
  const ordered = wish.isOldestFirst ? recorded.toReversed() : recorded;
  const at = ordered.findIndex(({ id }) => id === lastId);
  return at !== -1 && at < ordered.length - 1;
}

/** Null stands for none in some dialects. */
function toItems(value: unknown): Listed[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new Refusal("upstream_unexpected", { detail: "it lists nothing" });
  return value.filter((item): item is Listed => typeof item === "object" && item !== null);
}

function toFields(value: unknown): Listed {
  return typeof value === "object" && value !== null ? (value as Listed) : {};
}
