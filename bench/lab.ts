// npm run bench: what it costs to have this gateway in between, beside nothing, nginx and others, on the same work and the
// same core. Needs no network but loopback; takes three to four minutes.
//
//   --quick                one short round, about a minute      --rounds N         instead of 3
//   --only direct,nginx    these peers alone                    --long             5,000 open streams, too
//   --portkey              also @portkey-ai/gateway, fetched with npm
//   --peer name=URL        also a gateway that runs already, in front of the lab's upstream: --upstream-port N first
//   --pid name=PID         its process                          --header 'Name: value'  sent to it
//   --json FILE            the values of each round             --markdown FILE    the tables
//   --svg FILE             the chart

import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { openBench } from "./lab/bench.ts";
import { drawChart } from "./lab/chart.ts";
import { endAll, pinning } from "./lab/children.ts";
import { direct } from "./lab/peers/direct.ts";
import { toGivenPeer } from "./lab/peers/given.ts";
import { buildBundle, glmProxy } from "./lab/peers/glm-proxy.ts";
import { findNginx } from "./lab/peers/nginx.ts";
import { nodeRelay } from "./lab/peers/node-relay.ts";
import type { Peer, RunningPeer } from "./lab/peers/peer.ts";
import { fetchPortkey } from "./lab/peers/portkey.ts";
import { quickPlan, wholePlan } from "./lab/plan.ts";
import { type Measured, toSections } from "./lab/report.ts";
import { measureRound, type Served, type Values, warmUp } from "./lab/round.ts";
import { describeMachine } from "./scheduling/machine.ts";
import { formatSection } from "./scheduling/table.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
    portkey: { type: "boolean", default: false },
    peer: { type: "string", multiple: true, default: [] },
    pid: { type: "string", multiple: true, default: [] },
    header: { type: "string", multiple: true, default: [] },
    "upstream-port": { type: "string", default: "0" },
    json: { type: "string" },
    markdown: { type: "string" },
    svg: { type: "string" },
  },
});

const labMsMax = 30 * 60_000;
const roundsMax = 20;
const base = options.quick ? quickPlan : wholePlan;
const plan = {
  ...base,
  rounds: Math.min(roundsMax, Math.max(1, Math.trunc(Number(options.rounds)) || base.rounds)),
  openCounts: options.long ? [...base.openCounts, 5_000] : base.openCounts,
};

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void endAll().finally(() => process.exit(130)));
}
setTimeout(() => {
  console.error("The lab takes too long: it is given up.");
  void endAll().finally(() => process.exit(1));
}, labMsMax).unref();

const startedAt = performance.now();
const peers = listPeers();
const machine = describeMachine();
const conditions = `${pinning}; loopback; load average ${showLoad()} before`;
console.log(`${machine}\n${conditions}\n`);
for (const { name, about } of peers) console.log(`${name}: ${about}`);

const measured = await measureAll();
const whole = `${conditions}, ${showLoad()} after; ${plan.rounds} rounds`;
const sections = toSections(measured);
const tables = sections.map(formatSection);
const lines = [machine, "", whole, "", ...peers.map(({ name, about }) => `- ${name}: ${about}`), "", ...tables];
console.log(`\n${tables.join("\n")}\n${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
if (options.json) {
  const date = new Date().toISOString();
  writeFileSync(
    options.json,
    `${JSON.stringify({ machine, conditions: whole, date, plan, peers: measured }, null, 2)}\n`,
  );
}
if (options.markdown) writeFileSync(options.markdown, `${lines.join("\n")}\n`);
const chart = options.svg ? drawChart(measured, machine) : null;
if (options.svg && chart) writeFileSync(options.svg, chart);
if (measured.some(({ rounds }) => rounds.some(({ failures = 0 }) => failures > 0))) {
  console.error("Some calls have failed: see the last table.");
  process.exitCode = 1;
}

function listPeers(): Peer[] {
  const only = options.only?.split(",");
  const isWanted = (name: string) => only === undefined || only.includes(name);
  const peers: Peer[] = isWanted("direct") ? [direct] : [];
  const nginx = isWanted("nginx") ? findNginx() : null;
  if (nginx) peers.push(nginx);
  else if (isWanted("nginx")) console.log("nginx: not on PATH, left out");
  if (isWanted("bare Node")) peers.push(nodeRelay);
  if (isWanted("glm-proxy")) {
    buildBundle();
    peers.push(glmProxy);
  }
  if (options.portkey || only?.includes("portkey")) {
    try {
      peers.push(fetchPortkey());
    } catch (error) {
      console.log(`portkey: can't be fetched, left out (${String(error).split("\n")[0]})`);
    }
  }
  const headers = Object.fromEntries(options.header.map((line) => splitAt(line, ":")));
  const pids = new Map(options.pid.map((pair) => splitAt(pair, "=")));
  for (const [name, url] of options.peer.map((pair) => splitAt(pair, "="))) {
    peers.push(toGivenPeer({ name, url, pid: Number(pids.get(name)) || null, headers }));
  }
  return peers;
}

/** Round by round, each peer once in each, so that what the machine does otherwise hits all alike. */
async function measureAll(): Promise<Measured[]> {
  const bench = await openBench(Number(options["upstream-port"]));
  const rounds = new Map<Peer, Values[]>(peers.map((peer) => [peer, []]));
  const running = new Map<Peer, { started: RunningPeer; served: Served }>();
  console.log(`upstream: http://127.0.0.1:${bench.upstreamPort}\n`);
  try {
    for (const peer of peers) {
      const started = await peer.start(bench, peer.name);
      const served = await warmUp(started, bench, started.pid === null ? 1 : plan.warmSeconds);
      if (!served.calls) throw new Error(`${peer.name} does not serve calls`);
      if (!served.streams) console.log(`${peer.name}: its streams fail, they are left out`);
      running.set(peer, { started, served });
    }
    for (let round = 1; round <= plan.rounds; round++) {
      for (const [peer, { started, served }] of running) {
        const peerStartedAt = performance.now();
        rounds.get(peer)?.push(await measureRound(peer, started, served, bench, plan));
        const took = ((performance.now() - peerStartedAt) / 1_000).toFixed(0);
        console.log(`round ${round} of ${plan.rounds}: ${peer.name}, ${took} s`);
      }
    }
  } finally {
    await bench.close();
  }
  return peers.map((peer) => ({ name: peer.name, about: peer.about, rounds: rounds.get(peer) ?? [] }));
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at < 1) throw new Error(`expected something like name${mark}value: got ${text}`);
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

function showLoad(): string {
  return (loadavg()[0] ?? 0).toFixed(2);
}
