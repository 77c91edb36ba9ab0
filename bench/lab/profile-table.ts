// What a .cpuprofile or a .heapprofile says, summed up: by function, each by itself; and by who had it done, which is our
// file that is nearest on the stack, or else the package or the part of Node that is.

export interface Cost {
  readonly name: string;
  /** Of the whole, 0 to 1. */
  readonly share: number;
  /** Microseconds or bytes. */
  readonly amount: number;
}

export interface Summary {
  readonly functions: readonly Cost[];
  readonly causes: readonly Cost[];
  /** Microseconds that were not idle, or bytes. */
  readonly total: number;
}

/** What starts and stops the profile is none of the gateway. */
const profiler = "node:inspector";

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

export interface CpuProfile {
  readonly nodes: readonly CpuNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CpuNode {
  readonly id: number;
  readonly callFrame: Frame;
  readonly children?: readonly number[];
}

export interface HeapProfile {
  readonly head: HeapNode;
}

interface HeapNode {
  readonly callFrame: Frame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** A place on the stack, and where it was called from. */
interface Place {
  readonly frame: Frame;
  readonly caller: Place | null;
}

type Taken = readonly [place: Place, amount: number];

export function summarizeCpu({ nodes, samples, timeDeltas }: CpuProfile): Summary {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const places = new Map<number, Place>();
  const [root] = nodes;
  const open: [CpuNode, Place | null][] = root ? [[root, null]] : [];
  for (let next = open.pop(); next; next = open.pop()) {
    const [node, caller] = next;
    const place = { frame: node.callFrame, caller };
    places.set(node.id, place);
    for (const id of node.children ?? []) open.push([byId.get(id) as CpuNode, place]);
  }
  return summarize(
    samples.flatMap((id, index): Taken[] => {
      const place = places.get(id);
      const isIdle = place?.frame.functionName === "(idle)";
      return place === undefined || isIdle ? [] : [[place, timeDeltas[index] ?? 0]];
    }),
  );
}

export function summarizeHeap({ head }: HeapProfile): Summary {
  const taken: Taken[] = [];
  const open: [HeapNode, Place | null][] = [[head, null]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [node, caller] = next;
    const place = { frame: node.callFrame, caller };
    taken.push([place, node.selfSize]);
    for (const child of node.children) open.push([child, place]);
  }
  return summarize(taken);
}

function summarize(all: readonly Taken[]): Summary {
  const taken = all.filter(([{ frame }]) => frame.url !== profiler);
  const total = taken.reduce((sum, [, amount]) => sum + amount, 0);
  const sumBy = (toName: (place: Place) => string): Cost[] => {
    const sums = new Map<string, number>();
    for (const [place, amount] of taken) sums.set(toName(place), (sums.get(toName(place)) ?? 0) + amount);
    return [...sums]
      .map(([name, amount]) => ({ name, amount, share: amount / total }))
      .sort((one, other) => other.amount - one.amount);
  };
  return { functions: sumBy(toFunction), causes: sumBy(toCause), total };
}

function toFunction({ frame }: Place): string {
  const { functionName, lineNumber, url } = frame;
  const name = functionName || "(anonymous)";
  return url === "" ? name : `${name} ${toFile(url)}:${lineNumber + 1}`;
}

function toCause(place: Place): string {
  let nearest = "";
  for (let at: Place | null = place; at !== null; at = at.caller) {
    const { url } = at.frame;
    if (url === "") continue;
    const file = toFile(url);
    if (file.startsWith("src/")) return file;
    // The outermost of Node's own says more than the innermost: what was it that had begun?
    nearest = url.startsWith("node:") ? url.replace("node:internal/", "node:") : (file.split("/")[0] ?? file);
    if (!url.startsWith("node:")) return nearest;
  }
  return nearest || place.frame.functionName;
}

function toFile(url: string): string {
  return url.replace(/^.*\/node_modules\//, "").replace(/^file:\/\/.*?\/(?=(?:src|bench)\/)/, "");
}
