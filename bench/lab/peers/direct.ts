// Nothing between clients and upstream: what the lab itself takes.

import { type Peer, upstreamPath } from "./peer.ts";

export const direct: Peer = {
  name: "direct",
  about: "nothing between",
  start: async ({ upstreamPort }) => ({
    target: { port: upstreamPort, path: `${upstreamPath}/chat/completions`, headers: {} },
    pid: null,
    readyMs: null,
    stop: async () => {},
  }),
};
