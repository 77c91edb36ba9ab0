// Many at once: a thousand streams through one process without an error, and a burst that the limit holds back.

import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { describe, it } from "node:test";
import { startSimulator } from "../../src/simulator/simulator.ts";
import { chat, send, startGateway, until, upstreamKey } from "../support/gateway.ts";
import { createWorkspace, serve } from "../support/process.ts";

const streams = 1_000;

describe("a thousand concurrent streams", () => {
  it("run to their end without an error, in a process whose memory stays within bounds", async (t) => {
    const simulator = await startSimulator({ apiKeys: [upstreamKey] });
    const workspace = createWorkspace();
    workspace.write(
      "config.toml",
      `
[server]
connections_per_address = 2000
[auth]
jwt_secret = "0123456789abcdef0123456789abcdef-test"
token_ttl_seconds = 600
[[auth.users]]
username = "user1"
password = "pass123"
[glm]
base_url = "${simulator.baseUrl}"
[rate_limit]
requests_per_second = 100000
`,
    );
    const gateway = await serve([], workspace, { GLM_FLASH_API_KEY: upstreamKey });
    try {
      const { json } = await send(`${gateway.url}/auth/login`, { body: { username: "user1", password: "pass123" } });
      const { token } = json as { token: string };
      const before = await readMemory(gateway.url);
      const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
      let open = 0;
      let isReleased = false;
      // Each stays open until all are: the last frames come when the first have been there for seconds.
      const body = Buffer.from(JSON.stringify(chat("[first=10] [frames=40] [delay=100]", { stream: true })));
      const outcomes = await Promise.all(
        Array.from({ length: streams }, () => stream(agent, gateway.port, token, body, () => open++)).concat(
          until("all are open at once", () => open === streams, 20_000).then(async () => {
            const during = await readMemory(gateway.url);
            const metrics = (await send(`${gateway.url}/metrics`)).text;
            assert.match(metrics, new RegExp(`glm_proxy_calls_running ${streams}`));
            t.diagnostic(`resident: ${before} MiB before, ${during} MiB with ${streams} streams open`);
            isReleased = true;
            return "ok";
          }),
        ),
      );
      assert.deepEqual(
        outcomes.filter((outcome) => outcome !== "ok"),
        [],
      );
      assert.ok(isReleased);
      await until("nothing runs", async () =>
        /glm_proxy_calls_running 0/.test((await send(`${gateway.url}/metrics`)).text),
      );
      assert.equal(simulator.report().inFlightMax, streams);
      assert.equal(simulator.report().aborts.length, 0);
      t.diagnostic(`resident: ${await readMemory(gateway.url)} MiB after them`);
      agent.destroy();
      assert.equal(await gateway.stop(), 0);
    } finally {
      gateway.child.kill("SIGKILL");
      await simulator.close();
      workspace.remove();
    }
  });
});

describe("two hundred calls at a limit of ten a second", () => {
  it("are held back so that the upstream never sees an eleventh, and those beyond the queue are refused", async () => {
    const gateway = await startGateway(
      { rateLimit: { startsPerSecond: 10, sendGuardMs: 100, queueCapacity: 30, queueTimeoutMs: 5_000 } },
      { requestsPerSecond: 10 },
    );
    try {
      const token = await gateway.logIn();
      const calls = Array.from({ length: 200 }, () => send(`${gateway.url}/chat/completions`, { token, body: chat() }));
      const statuses = (await Promise.all(calls)).map(({ status }) => status);
      const count = (wanted: number) => statuses.filter((status) => status === wanted).length;
      assert.deepEqual([count(200), count(429)], [40, 160]);
      assert.deepEqual(gateway.simulator.report().violations, []);
    } finally {
      await gateway.stop();
    }
  });
});

/** Resolves with "ok" when a stream has come to its [DONE], else with what went wrong. */
function stream(agent: Agent, port: number, token: string, body: Buffer, onOpen: () => void): Promise<string> {
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": body.length,
    };
    const path = "/v1/chat/completions";
    const call = request({ agent, port, host: "127.0.0.1", method: "POST", path, headers }, (response) => {
      let tail = "";
      response.once("data", onOpen);
      response.on("data", (chunk: Buffer) => {
        tail = (tail + chunk.toString("latin1")).slice(-100);
      });
      response.on("end", () => resolve(tail.endsWith("data: [DONE]\n\n") ? "ok" : `${response.statusCode}: ${tail}`));
      response.on("error", (error) => resolve(String(error)));
    });
    call.on("error", (error) => resolve(String(error)));
    call.end(body);
  });
}

/** Resident memory in MiB. */
async function readMemory(url: string): Promise<number> {
  const { text } = await send(`${url}/metrics`);
  return Math.round(Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]) / 1024 / 1024);
}
