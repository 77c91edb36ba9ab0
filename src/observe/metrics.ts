// Prometheus metrics. Counted once per call from its record, or read at the scrape; no label names a person unless
// the operator wants so many of them, and label values from outside are bounded in number.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Decision, SchedulerGauges } from "../admission/scheduler.ts";
import type { CacheGauges } from "../cache/answer-cache.ts";
import type { LedgerGauges } from "../ledger/ledger.ts";
import type { CallRecord } from "../ledger/record.ts";
import { createLaneGauges, createUserGauges } from "./queue-gauges.ts";

export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
  countCall(record: CallRecord): void;
  countDecision(decision: Decision): void;
  countLogin(outcome: string): void;
  countReload(result: "applied" | "rejected"): void;
  /** A thread that served calls has died. */
  noteQuotaDrift(largest: number): void;
}

export interface MetricSources {
  readonly version: string;
  gauges(): SchedulerGauges;
  ledger(): LedgerGauges;
  cache(): CacheGauges;
  unsentBytes(): number;
  /** Users with a label of their own, the busiest first; the rest are "other". 0: no label names a person. */
  userLabelsMax(): number;
}

/** Models beyond the first so many are counted as "other": clients may send any name. */
const modelLabelsMax = 50;
/** The same for the upstream's business codes; GLM has about sixty. */
const codeLabelsMax = 100;
const waitBuckets = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 10, 30, 60];
const answerBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640];

