// The models that a caller may use, as OpenAI's and as Anthropic's clients list them. Our own list: GLM's is incomplete,
// and knows nothing of aliases and of who may use what.

import type { Caller } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import type { IdentifiedRoute } from "./routes.ts";

export interface ListedModels {
  /** Names that the caller may use, aliases among them. */
  list(caller: Caller): readonly string[];
}

const json = "application/json; charset=utf-8";
/** A model's age is nothing that clients use; it only has to be there. */
const createdSeconds = 1_700_000_000;

export function createModelsRoute(models: ListedModels): IdentifiedRoute {
  return {
    access: "identified",
    handle({ request, reply, caller, path }) {
      const isAnthropic = request.headers["anthropic-version"] !== undefined || path.startsWith("/api/anthropic/");
      const names = models.list(caller);
      const wanted = /\/models\/(.+)$/.exec(path)?.[1];
      const describe = isAnthropic ? describeForAnthropic : describeForOpenAi;
      if (wanted === undefined) {
        reply.send(200, json, JSON.stringify(isAnthropic ? listForAnthropic(names) : listForOpenAi(names)));
        return;
      }
      const name = names.find((known) => known === decode(wanted));
      if (name === undefined) throw new Refusal("not_found", { detail: "there is no such model, or not for you" });
      reply.send(200, json, JSON.stringify(describe(name)));
    },
  };
}

/** Null for an escape that stands for no character. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function listForOpenAi(names: readonly string[]): object {
  return { object: "list", data: names.map(describeForOpenAi) };
}

function describeForOpenAi(id: string): object {
  return { id, object: "model", created: createdSeconds, owned_by: "glm-proxy" };
}

/** All on one page: there are never so many. */
function listForAnthropic(names: readonly string[]): object {
  const data = names.map(describeForAnthropic);
  return { data, has_more: false, first_id: names[0] ?? null, last_id: names.at(-1) ?? null };
}

function describeForAnthropic(id: string): object {
  const created_at = new Date(createdSeconds * 1_000).toISOString();
  return { type: "model", id, display_name: id, created_at };
}
