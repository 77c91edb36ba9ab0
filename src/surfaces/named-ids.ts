// The fields by which requests name objects that live upstream, in GLM's reference and in OpenAI's. Wherever one stands in
// a body, its id has to be the caller's: a field that is spelled in another way, comes twice or holds something else than
// an id is refused, since another reader might see an id that was not checked.

import { Refusal } from "../base/refusal.ts";
import { noObjectUse, type ObjectUse } from "./endpoint.ts";
import { foldName } from "./names.ts";

/** "list": several ids. "voice": an id, or the name of a voice that everybody has. */
type FieldKind = "id" | "list" | "voice";

export const idFields: ReadonlyMap<string, FieldKind> = new Map([
  ["file_id", "id"],
  ["file_ids", "list"],
  ["input_file_id", "id"],
  ["training_file", "id"],
  ["validation_file", "id"],
  ["async_id", "id"],
  ["task_id", "id"],
  ["batch_id", "id"],
  ["conversation_id", "id"],
  ["knowledge_id", "id"],
  ["knowledge_ids", "list"],
  ["document_id", "id"],
  ["voice_id", "id"],
  ["voice", "voice"],
]);

export interface NamedIds {
  /** They have to be the caller's. */
  readonly uses: readonly string[];
  /** They have to be the caller's, unless they are names that the upstream has for everybody. */
  readonly voices: readonly string[];
}

export const noIds: NamedIds = { uses: [], voices: [] };

/** GLM's own voices, and others', have plain names; ids of cloned ones have digits and marks in them. */
export const systemVoicePattern = /^[A-Za-z]{1,32}$/;

const canonicalNames: ReadonlyMap<string, string> = new Map(
  Array.from(idFields.keys(), (name): [string, string] => [foldName(name), name]),
);

/** The field that some reader may take this name for, or undefined. */
export function findIdField(name: string): string | undefined {
  return canonicalNames.get(foldName(name));
}

export const isFoldedIdField = (folded: string): boolean => canonicalNames.has(folded);
export const idFieldCharactersMin = Math.min(...Array.from(idFields.keys(), ({ length }) => length));

/** Below these stands what users and models have written, or schemas: no upstream looks for ids there. */
const freeMembers: ReadonlySet<string> = new Set([
  "parameters",
  "input_schema",
  "input_examples",
  "json_schema",
  "arguments",
  "metadata",
]);

/**
 * The ids in a parsed body. `count`: how many names of id fields its text has; those that the parsed body doesn't show
 * were replaced by a repeated member. `moreFree`: further members below which there are none. Throws `invalid_field`.
 */
export function readIds(fields: object, count: number, moreFree: readonly string[] = []): NamedIds {
  if (count === 0) return noIds;
  const uses: string[] = [];
  const voices: string[] = [];
  let seen = 0;
  const visit = (value: unknown, isFree: boolean): void => {
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) {
      for (const item of value) visit(item, isFree);
      return;
    }
    for (const [name, member] of Object.entries(value)) {
      const field = findIdField(name);
      if (field !== undefined) seen++;
      if (field !== undefined && !isFree) take(name, field, member);
      else visit(member, isFree || freeMembers.has(name) || moreFree.includes(name));
    }
  };
  const take = (name: string, field: string, value: unknown): void => {
    requireSpelling(name, field);
    if (value === null) return;
    const kind = idFields.get(field) as FieldKind;
    if (kind === "list") uses.push(...requireList(field, value));
    else (kind === "voice" ? voices : uses).push(requireId(field, value));
  };
  visit(fields, false);
  if (seen !== count) throw invalidId("a field that names an object", "it comes more than once");
  return { uses, voices };
}

export function requireSpelling(name: string, field: string): void {
  if (name !== field) throw invalidId(field, `it must be spelled "${field}"`);
}

export function requireId(field: string, value: unknown): string {
  if (typeof value !== "string" || value === "") throw invalidId(field, "it must be an id, as a string");
  return value;
}

function requireList(field: string, value: unknown): string[] {
  if (!Array.isArray(value)) throw invalidId(field, "it must be a list of ids");
  return value.map((id) => requireId(field, id));
}

function invalidId(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}

/** Of a call that only names objects; null: it names none. */
export function toObjectUse({ uses, voices }: NamedIds): ObjectUse | null {
  return uses.length === 0 && voices.length === 0 ? null : { ...noObjectUse, kind: "file", uses, voices };
}
