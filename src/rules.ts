// What the configuration says about single calls: names and times. Rebuilt as a whole at each reload.

import { compilePattern } from "./base/name-pattern.ts";
import type { Caller } from "./base/principal.ts";
import { Refusal } from "./base/refusal.ts";
import type { CallTimeouts } from "./deadline.ts";
import type { CallRequest, Endpoint } from "./surfaces/endpoint.ts";

/** A large upload may take so much longer than other calls. */
const uploadMsMax = 600_000;

export interface CallRules {
  /** Model names that clients use, to those that the upstream knows. */
  readonly aliases: ReadonlyMap<string, string>;
  timeoutsFor(request: Pick<CallRequest, "model" | "upload">): CallTimeouts;
  /** Throws `model_not_allowed` or `jobs_not_allowed` when the caller may not use it, whatever its request says. */
  requireEndpoint(caller: Pick<Caller, "models" | "lacksJobs">, endpoint: Pick<Endpoint, "ownName" | "runsJobs">): void;
  /** Throws `model_not_allowed` when the caller's API key is not for this model. */
  requireModel(caller: Pick<Caller, "models">, model: string): void;
  allowsModel(caller: Pick<Caller, "models">, model: string): boolean;
  /** Whether answers of this model are kept unasked. */
  cachesModel(model: string): boolean;
  /** What may answer in this model's place, in this order. */
  fallbacksOf(model: string): readonly string[];
}

export interface ModelRule {
  /** A model's name in which `*` stands for any run of characters. */
  readonly pattern: string;
  readonly timeouts: Partial<CallTimeouts>;
}

/** The first rule whose pattern matches a model overrides the defaults, field by field. */
export function createCallRules(
  defaults: CallTimeouts,
  rules: readonly ModelRule[],
  aliases: ReadonlyMap<string, string>,
  fallbacks: ReadonlyMap<string, readonly string[]> = new Map(),
  cachedModels: readonly string[] = [],
): CallRules {
  const compiled = rules.map(({ pattern, timeouts }) => ({
    matches: compilePattern(pattern),
    timeouts: { ...defaults, ...timeouts },
  }));
  function allowsModel({ models }: Pick<Caller, "models">, model: string): boolean {
    return models === null || models.some((pattern) => compilePattern(pattern)(model));
  }

  function requireModel(caller: Pick<Caller, "models">, model: string): void {
    if (allowsModel(caller, model)) return;
    throw new Refusal("model_not_allowed", { detail: `it may use ${caller.models?.join(", ") || "none"}` });
  }

  return {
    aliases,
    allowsModel,
    requireEndpoint(caller, { ownName, runsJobs }) {
      if (ownName !== null) requireModel(caller, ownName);
      if (runsJobs && caller.lacksJobs !== null) throw new Refusal("jobs_not_allowed", { scope: caller.lacksJobs });
    },
    requireModel,
    cachesModel: (model) => cachedModels.some((pattern) => compilePattern(pattern)(model)),
    fallbacksOf: (model) => fallbacks.get(model) ?? [],
    timeoutsFor({ model, upload }) {
      const timeouts = compiled.find(({ matches }) => matches(model))?.timeouts ?? defaults;
      // How long an upload takes is its client's affair; that it goes on is watched where it is received.
      if (upload === null) return timeouts;
      const { totalMs, firstByteMs, idleMs } = timeouts;
      return {
        totalMs: totalMs + uploadMsMax,
        firstByteMs: firstByteMs === null ? null : firstByteMs + uploadMsMax,
        idleMs,
      };
    },
  };
}
