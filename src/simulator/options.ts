// How a simulator may be started, what it reports, and what can be done to it while it runs. Types only.

import type { Clock } from "../base/clock.ts";
import type { ScriptedFault } from "./faults.ts";
import type { GlmLanguage } from "./glm-errors.ts";
import type { LaneCount, Limits, Violation } from "./judge.ts";
import type { SeenCalls } from "./observations.ts";
import type { StreamProfile } from "./stream-shape.ts";

export interface SimulatorOptions {
  /** Default: 127.0.0.1 and a free port. */
  readonly host?: string;
  readonly port?: number;
  /** glm: all of GLM · openai: a server of one's own models, at /v1. Default: glm. */
  readonly flavour?: "glm" | "openai";
  /** Default: 1. All chance comes from it. */
  readonly seed?: number;
  /** `id.secret`. Default: ["sim.secret"]; with flavour openai, anything will do. */
  readonly apiKeys?: readonly string[];
  /** By a key's id, the account that it belongs to. Keys of one account share its limits and what it keeps. */
  readonly accounts?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Limits that it enforces and judges; null, the default, is none. */
  readonly concurrencyMax?: number | null;
  readonly requestsPerSecond?: number | null;
  /** The window in which arrivals are counted. Default: 1000. */
  readonly windowMs?: number;
  /** How long a call counts as in flight after its end. Default: 0. */
  readonly releaseLagMs?: number;
  /** The code that answers too many arrivals. Default: "1303". */
  readonly rateCode?: Limits["rateCode"];
  /** By a key's id, what replaces the limits above for its calls. */
  readonly limitsByKey?: Readonly<Record<string, Partial<Limits>>>;
  /** Calls that only ask (GET, DELETE) count towards the limits as well. Default: false. */
  readonly countsReads?: boolean;
  /** The shape of streams. Default: wire2026. */
  readonly profile?: StreamProfile;
  /** Before the first byte of an answer. Default: 30. */
  readonly firstTokenMs?: number;
  /** Between two frames. Default: 10. */
  readonly tokenMs?: number;
  /** How long tasks that are not answered at once take. Default: 200. */
  readonly taskMs?: number;
  /** Of error messages. Default: en. */
  readonly language?: GlmLanguage;
  /** There is an endpoint that counts the tokens of Anthropic's Messages. Default: true. */
  readonly countsTokens?: boolean;
  /** The models of flavour openai. Default: whatever is asked for. */
  readonly models?: readonly string[];
}

/** Goes through JSON unharmed. Times are milliseconds of the simulator's clock. */
export interface SimulatorReport extends SeenCalls {
  /** The first 10,000, oldest first. */
  readonly violations: readonly Violation[];
  readonly violationCount: number;
  /** Calls that only ask are not among them. */
  readonly inFlight: number;
  readonly inFlightMax: number;
  /** By account and model. */
  readonly lanes: readonly LaneCount[];
  readonly openSockets: number;
  /** Calls that scripted faults still wait for. */
  readonly pendingFaults: number;
}

export interface Simulator {
  readonly origin: string;
  /** What `glm.base_url` must be. */
  readonly baseUrl: string;
  /** Where GLM speaks Anthropic's dialect. */
  readonly anthropicBaseUrl: string;
  report(): SimulatorReport;
  /** Each fault applies to the next call that no earlier one applies to. */
  script(...faults: ScriptedFault[]): void;
  /** For all keys, or for one alone. */
  setLimits(limits: Partial<Limits>, keyId?: string): void;
  /** Refuses each call with that key by that code from now on; null: no longer. Throws for a code that GLM has not. */
  setKeyState(keyId: string, code: string | null): void;
  /** Forgets what it saw and what it was scripted to do. Calls in flight, limits and what accounts keep stay. */
  reset(): void;
  /** Ends every socket; resolves when all are closed. */
  close(): Promise<void>;
}
