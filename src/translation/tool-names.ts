// Names of tools that stand in a namespace (an MCP server's, for example), for chats, which have plain names only.

import { createHash } from "node:crypto";

export interface NamespacedTool {
  readonly namespace: string;
  readonly name: string;
}

/** Longest function name that OpenAI's reference allows. */
const nameCharactersMax = 64;
const hashCharacters = 8;

/** The names of one request's tools. The same request gives the same names. */
export class ToolNames {
  readonly #toolByFlat = new Map<string, NamespacedTool | null>();
  readonly #flatByTool = new Map<string, string>();

  /** A tool without a namespace: it keeps its name, and no other tool gets it. */
  reserve(name: string): void {
    if (!this.#toolByFlat.has(name)) this.#toolByFlat.set(name, null);
  }

  /** The tool's name in the chat: unique, at most 64 characters of `[A-Za-z0-9_-]`. */
  flatten(tool: NamespacedTool): string {
    const key = JSON.stringify([tool.namespace, tool.name]);
    const known = this.#flatByTool.get(key);
    if (known !== undefined) return known;
    const plain = `${tool.namespace.replace(/_+$/, "")}__${tool.name}`.replace(/[^\w-]/g, "_");
    const isFree = plain.length <= nameCharactersMax && !this.#toolByFlat.has(plain);
    const flat = isFree ? plain : shorten(plain, key);
    this.#flatByTool.set(key, flat);
    this.#toolByFlat.set(flat, tool);
    return flat;
  }

  /** The tool that a name in the chat stands for; null: one without a namespace. */
  find(flat: string): NamespacedTool | null {
    return this.#toolByFlat.get(flat) ?? null;
  }
}

function shorten(plain: string, key: string): string {
  const hash = createHash("sha256").update(key).digest("hex").slice(0, hashCharacters);
  return `${plain.slice(0, nameCharactersMax - hashCharacters - 1)}_${hash}`;
}
