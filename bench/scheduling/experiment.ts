// What experiments have in common: each runs its policies over the seeds and returns tables.

import type { PolicyChoice } from "./policy.ts";
import { type RunResult, runScenario, type Scenario } from "./run.ts";
import type { Format, Row, Section } from "./table.ts";

export interface Experiment {
  readonly id: string;
  run(seeds: readonly number[]): Promise<readonly Section[]>;
}

export interface Column {
  readonly name: string;
  readonly format: Format;
  measure(run: RunResult): number;
}

/** One row for each policy: the columns over the seeds' runs. All policies meet the very same scenarios. */
export async function measurePolicies(
  policies: readonly PolicyChoice[],
  seeds: readonly number[],
  createScenario: (seed: number) => Scenario,
  columns: readonly Column[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const policy of policies) {
    const runs: RunResult[] = [];
    for (const seed of seeds) runs.push(await runSoundly(createScenario(seed), policy, seed));
    const cells = columns.map(({ format, measure }) => ({ values: runs.map(measure), format }));
    rows.push({ name: policy.name, cells });
  }
  return rows;
}

/** A policy that loses calls has no numbers. */
export async function runSoundly(scenario: Scenario, policy: PolicyChoice, seed: number): Promise<RunResult> {
  const run = await runScenario(scenario, policy, seed);
  const openCount = run.calls.filter(({ outcome }) => outcome === "open").length;
  const complaints = openCount > 0 ? [...run.complaints, `${openCount} calls were never answered`] : run.complaints;
  if (complaints.length > 0) throw new Error(`${policy.name}, seed ${seed}: ${complaints.join("; ")}`);
  return run;
}

/** Rows of the same names side by side. */
export function joinRows(left: readonly Row[], right: readonly Row[]): Row[] {
  return left.map(({ name, cells }) => {
    const more = right.find((row) => row.name === name)?.cells ?? [];
    return { name, cells: [...cells, ...more] };
  });
}

export function nameColumns(first: string, ...columns: readonly (readonly Column[])[]): string[] {
  return [first, ...columns.flat().map(({ name }) => name)];
}
