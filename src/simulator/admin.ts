// The simulator's own paths, for people and for tests in other processes:
//   GET /__sim/report · POST /__sim/faults · POST /__sim/limits · POST /__sim/reset · POST /__sim/keys
// Each answers with the report, of whose arrivals the newest 20 are shown, or as many as ?arrivals= says.
// They take no key: the simulator is for machines on which everybody may see everything.

import type { IncomingMessage, ServerResponse } from "node:http";
import { parseFaults } from "./fault-script.ts";
import type { ScriptedFault } from "./faults.ts";
import { glmCodes } from "./glm-errors.ts";
import type { Limits } from "./judge.ts";
import type { Arrival } from "./observations.ts";
import { jsonHeaders } from "./plan.ts";
import { readBody } from "./request-body.ts";

/** What can be done to a running simulator. */
export interface Controls {
  report(): { readonly arrivals: readonly Arrival[] };
  script(...faults: ScriptedFault[]): void;
  setLimits(limits: Partial<Limits>, keyId?: string): void;
  setKeyState(keyId: string, code: string | null): void;
  reset(): void;
}

const prefix = "/__sim/";
const arrivalsShown = 20;
type Verb = (body: Buffer, controls: Controls, query: URLSearchParams) => void;

const verbs: Readonly<Record<string, Verb>> = {
  "GET report": () => {},
  "POST faults": (body, controls) => controls.script(...parseFaults(parseJson(body))),
  // With ?key=ID for that key alone.
  "POST limits": (body, controls, query) =>
    controls.setLimits(parseLimits(parseJson(body)), query.get("key") ?? undefined),
  "POST reset": (_, controls) => controls.reset(),
  "POST keys": (body, controls) => {
    for (const [keyId, code] of parseKeyStates(parseJson(body))) controls.setKeyState(keyId, code);
  },
};

export function isAdminPath(path: string): boolean {
  return path.startsWith(prefix);
}

export async function administer(
  request: IncomingMessage,
  response: ServerResponse,
  controls: Controls,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
  const body = await readBody(request);
  const name = `${request.method} ${pathname.slice(prefix.length)}`;
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb) return answer(response, 404, { error: `unknown: ${name}; known: ${Object.keys(verbs).join(", ")}` });
  try {
    verb(body, controls, searchParams);
  } catch (error) {
    return answer(response, 400, { error: (error as Error).message });
  }
  const report = controls.report();
  const shown = Number(searchParams.get("arrivals") ?? arrivalsShown);
  answer(response, 200, { ...report, arrivals: shown > 0 ? report.arrivals.slice(-shown) : [] });
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, jsonHeaders).end(`${JSON.stringify(body, null, 2)}\n`);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new Error("the body is not JSON");
  }
}

/** By the key's id, the code that each of its calls is refused with, or null. */
function parseKeyStates(value: unknown): [string, string | null][] {
  const entries = Object.entries((value ?? {}) as object);
  for (const [keyId, code] of entries) {
    if (code !== null && !glmCodes.includes(String(code))) {
      throw new Error(`${keyId}: unknown code ${JSON.stringify(code)}; known: ${glmCodes.join(", ")}`);
    }
  }
  return entries.map(([keyId, code]) => [keyId, code === null ? null : String(code)]);
}

const limitNames: readonly string[] = ["concurrencyMax", "requestsPerSecond", "windowMs", "releaseLagMs"];

function parseLimits(value: unknown): Partial<Limits> {
  const entries = Object.entries((value ?? {}) as object);
  for (const [name, limit] of entries) {
    if (!limitNames.includes(name)) throw new Error(`unknown limit ${name}; known: ${limitNames.join(", ")}`);
    const mayBeNone = name === "concurrencyMax" || name === "requestsPerSecond";
    const isFine = (limit === null && mayBeNone) || (typeof limit === "number" && limit >= 0);
    if (!isFine) throw new Error(`${name} must be a number from 0${mayBeNone ? ", or null for none" : ""}`);
  }
  return Object.fromEntries(entries) as Partial<Limits>;
}
