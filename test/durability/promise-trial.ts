// Keeps or breaks what answers promise: the gateway as a process, asked by several at once, killed when the first has its
// whole answer, and started again. Every process but the first is judged, and killed in its turn.

import { request } from "node:http";
import { startSimulator } from "../../src/simulator/simulator.ts";
import { send } from "../support/gateway.ts";
import { createWorkspace, type Served, type Workspace } from "../support/process.ts";
import { startProcess, upstreamKey } from "./gateway-process.ts";
import type { Promised, Scene } from "./promises.ts";

const account = { username: "root", password: "an administrator's pass phrase" };

export interface PromiseTrial {
  readonly problems: readonly string[];
  /** Answers that came in whole. */
  readonly answered: number;
}

export async function tryPromises(list: readonly Promised[], atOnce: number): Promise<PromiseTrial> {
  const workspace = createWorkspace();
  const simulator = await startSimulator({ apiKeys: [upstreamKey], taskMs: 1 });
  const problems: string[] = [];
  let answered = 0;
  let served: Served | null = null;
  try {
    workspace.write(
      "config.toml",
      `[server]\nhost = "127.0.0.1"\n[auth]\ntoken_ttl_seconds = 3600\n[glm]\nbase_url = "${simulator.baseUrl}"\n[rate_limit]\nrequests_per_second = 1000\nqueue_capacity = 100\n`,
    );
    served = await startProcess(workspace);
    const setup = await setUp(served);
    await kill(served);
    served = await startProcess(workspace);
    if ((await claim(served, setup)) === 201) problems.push("a setup link works twice");
    // The generated secret outlived the first process, or this token would be void.
    const root = await logInAsRoot(served);

    let count = 0;
    const toScene = (url: string): Scene => ({
      url,
      workspace,
      root,
      backUp: (file) => backUp(workspace, file),
      fresh: () => `n${count++}`,
    });
    for (const { what, ask } of list) {
      const scene = toScene(served.url);
      const asked = Array.from({ length: atOnce }, () => ask(scene));
      await Promise.race(asked).catch(() => {});
      await kill(served);
      const outcomes = await Promise.allSettled(asked);
      served = await startProcess(workspace);
      const kept = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      if (kept.length === 0)
        problems.push(`${what}: nothing was answered: ${(outcomes[0] as PromiseRejectedResult).reason}`);
      answered += kept.length;
      for (const keep of kept) {
        await keep(toScene(served.url)).catch((error: unknown) =>
          problems.push(`${what}: ${(error as Error).message}`),
        );
      }
    }
    return { problems, answered };
  } finally {
    if (served) await kill(served);
    await simulator.close();
    workspace.remove();
  }
}

async function kill(served: Served): Promise<void> {
  served.child.kill("SIGKILL");
  await served.exit;
}

/** The secret of the setup link, with which the first administrator was made. */
async function setUp(served: Served): Promise<string> {
  const link = served.log().find(({ url }) => typeof url === "string" && url.includes("/auth/setup#"));
  const token = String(link?.url).split("#")[1] as string;
  const status = await claim(served, token);
  if (status !== 201) throw new Error(`the setup link does not work: ${status}`);
  return token;
}

async function claim({ url }: Served, token: string): Promise<number> {
  return (await send(`${url}/auth/setup`, { body: { setup_token: token, ...account } })).status;
}

async function logInAsRoot({ url }: Served): Promise<string> {
  const { json, text } = await send(`${url}/auth/login`, { body: account });
  const { token } = json as { token?: string };
  if (token === undefined) throw new Error(`the first administrator is not there: ${text}`);
  return token;
}

function backUp(workspace: Workspace, file: string): Promise<number> {
  const socketPath = workspace.path("data/glm-proxy/admin.sock");
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    request({ socketPath, path: "/admin/backup", method: "POST", headers }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    })
      .once("error", reject)
      .end(JSON.stringify({ file }));
  });
}
