// Bundles the gateway into one file that runs on Node without this checkout: dist/glm-proxy.js, or where it is told to.

import { chmodSync, readFileSync, rmSync } from "node:fs";
import { build } from "esbuild";
import { builtinsPlugin } from "./builtins-plugin.ts";
import { workersPlugin } from "./workers-plugin.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const outfile = process.argv[2] ?? "dist/glm-proxy.js";

if (process.argv[2] === undefined) rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/main.ts"],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  legalComments: "eof",
  define: { "process.env.GLM_PROXY_BUNDLED_VERSION": JSON.stringify(version) },
  banner: {
    // Some of the bundled packages are CommonJS and ask for Node's own modules by require().
    js: "#!/usr/bin/env node\nimport { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
  },
  // A third less to read at each start. Names stay, for the sake of stacks in the log.
  minifyWhitespace: true,
  minifySyntax: true,
  plugins: [workersPlugin, builtinsPlugin],
  logLevel: "warning",
});
chmodSync(outfile, 0o755);
console.log(`${outfile}: glm-proxy ${version}`);
