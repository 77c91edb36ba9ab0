// The least that a proxy on Node can do: node:http before, undici behind, bytes passed on as they come. It knows nobody,
// bounds nothing and notes nothing: what is beyond nginx here is the runtime's, what is beyond this is the gateway's.

import { join } from "node:path";
import { endChild, findFreePort, startChild } from "../children.ts";
import { awaitPort, type Peer, upstreamPath } from "./peer.ts";

const server = new URL("node-relay/server.ts", import.meta.url).pathname;

export const nodeRelay: Peer = {
  name: "bare Node",
  about: `node:http and undici on Node.js ${process.version}, nothing else`,
  async start(bench, name) {
    const port = await findFreePort();
    const logFile = join(bench.folder, `${name}.log`);
    const startedAt = performance.now();
    const args = [server, String(port), String(bench.upstreamPort)];
    const child = startChild(process.execPath, args, { core: "peer", cwd: bench.folder, logFile });
    return {
      target: { port, path: `${upstreamPath}/chat/completions`, headers: {} },
      readyMs: await awaitPort(child, port, startedAt, logFile),
      pid: child.pid ?? null,
      stop: () => endChild(child),
    };
  },
};
