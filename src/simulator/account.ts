// The keys that the simulated GLM knows, their limits, and the judgement on whoever exceeds them: an exact sliding
// window of arrivals per key, and calls in flight per key and model.

import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";

export interface Limits {
  /** Calls in flight per key and model; null: no limit. */
  readonly concurrencyMax: number | null;
  /** Arrivals in any window of `windowMs`, per second of it; null: no limit. */
  readonly requestsPerSecond: number | null;
  readonly windowMs: number;
  /** How long a call counts as in flight after its end. */
  readonly releaseLagMs: number;
}

export interface Violation {
  readonly kind: "rate" | "concurrency";
  readonly at: number;
  readonly model: string;
  readonly observed: number;
  readonly limit: number;
}

export interface Accounts {
  /** The key's id for `Authorization`'s value, or GLM's code for what is wrong with it. */
  authenticate(authorization: string | undefined): { keyId: string } | { code: string };
  /** Lets a call in, or says by which code it is refused; a refused one does not count. `leave` may be repeated. */
  enter(keyId: string, model: string): { leave(): void } | { code: "1302" | "1303" };
  setLimits(changed: Partial<Limits>): void;
  readonly violations: readonly Violation[];
  readonly inFlight: number;
  readonly inFlightMax: number;
  reset(): void;
}

const violationsMax = 10_000;

export function createAccounts(apiKeys: readonly string[], initial: Limits, clock: Clock): Accounts {
  let limits = initial;
  let violations: Violation[] = [];
  let inFlightMax = 0;
  const arrivals = new Map<string, number[]>();
  const running = new Map<string, number>();
  const secrets = new Map(apiKeys.map((key) => key.split(".", 2) as [string, string]));

  function authenticate(authorization: string | undefined): { keyId: string } | { code: string } {
    const credential = authorization?.replace(/^Bearer +/i, "").trim();
    if (!credential) return { code: "1001" };
    if (apiKeys.includes(credential)) return { keyId: credential.split(".", 1)[0] as string };
    return verifyJwt(credential);
  }

  /** Some SDKs sign a JWT with the key's secret; the stamps are milliseconds, or by mistake microseconds. */
  function verifyJwt(token: string): { keyId: string } | { code: string } {
    const [head = "", body = "", mac = ""] = token.split(".");
    try {
      const { api_key: keyId, exp } = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
      const secret = secrets.get(String(keyId));
      if (secret === undefined) return { code: "401" };
      const expected = createHmac("sha256", secret).update(`${head}.${body}`).digest();
      const given = Buffer.from(mac, "base64url");
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { code: "401" };
      return typeof exp === "number" && exp > clock.wallNow() ? { keyId: String(keyId) } : { code: "1003" };
    } catch {
      return { code: "401" };
    }
  }

  function enter(keyId: string, model: string): { leave(): void } | { code: "1302" | "1303" } {
    const now = clock.now();
    const lane = `${keyId} ${model}`;
    const inLane = running.get(lane) ?? 0;
    const recent = (arrivals.get(keyId) ?? []).filter((at) => now - at < limits.windowMs);
    const { concurrencyMax, requestsPerSecond, windowMs } = limits;
    const arrivalsMax = requestsPerSecond === null ? Number.POSITIVE_INFINITY : (requestsPerSecond * windowMs) / 1_000;
    if (recent.length >= arrivalsMax) {
      judge({ kind: "rate", at: now, model, observed: recent.length + 1, limit: arrivalsMax });
      return { code: "1303" };
    }
    if (inLane >= (concurrencyMax ?? Number.POSITIVE_INFINITY)) {
      judge({ kind: "concurrency", at: now, model, observed: inLane + 1, limit: concurrencyMax as number });
      return { code: "1302" };
    }
    recent.push(now);
    arrivals.set(keyId, recent);
    running.set(lane, inLane + 1);
    inFlightMax = Math.max(inFlightMax, countRunning());
    let hasLeft = false;
    return {
      leave() {
        if (hasLeft) return;
        hasLeft = true;
        const free = () => void running.set(lane, (running.get(lane) ?? 1) - 1);
        if (limits.releaseLagMs > 0) clock.after(limits.releaseLagMs, free);
        else free();
      },
    };
  }

  function judge(violation: Violation): void {
    if (violations.length < violationsMax) violations.push(violation);
  }

  function countRunning(): number {
    let sum = 0;
    for (const count of running.values()) sum += count;
    return sum;
  }

  return {
    authenticate,
    enter,
    setLimits(changed) {
      limits = { ...limits, ...changed };
    },
    get violations() {
      return violations;
    },
    get inFlight() {
      return countRunning();
    },
    get inFlightMax() {
      return inFlightMax;
    },
    reset() {
      violations = [];
      inFlightMax = countRunning();
      arrivals.clear();
    },
  };
}