export function createMetrics({ version, gauges, ledger, cache, unsentBytes, userLabelsMax }: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const models = createLabels(modelLabelsMax);
  const codes = createLabels(codeLabelsMax);
  collectDefaultMetrics({ register: registry });

  const calls = new Counter({
    name: "glm_proxy_calls_total",
    help: "Calls that have ended, by surface, outcome and reason of the refusal",
    labelNames: ["surface", "outcome", "reason"],
    registers,
  });
  const queueWait = new Histogram({
    name: "glm_proxy_queue_wait_seconds",
    help: "Time from arrival to grant, of calls that were started",
    buckets: waitBuckets,
    registers,
  });
  const firstByte = new Histogram({
    name: "glm_proxy_time_to_first_byte_seconds",
    help: "Time from the send to the first byte of a good answer",
    labelNames: ["model"],
    buckets: answerBuckets,
    registers,
  });
  const duration = new Histogram({
    name: "glm_proxy_call_duration_seconds",
    help: "Time from arrival to the end of the call",
    labelNames: ["outcome"],
    buckets: answerBuckets,
    registers,
  });
  const upstreamAnswers = new Counter({
    name: "glm_proxy_upstream_answers_total",
    help: "Answers of the upstream, by key, HTTP status and business code; status 0 is none at all",
    labelNames: ["key", "status", "code"],
    registers,
  });
  const tokens = new Counter({
    name: "glm_proxy_tokens_total",
    help: "Tokens as the upstream reported them",
    labelNames: ["model", "direction"],
    registers,
  });
  const logins = new Counter({ name: "glm_proxy_logins_total", help: "Logins", labelNames: ["outcome"], registers });
  const reloads = new Counter({
    name: "glm_proxy_config_reloads_total",
    help: "Reloads of the configuration",
    labelNames: ["result"],
    registers,
  });
  const upstreamRefusals = new Counter({
    name: "glm_proxy_upstream_refusals_total",
    help: "Refusals of the upstream, those that no client has seen included, by key, what they mean and business code",
    labelNames: ["key", "kind", "code"],
    registers,
  });
  const alerts = new Counter({
    name: "glm_proxy_alerts_total",
    help: "What somebody must act on, such as decisions of the scheduler; the log has it as errors",
    labelNames: ["what"],
    registers,
  });

  const queueDepth = gauge("glm_proxy_queue_depth", "Calls that wait");
  const queueCapacity = gauge("glm_proxy_queue_capacity", "Calls that may wait");
  const running = gauge("glm_proxy_calls_running", "Calls that run upstream");
  const lanes = createLaneGauges(registers, models.find);
  const users = createUserGauges(registers);
  const unsent = gauge("glm_proxy_unsent_bytes", "Bytes of answers that wait for slow clients");
  const ledgerWaiting = gauge("glm_proxy_ledger_waiting", "Changes of records that wait to be written");
  const ledgerLost = gauge("glm_proxy_ledger_lost", "Changes of records that were given up since the start");
  const ledgerSpooled = gauge("glm_proxy_ledger_spooled", "Changes of records in the spool, for the database's return");
  const ledgerFailing = gauge("glm_proxy_ledger_failing", "1: records can't be written now");
  const cacheBytes = gauge("glm_proxy_cache_bytes", "Bytes of answers that are kept or being recorded");
  const cacheLookups = new Gauge({
    name: "glm_proxy_cache_lookups",
    help: "Calls that asked the cache since the start, by what came of it: hit, joined, miss",
    labelNames: ["state"],
    registers,
  });
  const fallbacks = new Counter({
    name: "glm_proxy_fallbacks_total",
    help: "Calls that were asked of another model than the wanted one, by the wanted one",
    labelNames: ["model"],
    registers,
  });
  const drift = gauge(
    "glm_proxy_quota_drift",
    "Largest difference of a quota's counter from its records when last checked",
  );
  new Gauge({
    name: "glm_proxy_build_info",
    help: "Version of the gateway and of Node",
    labelNames: ["version", "node"],
    registers,
  }).set({ version, node: process.versions.node }, 1);

  function gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers });
  }

  function render(): Promise<string> {
    const now = gauges();
    queueDepth.set(now.waiting);
    queueCapacity.set(now.queueCapacity);
    running.set(now.running);
    lanes.show(now.lanes);
    users.show(now.users, userLabelsMax());
    unsent.set(unsentBytes());
    const { bytes, hits, joined, misses } = cache();
    cacheBytes.set(bytes);
    cacheLookups.set({ state: "hit" }, hits);
    cacheLookups.set({ state: "joined" }, joined);
    cacheLookups.set({ state: "miss" }, misses);
    const { waiting, lost, spooled, isFailing } = ledger();
    ledgerWaiting.set(waiting);
    ledgerLost.set(lost);
    ledgerSpooled.set(spooled);
    ledgerFailing.set(isFailing ? 1 : 0);
    return registry.metrics();
  }

  function countCall(record: CallRecord): void {
    const { outcome, refusal, sentAt, firstByteAt, grantedAt, usage } = record;
    for (const wanted of record.fallbacks.slice(0, 1)) fallbacks.inc({ model: models.find(wanted) });
    calls.inc({ surface: record.surface, outcome, reason: refusal?.reason ?? "" });
    duration.observe({ outcome }, (record.endedAt - record.arrivedAt) / 1_000);
    if (refusal?.reason === "upstream_exposed_key") alerts.inc({ what: refusal.reason });
    if (grantedAt !== null) queueWait.observe((grantedAt - record.arrivedAt) / 1_000);
    if (sentAt === null || record.model === null) return;
    upstreamAnswers.inc({
      key: record.upstreamKey ?? "",
      status: String(record.upstreamStatus ?? 0),
      code: codes.add(refusal?.facts.upstreamCode ?? ""),
    });
    // Only models that the upstream answered for get a label of their own.
    const model = outcome === "served" ? models.add(record.model) : models.find(record.model);
    if (firstByteAt !== null && record.upstreamStatus === 200)
      firstByte.observe({ model }, (firstByteAt - sentAt) / 1_000);
    if (usage) {
      tokens.inc({ model, direction: "prompt" }, usage.promptTokens);
      tokens.inc({ model, direction: "completion" }, usage.completionTokens);
      tokens.inc({ model, direction: "cached" }, usage.cachedTokens);
      tokens.inc({ model, direction: "reasoning" }, usage.reasoningTokens);
    }
  }

  function countDecision({ what, why, isAlert, upstreamKey, code }: Decision): void {
    if (what === "upstream_refused")
      upstreamRefusals.inc({ key: upstreamKey ?? "", kind: why, code: codes.add(code ?? "") });
    if (isAlert) alerts.inc({ what });
  }

  return {
    contentType: registry.contentType,
    render,
    countCall,
    countDecision,
    countLogin: (outcome) => logins.inc({ outcome }),
    countReload: (result) => reloads.inc({ result }),
    noteQuotaDrift: (largest) => drift.set(largest),
  };
}

/** Label values from outside: the first so many are themselves, the rest are "other". */
function createLabels(countMax: number) {
  const known = new Set<string>();
  const find = (value: string) => (known.has(value) ? value : "other");
  return {
    find,
    add(value: string): string {
      if (known.size < countMax) known.add(value);
      return find(value);
    },
  };
}
