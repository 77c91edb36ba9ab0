// A scheduler with a scheduler for each family of calls that has limits of its own: polls do not wait for chats, nor
// pictures for either. Each has its own queue, lanes and users' limits; what they share is the health of the keys.
//
//   chat, files, … ──▶ the keys' own limits ─┐
//   images ──▶ images' limits on each key ───┼─ one health for each key
//   poll ──▶ polls' limits on each key ──────┘

import type { Clock } from "../base/clock.ts";
import type { DecisionObserver } from "./core.ts";
import { KeyHealths } from "./key-healths.ts";
import { createMemoryScheduler, type MemoryScheduler, type MemorySchedulerOptions } from "./memory-scheduler.ts";
import { mergeGauges, mergeSnapshots } from "./merge-states.ts";
import type { AdmissionLimits, FamilyLimits, PastCall, Scheduler } from "./scheduler.ts";

const familyDefault = "chat";

export function createFamilyScheduler(
  initial: AdmissionLimits,
  clock: Clock,
  { observer, tracer, past }: Omit<MemorySchedulerOptions, "shared"> = {},
): Scheduler {
  let limits = initial;
  let isClosed = false;
  const healths = new KeyHealths();
  /** Made with the first call. One that has lost its limits serves those whom it has; new calls go where the others do. */
  const schedulers = new Map<string, { readonly scheduler: MemoryScheduler; own: FamilyLimits }>();
  const general = open(limits, null);

  function open(ownLimits: AdmissionLimits, family: string | null): MemoryScheduler {
    const tell = (tellAll: DecisionObserver): DecisionObserver =>
      family === null ? tellAll : (decision) => tellAll({ ...decision, family });
    const opened: MemoryScheduler = createMemoryScheduler(ownLimits, clock, {
      ...(past && { past: { ...past, calls: past.calls.filter(isOf(family)) } }),
      ...(observer && { observer: tell(observer) }),
      ...(tracer && {
        tracer: () => {
          const traceAll = tracer();
          return traceAll && tell(traceAll);
        },
      }),
      shared: {
        healths,
        onChange() {
          for (const other of listAll()) if (other !== opened) other.recheck();
        },
      },
    });
    return opened;
  }

  /** Of before the start: whether the family's scheduler counts it, or the general one (null). */
  function isOf(family: string | null): (call: PastCall) => boolean {
    const hasOwn = (name: string) => limits.families?.some((other) => other.family === name) ?? false;
    return ({ families }) => families.some((name) => (family === null ? !hasOwn(name) : name === family));
  }

  function listAll(): MemoryScheduler[] {
    return [general, ...Array.from(schedulers.values(), ({ scheduler }) => scheduler)];
  }

  function find(family = familyDefault): MemoryScheduler {
    const own = limits.families?.find((other) => other.family === family);
    if (!own || isClosed) return general;
    const known = schedulers.get(family);
    if (known) return known.scheduler;
    const scheduler = open(limitsOfFamily(limits, own), family);
    schedulers.set(family, { scheduler, own });
    return scheduler;
  }

  function configure(changed: AdmissionLimits): void {
    limits = changed;
    general.configure(changed);
    for (const [family, entry] of schedulers) {
      const own = changed.families?.find((other) => other.family === family);
      entry.own = own ?? entry.own;
      entry.scheduler.configure(limitsOfFamily(changed, entry.own));
      if (!own && isIdle(entry.scheduler)) schedulers.delete(family);
    }
  }

  function close(): void {
    isClosed = true;
    for (const scheduler of listAll()) scheduler.close();
  }

  return {
    admit: (principal, wish, signal) => find(wish.family).admit(principal, wish, signal),
    allowances: (principal, family) => find(family).allowances(principal),
    gauges: () =>
      mergeGauges(
        general.gauges(),
        toStates(schedulers, (scheduler) => scheduler.gauges()),
      ),
    snapshot: () => ({
      ...mergeSnapshots(
        general.snapshot(),
        toStates(schedulers, (scheduler) => scheduler.snapshot()),
      ),
      limits,
    }),
    configure,
    close,
  };
}

function limitsOfFamily(limits: AdmissionLimits, { startsPerSecond, concurrencyMax }: FamilyLimits): AdmissionLimits {
  const keys = limits.keys.map((key) => ({ ...key, startsPerSecond, concurrencyMax, tokensPerMinute: null }));
  return { ...limits, keys };
}

function isIdle(scheduler: Scheduler): boolean {
  const { waiting, running, lanes } = scheduler.gauges();
  return waiting === 0 && running === 0 && lanes.every((lane) => lane.running === 0);
}

function toStates<State>(
  schedulers: ReadonlyMap<string, { readonly scheduler: Scheduler }>,
  read: (scheduler: Scheduler) => State,
): { family: string; state: State }[] {
  return Array.from(schedulers, ([family, { scheduler }]) => ({ family, state: read(scheduler) }));
}
