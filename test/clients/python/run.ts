// Runs the Python clients against a gateway of their own: `npm run test:python -- PYTHON`, where PYTHON is an interpreter
// that has what requirements.txt names. Each client is a process; what it printed is shown, and one that fails ends it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { send, startGateway, until } from "../../support/gateway.ts";

const [python] = process.argv.slice(2);
if (python === undefined) throw new Error("usage: npm run test:python -- PYTHON");
const clients = ["openai", "anthropic", "zai-sdk", "litellm"] as const;
const clientMsMax = 120_000;

const gateway = await startGateway();
let passed = 0;
let failed = 0;
try {
  const token = await gateway.logIn();
  const { json } = await send(`${gateway.url}/me/keys`, { token, body: { name: "python" } });
  const environment = { GLM_PROXY_URL: gateway.url, GLM_PROXY_KEY: (json as { secret: string }).secret };
  for (const client of clients) {
    const { seen, status, stderr } = await run(client, environment);
    passed += seen.length;
    if (status !== 0) failed++;
    console.log(`${client}: ${seen.join(", ")}${status === 0 ? "" : `\n${stderr}`}`);
    await until("all is free", () => gateway.app.snapshot().running === 0);
    await until("the upstream is idle", () => gateway.simulator.report().inFlight === 0);
  }
} finally {
  await gateway.stop();
}
console.log(`${passed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;

async function run(client: string, environment: Record<string, string>) {
  const script = new URL("clients.py", import.meta.url).pathname;
  const child = spawn(python as string, [script, client], {
    // LiteLLM would fetch its list of prices from the network otherwise.
    env: { PATH: process.env.PATH ?? "", LITELLM_LOCAL_MODEL_COST_MAP: "True", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: clientMsMax,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes: Buffer) => {
    stdout += bytes.toString();
  });
  child.stderr.on("data", (bytes: Buffer) => {
    stderr = (stderr + bytes.toString()).slice(-4_000);
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { seen: stdout.split("\n").filter(Boolean), status, stderr };
}
