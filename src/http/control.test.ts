import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { type ControlFacts, type ControlHandler, createControlSocket, socketPathBytesMax } from "./control.ts";

const folder = mkdtempSync(join(tmpdir(), "glm-proxy-control-"));
const path = join(folder, "admin.sock");
const seen: ControlFacts[] = [];
const failures: unknown[] = [];

const handler: ControlHandler = {
  handles: () => true,
  async handle(incoming, response, facts) {
    seen.push(facts);
    if (incoming.url === "/broken") throw new Error("a bug");
    response.end(facts.requestId);
  },
};

function get(url: string, headers: Record<string, string> = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath: path, path: url, headers }, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("end", () => resolve(text)).on("error", reject);
  });
  asked.on("error", reject).end();
  return promise;
}

describe("the control socket", () => {
  const socket = createControlSocket(handler, createManualClock(), (error) => failures.push(error));
  before(async () => {
    // What a process that was killed leaves behind.
    const bind = `process.umask(0o177);
      require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", bind, path]);
    assert.ok(statSync(path).isSocket());
    await socket.listen(path);
  });
  after(async () => {
    await socket.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is a file that only its owner can use, in place of what an earlier process left", () => {
    const stats = statSync(path);
    assert.ok(stats.isSocket());
    assert.equal((stats.mode & 0o777).toString(8), "600");
  });

  it("tells the handler that the operator asks, and in which language", async () => {
    const requestId = await get("/admin/users", { "accept-language": "zh-CN", "x-request-id": "chosen-by-client" });
    assert.equal(requestId, "chosen-by-client");
    const expected = { address: "local", isSecure: false, isAllowedHost: true, isLocalSocket: true, language: "zh" };
    assert.deepEqual(seen.at(-1), { requestId, ...expected });
  });

  it("cuts a request whose handler fails, and goes on", async () => {
    await assert.rejects(get("/broken"));
    assert.match(String(failures.at(-1)), /a bug/);
    assert.notEqual(await get("/admin/users"), "");
  });

  it("leaves alone a socket at which another process answers, and one that it did not make", async () => {
    const other = join(folder, "other.sock");
    const server = createServer();
    const listen = () => createControlSocket(handler, createManualClock(), () => {}).listen(other);
    await new Promise<void>((resolve) => server.listen(other, resolve));
    for (const [mode, message] of [
      [0o755, /other\.sock is not a socket of this gateway/],
      [0o600, /another process answers at .*other\.sock/],
    ] as const) {
      chmodSync(other, mode);
      const before = statSync(other);
      await assert.rejects(listen(), { code: "EFOREIGN", message });
      assert.deepEqual([statSync(other).ino, statSync(other).mode], [before.ino, before.mode]);
    }
    await new Promise((resolve) => server.close(resolve));
  });

  it("refuses a path that the system could not bind, and leaves nothing there", async () => {
    const long = join(folder, "x".repeat(socketPathBytesMax));
    await assert.rejects(createControlSocket(handler, createManualClock(), () => {}).listen(long), {
      reason: "bad_request",
    });
    assert.ok(!existsSync(long));
  });
});
