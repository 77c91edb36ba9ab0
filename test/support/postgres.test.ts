import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { skipsPostgres } from "./postgres.ts";
import { until } from "./until.ts";

describe("the tests' own PostgreSQL", { skip: skipsPostgres }, () => {
  it("ends with the test's process, and leaves nothing behind, even when that is killed", async () => {
    const script = `
      import { startPostgres } from ${JSON.stringify(new URL("./postgres.ts", import.meta.url).href)};
      import { Client } from "pg";
      const client = new Client({ connectionString: await (await startPostgres()).createDatabase() });
      await client.connect();
      const { rows } = await client.query("select pg_backend_pid() as pid, current_setting('data_directory') as folder");
      console.log(JSON.stringify(rows[0]));
      setInterval(() => {}, 1_000);`;
    const { GLM_PROXY_TEST_POSTGRES_URL: _, ...env } = process.env;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: new URL("../..", import.meta.url),
      env,
    });
    const line = await new Promise<string>((resolve) => {
      child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    });
    const { pid, folder } = JSON.parse(line) as { pid: number; folder: string };
    assert.ok(existsSync(`/proc/${pid}`) && existsSync(folder));
    child.kill("SIGKILL");
    await until("the server is gone", () => !existsSync(`/proc/${pid}`) && !existsSync(folder), 10_000);
  });
});
