// What the doctor finds: one line each, with one fix where something is to be done.

export interface Finding {
  /** ok · warn: it works, but not as it should or not for long · fail: it does not work */
  readonly level: "ok" | "warn" | "fail";
  readonly what: string;
  readonly text: string;
  /** A command, or what to change. Null: nothing is to be done. */
  readonly fix: string | null;
}

export function ok(what: string, text: string): Finding {
  return { level: "ok", what, text, fix: null };
}

export function warn(what: string, text: string, fix: string): Finding {
  return { level: "warn", what, text, fix };
}

export function fail(what: string, text: string, fix: string): Finding {
  return { level: "fail", what, text, fix };
}
