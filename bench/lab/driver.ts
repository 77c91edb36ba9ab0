// The lab's clients, in a process of their own: puts on a peer the load that it is told to, and tells what came of it.

import type { Wish } from "./answers.ts";
import type { Target } from "./http-client.ts";
import {
  keepPace,
  type Latency,
  type OpenStreams,
  openStreams,
  type Saturation,
  type Streams,
  saturate,
} from "./loads.ts";

/** What can be asked of it, and what it says then. */
export interface Orders {
  saturate: {
    ask: { target: Target; wish: Wish; connections: number; seconds: number };
    reply: Saturation;
  };
  keepPace: {
    ask: { target: Target; wish: Wish; callsPerSecond: number; seconds: number; to: "first byte" | "end" };
    reply: Latency;
  };
  /** Beside those that are open already. */
  openStreams: { ask: { target: Target; wish: Wish; count: number }; reply: Streams };
  look: { ask: object; reply: Streams };
  closeStreams: { ask: object; reply: Streams };
}

export type Order = { [Kind in keyof Orders]: { readonly kind: Kind } & Orders[Kind]["ask"] }[keyof Orders];

export type Reply = { readonly value: Orders[keyof Orders]["reply"] } | { readonly problem: string };

let streams: OpenStreams[] = [];

async function follow(order: Order): Promise<Orders[keyof Orders]["reply"]> {
  switch (order.kind) {
    case "saturate":
      return saturate(order.target, order.wish, order.connections, order.seconds);
    case "keepPace":
      return keepPace(order.target, order.wish, order.callsPerSecond, order.seconds, order.to);
    case "openStreams":
      streams.push(await openStreams(order.target, order.wish, order.count));
      return look();
    case "look":
      return look();
    case "closeStreams": {
      const last = look();
      for (const some of streams) some.close();
      streams = [];
      return last;
    }
  }
}

/** Of all that are open. */
function look(): Streams {
  const sum = { frames: 0, open: 0, failures: 0 };
  for (const { frames, open, failures } of streams.map((some) => some.look())) {
    sum.frames += frames;
    sum.open += open;
    sum.failures += failures;
  }
  return sum;
}

if (process.send) {
  process.on("message", (order: Order) => {
    follow(order).then(
      (value) => process.send?.({ value } satisfies Reply),
      (error: unknown) => process.send?.({ problem: String(error) } satisfies Reply),
    );
  });
  // Whoever started this has gone.
  process.on("disconnect", () => process.exit());
}
