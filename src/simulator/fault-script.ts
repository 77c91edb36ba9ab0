// The faults still to come, in their order, and the check of those that arrive as JSON.

import { errorForms, type FaultDetails, type FaultName, faultDetails, type ScriptedFault } from "./faults.ts";

export interface FaultScript {
  add(faults: readonly ScriptedFault[]): void;
  /** A fault that strikes before the request is read, if that is what comes next. */
  takeEarly(call?: CallHead): ScriptedFault | null;
  /** The first fault that this call matches. */
  take(call: { readonly model: string; readonly isStream: boolean } & CallHead): ScriptedFault | null;
  /** How many calls are still to be disturbed. */
  readonly pendingCount: number;
  clear(): void;
}

/** What is known of a call before its body. */
export interface CallHead {
  readonly keyId?: string;
  readonly path?: string;
  /** It asks for something and does no work. */
  readonly isRead?: boolean;
}

const entriesMax = 10_000;

export function createFaultScript(): FaultScript {
  let entries: { readonly fault: ScriptedFault; times: number }[] = [];

  function takeWhere(matches: (fault: ScriptedFault) => boolean): ScriptedFault | null {
    const entry = entries.find(({ fault }) => matches(fault));
    if (!entry) return null;
    if (--entry.times <= 0) entries = entries.filter((other) => other !== entry);
    return entry.fault;
  }

  return {
    add(faults) {
      if (entries.length + faults.length > entriesMax) throw new RangeError(`a script holds ${entriesMax} faults`);
      entries = [...entries, ...faults.map((fault) => ({ fault, times: fault.times ?? 1 }))];
    },
    takeEarly: (head = {}) =>
      takeWhere((fault) => fault === entries[0]?.fault && isEarly(fault) && isForHead(fault, head)),
    take: ({ model, isStream, ...head }) =>
      takeWhere(
        (fault) =>
          !isEarly(fault) &&
          isForHead(fault, head) &&
          (fault.when?.model ?? model) === model &&
          (fault.when?.isStream ?? isStream) === isStream,
      ),
    get pendingCount() {
      return entries.reduce((sum, { times }) => sum + times, 0);
    },
    clear() {
      entries = [];
    },
  };
}

function isEarly({ fault }: ScriptedFault): boolean {
  return fault === "early400";
}

function isForHead({ when = {} }: ScriptedFault, { keyId, path = "", isRead = false }: CallHead): boolean {
  if (isRead && when.path === undefined) return false;
  return (when.keyId ?? keyId) === keyId && path.includes(when.path ?? "");
}

/** One fault or a list of them. Throws an Error that says what is wrong with it. */
export function parseFaults(value: unknown): ScriptedFault[] {
  return (Array.isArray(value) ? value : [value]).map(parseFault);
}

const detailTypes: Readonly<Record<keyof FaultDetails, "number" | "string" | "anything">> = {
  after: "number",
  code: "string",
  form: "string",
  status: "number",
  message: "string",
  contentType: "string",
  retryAfter: "number",
  reason: "string",
  location: "string",
  bytes: "number",
  ms: "number",
  raw: "anything",
};

function parseFault(value: unknown): ScriptedFault {
  const fields = (value ?? {}) as Record<string, unknown>;
  const name = fields.fault;
  if (typeof name !== "string" || !Object.hasOwn(faultDetails, name)) {
    throw new Error(`unknown fault ${JSON.stringify(name)}; known: ${Object.keys(faultDetails).join(", ")}`);
  }
  const details: readonly (keyof FaultDetails)[] = faultDetails[name as FaultName];
  const types = new Map<string, string>(details.map((detail) => [detail, detailTypes[detail]]));
  types.set("times", "number").set("when", "object").set("and", "object");
  for (const [key, given] of Object.entries(fields)) {
    if (key !== "fault") checkDetail(name, key, given, types);
  }
  checkCondition(name, (fields.when ?? {}) as Readonly<Record<string, unknown>>);
  if (fields.form !== undefined && !errorForms.some((form) => form === fields.form)) {
    throw new Error(`fault ${name}: form must be one of ${errorForms.join(", ")}, got ${JSON.stringify(fields.form)}`);
  }
  if (fields.and !== undefined) parseFault(fields.and);
  return fields as unknown as ScriptedFault;
}

/** A condition with a slip in it would hold for every call. */
function checkCondition(name: string, condition: Readonly<Record<string, unknown>>): void {
  const types = new Map([
    ["model", "string"],
    ["isStream", "boolean"],
    ["keyId", "string"],
    ["path", "string"],
  ]);
  for (const [key, given] of Object.entries(condition)) checkDetail(name, key, given, types);
}

function checkDetail(name: string, key: string, given: unknown, types: ReadonlyMap<string, string>): void {
  const type = types.get(key);
  if (type === undefined) {
    throw new Error(`fault ${name} takes no ${JSON.stringify(key)}; it takes: ${[...types.keys()].join(", ")}`);
  }
  const isFine = type === "anything" || (type === "number" ? isCount(given) : typeof given === type && given !== null);
  if (!isFine)
    throw new Error(
      `fault ${name}: ${key} must be ${type === "object" ? "an" : "a"} ${type}, got ${JSON.stringify(given)}`,
    );
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
