// The kinds of values that keys of the configuration can have: a zod schema, the words that say what is allowed,
// and how an environment variable spells it. Knows no key; the keys are in schema.ts. Only here zod is imported.

import * as z from "zod/mini";

export interface ValueType<Value = unknown> {
  readonly schema: z.ZodMiniType<Value>;
  /** Completes "must be …", in problems and in the documentation. */
  readonly words: string;
  /** How a text (environment variable, flag) becomes such a value; `json` for lists and tables. */
  readonly spelling: "text" | "number" | "boolean" | "json";
  /** Type of the elements of a list or of a table with free names. */
  readonly item?: ValueType;
  readonly isList?: true;
  /** Keys of a table with fixed names. */
  readonly rules?: TableRules;
}

/** `masked` shows the end of a long secret, `hidden` nothing of it. */
export type Secrecy = "open" | "masked" | "hidden";

export interface KeyRule<Value = unknown> {
  readonly type: ValueType<Value>;
  readonly description: string;
  /** undefined: the key has no default. */
  readonly fallback: Value | undefined;
  readonly isRequired: boolean;
  readonly secrecy: Secrecy;
}

export type TableRules = Readonly<Record<string, KeyRule>>;

/** What a table with these rules holds once validated. */
export type Content<Rules extends TableRules> = {
  readonly [Name in keyof Rules]: Rules[Name] extends KeyRule<infer Value> ? Value : never;
};

/** One thing that is wrong with a value, before it is known where the value was written. */
export interface Issue {
  readonly path: readonly (string | number)[];
  /** `value`: not of its type; `unknown`: no such key; `rule`: the message says it all. */
  readonly kind: "value" | "unknown" | "rule";
  readonly message: string;
}

export function key<Value>(
  type: ValueType<Value>,
  description: string,
  options: { fallback: NoInfer<Value>; secrecy?: Secrecy },
): KeyRule<Value>;
export function key<Value>(
  type: ValueType<Value>,
  description: string,
  options?: { secrecy?: Secrecy },
): KeyRule<Value | undefined>;
export function key<Value>(
  type: ValueType<Value>,
  description: string,
  { fallback, secrecy = "open" }: { fallback?: Value; secrecy?: Secrecy } = {},
): KeyRule<Value | undefined> {
  return { type, description, fallback, isRequired: false, secrecy };
}

export function requiredKey<Value>(type: ValueType<Value>, description: string): KeyRule<Value> {
  return { type, description, fallback: undefined, isRequired: true, secrecy: "open" };
}

export function wholeNumber(min: number, max: number): ValueType<number> {
  return bounded(`a whole number from ${min} to ${max}`, z.int, min, max);
}

export function decimal(min: number, max: number, noun = "number"): ValueType<number> {
  return bounded(`a ${noun} from ${min} to ${max}`, z.number, min, max);
}

export function boolean(): ValueType<boolean> {
  const words = "true or false";
  return { schema: z.boolean({ error: `must be ${words}` }), words, spelling: "boolean" };
}

export function text(words: string, isFine: (text: string) => boolean): ValueType<string> {
  const error = `must be ${words}`;
  return { schema: z.string({ error }).check(z.refine(isFine, { error })), words, spelling: "text" };
}

export function oneOf<const Choice extends string>(choices: readonly Choice[]): ValueType<Choice> {
  const words = `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`;
  return { schema: z.enum(choices, { error: `must be ${words}` }), words, spelling: "text" };
}

export function listOf<Item>(item: ValueType<Item>, countMax: number): ValueType<readonly Item[]> {
  const words = `a list of at most ${countMax} entries`;
  const error = `must be ${words}`;
  const schema = z.array(item.schema, { error }).check(z.maxLength(countMax, { error }));
  return { schema, words, spelling: "json", item, isList: true };
}

/** A table whose names are free, such as model patterns. */
export function mapOf<Item>(item: ValueType<Item>): ValueType<Readonly<Record<string, Item>>> {
  const words = "a table";
  return {
    schema: z.record(z.string(), item.schema, { error: `must be ${words}` }),
    words,
    spelling: "json",
    item,
  };
}

/** A table with fixed names: another name is an issue. */
export function tableOf<Rules extends TableRules>(rules: Rules): ValueType<Content<Rules>> {
  const words = "a table";
  const shape = Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, toMember(rule)]));
  const schema = z.strictObject(shape, { error: `must be ${words}` });
  return { schema: schema as unknown as z.ZodMiniType<Content<Rules>>, words, spelling: "json", rules };
}

/** The value with its defaults filled in, or everything that is wrong with it. */
export function validate<Value>(
  type: ValueType<Value>,
  input: unknown,
): { value: Value; issues: [] } | { value: null; issues: Issue[] } {
  const result = type.schema.safeParse(input);
  return result.success
    ? { value: result.data, issues: [] }
    : { value: null, issues: result.error.issues.flatMap(toIssues) };
}

function toIssues(issue: z.core.$ZodIssue): Issue[] {
  const path = issue.path as (string | number)[];
  if (issue.code !== "unrecognized_keys") return [{ path, kind: "value", message: issue.message }];
  return issue.keys.map((name) => ({ path: [...path, name], kind: "unknown", message: "is not known" }));
}

function toMember(rule: KeyRule): z.ZodMiniType {
  if (rule.fallback !== undefined) return z._default(rule.type.schema, rule.fallback);
  return rule.isRequired ? rule.type.schema : z.optional(rule.type.schema);
}

function bounded(
  words: string,
  base: (params: { error: string }) => z.ZodMiniNumber,
  min: number,
  max: number,
): ValueType<number> {
  const error = `must be ${words}`;
  return { schema: base({ error }).check(z.gte(min, { error }), z.lte(max, { error })), words, spelling: "number" };
}
