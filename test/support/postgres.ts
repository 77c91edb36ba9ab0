// A real PostgreSQL for tests: a server of their own in a temporary folder, on a free loopback port, or the one that
// GLM_PROXY_TEST_POSTGRES_URL names. Null where there is neither: such tests are skipped by name.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { until } from "./until.ts";

export interface TestPostgres {
  /** A fresh, empty database: its URL. */
  createDatabase(): Promise<string>;
  /** What a server of our own can do, so that a test can take it away under load; null for somebody else's. */
  readonly server: TestServer | null;
  /** Drops what was created, and ends a server of our own. */
  stop(): Promise<void>;
}

export interface TestServer {
  /** `immediate` is as a crash. Resolves when it has ended. */
  halt(how: "fast" | "immediate"): Promise<void>;
  /** Starts it again on the same port, with the same data. Resolves when it answers. */
  resume(): Promise<void>;
}

/** Whatever becomes of the test's process, its end closes the standard input of this, and the server ends too. */
const watchdog = `exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; trap "" TERM; kill -QUIT $server; while kill -0 $server; do sleep 0.1; done; rm -rf "$PWD"; } &
watch=$!
exec 3<&-
wait $server
kill $watch`;

/** Why tests on PostgreSQL are skipped here, or false. */
export const skipsPostgres =
  process.env.GLM_PROXY_TEST_POSTGRES_URL === undefined && findBinaries() === null && "needs PostgreSQL's binaries";

export async function startPostgres(): Promise<TestPostgres | null> {
  const url = process.env.GLM_PROXY_TEST_POSTGRES_URL;
  if (url !== undefined) return createDatabases(url, null, async () => {});
  const binaries = findBinaries();
  return binaries === null ? null : startServer(binaries);
}

function findBinaries(): string | null {
  const folders = (process.env.PATH ?? "").split(":");
  const debians = globSync("/usr/lib/postgresql/*/bin").sort().reverse();
  return [...debians, ...folders].find((folder) => existsSync(join(folder, "initdb"))) ?? null;
}

async function startServer(binaries: string): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "glm-proxy-pg-"));
  // It refuses to run as root; then it runs as the account that its package made.
  const account = process.getuid?.() === 0 ? findAccount() : null;
  if (account) chownSync(folder, account.uid, account.gid);
  const data = join(folder, "data");
  const options = { ...account, cwd: folder, env: { PATH: process.env.PATH ?? "", LC_ALL: "C.UTF-8" } };
  const made = spawnSync(
    join(binaries, "initdb"),
    ["-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
    { ...options, encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await findFreePort();
  const url = `postgres://test@127.0.0.1:${port}/postgres`;
  let child: ChildProcess | null = null;

  async function resume(): Promise<void> {
    // No test pulls the machine's plug, so nothing has to wait for the disk.
    const speed = ["fsync=off", "full_page_writes=off"].flatMap((text) => ["-c", text]);
    const settings = ["-D", data, "-p", String(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", ...speed];
    const command = ["-c", watchdog, "sh", join(binaries, "postgres"), ...settings];
    child = spawn("sh", command, { ...options, stdio: ["pipe", "ignore", "ignore"] });
    // The test does not wait for it.
    child.unref();
    await until("PostgreSQL answers", () => answers(url), 20_000);
  }
  async function halt(how: "fast" | "immediate"): Promise<void> {
    const running = child;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.ref();
    const [pid = ""] = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    process.kill(Number(pid), how === "fast" ? "SIGINT" : "SIGQUIT");
    await ended;
  }
  await resume();
  return createDatabases(url, { halt, resume }, async () => {
    await halt("immediate");
    rmSync(folder, { recursive: true, force: true });
  });
}

function createDatabases(url: string, server: TestServer | null, end: () => Promise<void>): TestPostgres {
  const names: string[] = [];
  return {
    server,
    async createDatabase() {
      const name = `test_${randomBytes(8).toString("hex")}`;
      await query(url, `create database ${name} strategy file_copy`);
      names.push(name);
      const fresh = new URL(url);
      fresh.pathname = `/${name}`;
      return fresh.toString();
    },
    async stop() {
      if (server === null) for (const name of names) await query(url, `drop database if exists ${name} with (force)`);
      await end();
    },
  };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function answers(url: string): Promise<boolean> {
  return query(url, "select 1").then(
    () => true,
    () => false,
  );
}

function findAccount(): { uid: number; gid: number } {
  const ask = (flag: string) => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
  const [uid, gid] = [ask("-u"), ask("-g")];
  if (!(uid > 0)) throw new Error("PostgreSQL can't run as root, and there is no account called postgres");
  return { uid, gid };
}

function findFreePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return promise;
}
