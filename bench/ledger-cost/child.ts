// The simulated GLM and the clients of the ledger's benchmark, in a process of their own.

import { Agent, request as openRequest } from "node:http";
import { startSimulator } from "../../src/simulator/simulator.ts";

export type ChildRequest =
  | { readonly kind: "start" }
  | {
      readonly kind: "call";
      readonly url: string;
      readonly token: string;
      readonly count: number;
      readonly concurrency: number;
    };

export interface ChildReply {
  readonly baseUrl: string;
}

export const upstreamKey = "simulated.0123456789abcdef";

const body = Buffer.from(
  JSON.stringify({
    model: "glm-4.5-flash",
    messages: [{ role: "user", content: "How many people share one key? [frames=20]" }],
    thinking: { type: "disabled" },
  }),
);

if (process.send) {
  const simulator = await startSimulator({ apiKeys: [upstreamKey], firstTokenMs: 0, tokenMs: 0 });
  process.on("message", async (request: ChildRequest) => {
    if (request.kind === "call") await callMany(request);
    process.send?.({ baseUrl: simulator.baseUrl } satisfies ChildReply);
  });
  // Whoever started this has gone.
  process.on("disconnect", () => process.exit());
}

async function callMany({ url, token, count, concurrency }: Extract<ChildRequest, { kind: "call" }>): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  let begun = 0;
  async function live(): Promise<void> {
    while (begun++ < count) await callOnce(url, token, agent);
  }
  await Promise.all(Array.from({ length: concurrency }, live));
  agent.destroy();
}

function callOnce(url: string, token: string, agent: Agent): Promise<void> {
  const headers = {
    "content-type": "application/json",
    "content-length": String(body.length),
    authorization: `Bearer ${token}`,
  };
  return new Promise((resolve, reject) => {
    const request = openRequest(`${url}/chat/completions`, { method: "POST", headers, agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.resume();
      response.on("end", resolve);
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}
