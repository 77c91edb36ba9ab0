// Whole worlds in virtual time, each from its seed. SIM_SEED=17 lives through that one alone, SIM_SEEDS=500 through more.

import { describe, it } from "node:test";
import { liveThrough } from "./world.ts";

const firstSeed = Number(process.env.SIM_SEED ?? 1);
const seedCount = Number(process.env.SIM_SEEDS ?? (process.env.SIM_SEED === undefined ? 50 : 1));

describe("the scheduler in whole worlds", () => {
  it(`keeps its promises in the worlds of the seeds from ${firstSeed} to ${firstSeed + seedCount - 1}`, () => {
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) liveThrough(seed);
  });
});
