// An upstream whose certificate is not to be trusted is never sent the key.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { chat, send, startGateway } from "../support/gateway.ts";
import { createWorkspace } from "../support/process.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe("an upstream behind TLS", () => {
  it("with a certificate that nobody vouches for is a 502, and gets no request", {
    skip: !hasOpenssl && "needs openssl",
  }, async () => {
    const workspace = createWorkspace();
    const [key, cert] = [workspace.path("key.pem"), workspace.path("cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = spawnSync("openssl", [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "1",
      "-keyout",
      key,
      "-out",
      cert,
      ...subject,
    ]);
    assert.equal(made.status, 0, made.stderr.toString());
    let requests = 0;
    const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) => {
      requests++;
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const gateway = await startGateway({ glm: { baseUrl: `https://127.0.0.1:${port}/api/paas/v4` } });
    try {
      const { status, json } = await send(`${gateway.url}/chat/completions`, {
        token: await gateway.logIn(),
        body: chat(),
      });
      assert.deepEqual([status, (json as { error: { code: string } }).error.code], [502, "upstream_tls"]);
      assert.equal(requests, 0);
    } finally {
      await gateway.stop();
      server.close();
      workspace.remove();
    }
  });
});
