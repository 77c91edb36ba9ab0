// What Linux knows of a process and of those that it has started: CPU time and memory, from /proc.

import { readdirSync, readFileSync } from "node:fs";

const tickMicros = 10_000;

/** The process and all below it. Those that have ended are counted by their parents. */
export function listTree(pid: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(readStat(Number(name))?.[1]);
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const member of tree) tree.push(...(childrenOf.get(member) ?? []));
  return tree;
}

/** Microseconds of user and system time of the whole tree so far. */
export function readCpuMicros(pid: number): number {
  return listTree(pid).reduce((sum, member) => sum + readOwnMicros(member), 0);
}

/** By the threads' names: what each kind of them took, in microseconds. */
export function readThreadMicros(pid: number): Map<string, number> {
  const byName = new Map<string, number>();
  for (const thread of list(`/proc/${pid}/task`)) {
    const name = read(`/proc/${pid}/task/${thread}/comm`).trim();
    const id = thread === String(pid) ? "main" : name;
    byName.set(id, (byName.get(id) ?? 0) + readRunMicros(pid, thread));
  }
  return byName;
}

/** Resident memory of the whole tree, in bytes; what its members share is counted for each. */
export function readMemoryBytes(pid: number): number {
  const ofOne = (member: number) => Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${member}/status`))?.[1] ?? 0);
  return listTree(pid).reduce((sum, member) => sum + ofOne(member) * 1_024, 0);
}

export function isAlive(pid: number): boolean {
  return readStat(pid) !== null;
}

/** utime + stime of /proc/PID/stat, without their rounding to 10 ms where the scheduler's own count can be read. */
function readOwnMicros(pid: number): number {
  const threads = list(`/proc/${pid}/task`);
  const exact = threads.reduce((sum, thread) => sum + readRunMicros(pid, thread), 0);
  if (exact > 0) return exact;
  const stat = readStat(pid);
  return stat === null ? 0 : (Number(stat[11]) + Number(stat[12])) * tickMicros;
}

/** Its first field: nanoseconds on a CPU. */
function readRunMicros(pid: number, thread: string): number {
  return Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0] ?? 0) / 1_000;
}

/** The fields from the third one on: behind the name, which may hold anything. Null: it has ended. */
function readStat(pid: number): string[] | null {
  const text = read(`/proc/${pid}/stat`);
  return text === "" ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** What has ended meanwhile has no files any more. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
