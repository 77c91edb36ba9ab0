// nginx with one worker and `proxy_pass`: the least that a proxy can do. It logs no calls, and knows nobody.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endChild, findFreePort, startChild } from "../children.ts";
import { awaitPort, type Peer, upstreamPath } from "./peer.ts";

const temporaryFolders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/** Null: there is no nginx. */
export function findNginx(): Peer | null {
  const asked = spawnSync("nginx", ["-v"], { encoding: "utf8" });
  const version = /nginx\/(\S+)/.exec(asked.stderr ?? "")?.[1];
  if (version === undefined) return null;
  return {
    name: "nginx",
    about: `nginx ${version}, proxy_pass with one worker, no log of calls`,
    async start(bench, name) {
      const prefix = join(bench.folder, name);
      mkdirSync(prefix, { recursive: true });
      const port = await findFreePort();
      const config = join(prefix, "nginx.conf");
      writeFileSync(config, writeConfig(prefix, port, bench.upstreamPort));
      const logFile = join(prefix, "printed.log");
      const startedAt = performance.now();
      const args = ["-p", prefix, "-c", config, "-e", join(prefix, "error.log")];
      const child = startChild("nginx", args, { core: "peer", cwd: prefix, logFile });
      return {
        target: { port, path: `${upstreamPath}/chat/completions`, headers: {} },
        readyMs: await awaitPort(child, port, startedAt, logFile),
        pid: child.pid ?? null,
        stop: () => endChild(child),
      };
    },
  };
}

function writeConfig(prefix: string, port: number, upstreamPort: number): string {
  // Started by root, its worker would be another user, who may not go into the lab's folder.
  const user = process.getuid?.() === 0 ? "user root;" : "";
  return `${user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${prefix}/nginx.pid;
events { worker_connections 16384; }
http {
  access_log off;
  ${temporaryFolders.map((name) => `${name}_temp_path ${prefix}/${name};`).join("\n  ")}
  client_body_buffer_size 2m;
  client_max_body_size 16m;
  keepalive_requests 1000000;
  upstream glm {
    server 127.0.0.1:${upstreamPort};
    keepalive 512;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / {
      proxy_pass http://glm;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`;
}
