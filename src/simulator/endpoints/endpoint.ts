// What an endpoint of the simulated GLM is: a function from a call to a reply. A reply is a plan or a code of refusal;
// whether and how it is disturbed, and how a refusal is worded, is decided elsewhere.

import type { Clock } from "../../base/clock.ts";
import type { Fields } from "../chat-request.ts";
import type { UploadedFile } from "../form.ts";
import { createGlmId } from "../glm-id.ts";
import type { ObjectStore } from "../object-store.ts";
import { type Plan, toJsonPlan } from "../plan.ts";
import type { Pace } from "../play.ts";
import type { Random } from "../random.ts";
import type { StreamProfile } from "../stream-shape.ts";

/** What replies depend on besides the call. */
export interface World {
  readonly clock: Clock;
  readonly seed: number;
  readonly ids: Random;
  readonly profile: StreamProfile;
  readonly pace: Pace;
  /** Where the simulator answers, for the addresses of what it has made. */
  readonly origin: string;
  readonly store: ObjectStore;
  /** How long what is not answered at once takes. */
  readonly taskMs: number;
  /** The models that there are, beyond those that are GLM's; null: whatever is asked for. */
  readonly modelNames: readonly string[] | null;
}

export interface Call {
  /** The JSON object that came, or the texts of the form. */
  readonly fields: Fields;
  /** The form's file. */
  readonly file: UploadedFile | null;
  /** What stands in the path for each `*`. */
  readonly ids: readonly string[];
  readonly query: URLSearchParams;
  /** Whom the key belongs to. */
  readonly account: string;
}

export interface Reply {
  readonly plan: Plan | Refused;
  readonly pace: Pace;
  /** Null when the call names none that can be counted. */
  readonly model: string | null;
  readonly isStream: boolean;
  /** The client's own id for the call; no two running ones may share it. */
  readonly requestId: string | null;
}

export interface Refused {
  /** GLM's code. */
  readonly refuses: string;
  /** The parameter that it is about. */
  readonly param: string;
}

export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** `*` stands for one segment. */
  readonly path: string;
  /** A body of JSON, a form with or without a file, or nothing that matters. */
  readonly takes: "json" | "form" | "nothing";
  reply(call: Call, world: World): Reply;
}

export const atOnce: Pace = { firstMs: 0, betweenMs: 0 };

export function define(
  method: Endpoint["method"],
  path: string,
  reply: Endpoint["reply"],
  takes: Endpoint["takes"] = method === "GET" || method === "DELETE" ? "nothing" : "json",
): Endpoint {
  return { method, path, takes, reply };
}

export function answer(body: object, model: string | null = null): Reply {
  return answerWith(toJsonPlan(body), model);
}

export function answerWith(plan: Plan, model: string | null = null, pace = atOnce): Reply {
  return { plan, pace, model, isStream: plan.isStream, requestId: null };
}

export function refuse(code: string, param = "", model: string | null = null): Reply {
  return { plan: { refuses: code, param }, pace: atOnce, model, isStream: false, requestId: null };
}

export const notFound = (what: string): Reply => refuse("404", what);

/** The text of a field, or null. */
export function readString(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === "string" && value !== "" ? value : null;
}

const modelCharactersMax = 128;

/** The model's name; null: there is none that can be one. */
export function readModel(fields: Fields): string | null {
  const name = readString(fields, "model");
  return name !== null && name.length <= modelCharactersMax ? name : null;
}

export function createId({ ids, clock }: World): string {
  return createGlmId(ids, clock.wallNow());
}

export function toSeconds({ clock }: World): number {
  return Math.floor(clock.wallNow() / 1_000);
}
