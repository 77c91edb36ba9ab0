// Another gateway that runs on Node: @portkey-ai/gateway, fetched into a folder of its own since it is nothing that this
// project needs. It knows nobody, and keeps no records.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild, findFreePort, startChild } from "../children.ts";
import { awaitPort, type Peer, upstreamPath } from "./peer.ts";

const version = "1.15.2";
const fetchMsMax = 120_000;

/** Fetches it when it is not there yet. Throws when it can't. */
export function fetchPortkey(): Peer {
  const prefix = join(tmpdir(), `glm-proxy-lab-portkey-${version}`);
  const program = join(prefix, "node_modules/@portkey-ai/gateway/build/start-server.js");
  if (!existsSync(program)) {
    const args = ["install", "--prefix", prefix, "--ignore-scripts", "--no-audit", "--no-fund"];
    execFileSync("npm", [...args, `@portkey-ai/gateway@${version}`], { timeout: fetchMsMax, stdio: "pipe" });
  }
  return {
    name: "portkey",
    about: `@portkey-ai/gateway ${version} on Node.js ${process.version}`,
    async start(bench, name) {
      const folder = join(bench.folder, name);
      await mkdir(folder, { recursive: true });
      const port = await findFreePort();
      const logFile = join(folder, "printed.log");
      const startedAt = performance.now();
      const child = startChild(process.execPath, [program, `--port=${port}`, "--headless"], {
        core: "peer",
        cwd: folder,
        logFile,
        env: { NODE_ENV: "production" },
      });
      return {
        target: {
          port,
          path: "/v1/chat/completions",
          headers: {
            authorization: "Bearer lab",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": `http://127.0.0.1:${bench.upstreamPort}${upstreamPath}`,
          },
        },
        readyMs: await awaitPort(child, port, startedAt, logFile),
        pid: child.pid ?? null,
        stop: () => endChild(child),
      };
    },
  };
}
