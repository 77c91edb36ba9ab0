// What stands where a command would write, and is not the gateway's: the command refuses in words, and nothing on the
// disk is another than before, in mode, owner and content.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import { createWorkspace, run, type Workspace } from "../support/process.ts";

const key = { GLM_FLASH_API_KEY: "0123456789abcdef.0123456789abcdef" };
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

/** Puts something foreign at the path, and returns the path to give. */
const obstacles: Readonly<Record<string, (path: string) => Promise<string> | string>> = {
  "a directory": (path) => {
    mkdirSync(path, { mode: 0o755 });
    writeFileSync(join(path, "precious"), "kept", { mode: 0o644 });
    return path;
  },
  "/dev/null": () => "/dev/null",
  "a named pipe": (path) => {
    execFileSync("mkfifo", ["-m", "644", path]);
    return path;
  },
  "a socket": async (path) => {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return path;
  },
  "a database of another program": (path) => {
    const database = new DatabaseSync(path);
    database.exec("pragma journal_mode = wal; create table bookmarks (url text)");
    database.close();
    chmodSync(path, 0o644);
    return path;
  },
  "a file of somebody else": (path) => {
    writeFileSync(path, "a diary, not a database nor a configuration\n".repeat(300), { mode: 0o644 });
    return path;
  },
};
const names = Object.keys(obstacles);
const links = names.map((name) => `a link to ${name}`);

async function place(what: string, path: string): Promise<string> {
  const kind = what.replace(/^a link to /, "");
  if (kind === what) return (obstacles[kind] as (path: string) => Promise<string> | string)(path);
  const target = await (obstacles[kind] as (path: string) => Promise<string> | string)(`${path}-target`);
  symlinkSync(target, path);
  return path;
}

/** Everything below the folder, and the device that links may lead to. */
function look(folder: string, ownFolder?: string): Record<string, unknown> {
  const seen: Record<string, unknown> = {};
  const note = (path: string) => {
    const stats = lstatSync(path);
    const content = stats.isFile() ? readFileSync(path, "hex") : stats.isSymbolicLink() ? readlinkSync(path) : null;
    seen[path] = [stats.mode, stats.uid, stats.gid, stats.ino, content];
    if (path === ownFolder) return;
    if (stats.isDirectory()) for (const name of readdirSync(path)) note(join(path, name));
  };
  note(folder);
  const { mode, uid, gid } = lstatSync("/dev/null");
  return { ...seen, device: [mode, uid, gid] };
}

interface Command {
  readonly name: string;
  /** Foreign to it. */
  readonly obstacles: readonly string[];
  /** Of what has no path of its own to give: where it is. */
  readonly at?: (workspace: Workspace) => string;
  prepare?(workspace: Workspace): Promise<void> | void;
  args(path: string, workspace: Workspace): readonly string[];
  env?(path: string, workspace: Workspace): Record<string, string>;
  readonly input?: string;
  readonly exitCode?: number;
  /** What it may change: the database that it opens. */
  readonly ownFolder?: (workspace: Workspace) => string;
}

const withoutDevice = [...names, ...links].filter((name) => name !== "/dev/null");
const notFiles = [...names, ...links].filter((name) => !/file of|database of/.test(name));
const data = (workspace: Workspace) => workspace.path("data/glm-proxy");
const makeData = (workspace: Workspace) => void mkdirSync(data(workspace), { recursive: true, mode: 0o755 });
const dataEnv = (workspace: Workspace) => ({ ...key, XDG_DATA_HOME: workspace.path("data") });
const serve = ["serve", "--host", "127.0.0.1", "--port", "0"];
const beside = (suffix: string): Command => ({
  name: `serve with glm-proxy.sqlite${suffix}`,
  obstacles: withoutDevice.filter((name) => name !== "a link to /dev/null" || suffix !== ".lock"),
  prepare: makeData,
  at: (workspace) => join(data(workspace), `glm-proxy.sqlite${suffix}`),
  args: () => serve,
  env: (_, workspace) => dataEnv(workspace),
});

const commands: readonly Command[] = [
  {
    name: "serve with [store] url",
    obstacles: [...names, ...links],
    args: () => serve,
    env: (path, workspace) => ({ ...dataEnv(workspace), GLM_PROXY__STORE__URL: `sqlite:${path}` }),
  },
  ...["", "-wal", "-shm", "-journal", ".lock"].map(beside),
  {
    ...beside(""),
    name: "serve with admin.sock",
    obstacles: withoutDevice.filter((name) => !name.endsWith("a socket") || name.startsWith("a link")),
    at: (workspace) => join(data(workspace), "admin.sock"),
  },
  {
    ...beside(""),
    name: "serve with jwt_secret",
    obstacles: withoutDevice.filter((name) => name !== "a link to /dev/null"),
    at: (workspace) => join(data(workspace), "jwt_secret"),
    exitCode: 78,
  },
  {
    name: "serve --config",
    obstacles: [...names, ...links],
    args: (path) => [...serve, "--config", path],
    env: (_, workspace) => dataEnv(workspace),
    exitCode: 78,
  },
  {
    name: "serve with a key in a file",
    obstacles: notFiles,
    args: () => serve,
    env: (path, workspace) => ({ XDG_DATA_HOME: workspace.path("data"), GLM_FLASH_API_KEY_FILE: path }),
    exitCode: 78,
  },
  {
    name: "serve with a data folder",
    obstacles: [...names, ...links].filter((name) => !name.endsWith("a directory")),
    args: () => serve,
    env: (path) => ({ ...key, STATE_DIRECTORY: path }),
  },
  {
    name: "user add with [store] url",
    obstacles: [...names, ...links],
    args: () => ["user", "add", "ada", "--admin"],
    env: (path, workspace) => ({ ...dataEnv(workspace), GLM_PROXY__STORE__URL: `sqlite:${path}` }),
    input: "correct horse battery staple",
  },
  {
    name: "migrate up with [store] url",
    obstacles: [...names, ...links],
    args: () => ["migrate", "up"],
    env: (path, workspace) => ({ ...dataEnv(workspace), GLM_PROXY__STORE__URL: `sqlite:${path}` }),
  },
  {
    name: "doctor with [store] url",
    obstacles: [...names, ...links],
    args: () => ["doctor"],
    env: (path, workspace) => ({ ...dataEnv(workspace), GLM_PROXY__STORE__URL: `sqlite:${path}` }),
    exitCode: 1,
  },
  {
    name: "init --config",
    obstacles: [...names, ...links],
    args: (path) => ["init", "--yes", "--key-in", "none", "--config", path],
  },
  {
    name: "init --force --config",
    obstacles: notFiles,
    args: (path) => ["init", "--yes", "--force", "--key-in", "none", "--config", path],
  },
  {
    name: "init with .env",
    obstacles: notFiles.filter((name) => name !== "/dev/null"),
    at: (workspace) => workspace.path(".env"),
    args: () => ["init", "--yes", "--key-stdin"],
    input: "0123456789abcdef.0123456789abcdef",
  },
  {
    name: "connect --write --file",
    obstacles: [...names, ...links],
    args: (path) => [
      "connect",
      "opencode",
      "--write",
      "--url",
      "http://127.0.0.1:1",
      "--key",
      "sk-glm-1",
      "--file",
      path,
    ],
  },
  {
    name: "connect --write with something in the place of what it keeps",
    obstacles: notFiles.filter((name) => name !== "/dev/null"),
    prepare: (workspace) => workspace.write("opencode.json", "{}"),
    at: (workspace) => workspace.path("opencode.json.before-glm-proxy"),
    args: (_, workspace) => [
      ...["connect", "opencode", "--write", "--url", "http://127.0.0.1:1", "--key", "sk-glm-1"],
      ...["--file", workspace.path("opencode.json")],
    ],
  },
  {
    name: "connect --key-file",
    obstacles: notFiles,
    args: (path) => ["connect", "curl", "--url", "http://127.0.0.1:1", "--key-file", path],
  },
  {
    name: "backup",
    obstacles: [...names, ...links, "a link to nothing"],
    async prepare(workspace) {
      const made = run(
        ["user", "add", "ada", "--admin"],
        workspace,
        dataEnv(workspace),
        "correct horse battery staple",
      );
      assert.equal(await made.exit, 0, made.stderr());
    },
    ownFolder: data,
    args: (path) => ["backup", path],
    env: (_, workspace) => dataEnv(workspace),
  },
];

/** Each link is tried with some of the commands; GLM_PROXY_TEST_ALL=1: all with all. */
function chooseObstacles({ obstacles }: Command, index: number): readonly string[] {
  if (index === 0 || process.env.GLM_PROXY_TEST_ALL === "1") return obstacles;
  const some = obstacles.filter((what) => what.startsWith("a link"));
  return [...obstacles.filter((what) => !some.includes(what)), some[index % some.length] as string];
}

describe("something foreign in the place of a file", () => {
  for (const [index, command] of commands.entries()) {
    it(`is refused in words and left as it is: ${command.name}`, async () => {
      for (const what of chooseObstacles(command, index)) await refuse(command, what);
    });
  }
});

async function refuse(command: Command, what: string): Promise<void> {
  const { name, at, prepare, args, env, input, exitCode, ownFolder } = command;
  const workspace = createWorkspace();
  try {
    await prepare?.(workspace);
    const wanted = at?.(workspace) ?? workspace.path("thing");
    const path = what === "a link to nothing" ? makeLink(wanted) : await place(what, wanted);
    const before = look(workspace.folder, ownFolder?.(workspace));
    const done = run(args(path, workspace), workspace, env?.(path, workspace) ?? {}, input);
    const timer = setTimeout(() => done.child.kill("SIGKILL"), 20_000);
    const code = await done.exit;
    clearTimeout(timer);
    const said = `${name}, ${what}: ${code}\n${done.stdout()}${done.stderr()}`;
    assert.ok(exitCode === undefined ? [1, 69, 78].includes(Number(code)) : code === exitCode, said);
    assert.ok(done.stderr() + done.stdout() !== "", said);
    assert.doesNotMatch(done.stderr(), /\n\s+at /, said);
    assert.deepEqual(look(workspace.folder, ownFolder?.(workspace)), before, said);
  } finally {
    workspace.remove();
  }
}

function makeLink(path: string): string {
  symlinkSync(`${path}-nowhere`, path);
  return path;
}

describe("a folder that may only be read", () => {
  const nobody = 65_534;
  const skip = process.getuid?.() !== 0 && "needs root, to become somebody else";

  it("gets nothing, and keeps its mode", { skip }, async () => {
    const workspace = createWorkspace();
    try {
      chmodSync(workspace.folder, 0o755);
      mkdirSync(workspace.path("data"), { mode: 0o755 });
      chmodSync(workspace.path("data"), 0o555);
      const before = look(workspace.folder);
      for (const url of [undefined, `sqlite:${workspace.path("data/x.sqlite")}`]) {
        const env = { ...key, STATE_DIRECTORY: workspace.path("data"), ...(url && { GLM_PROXY__STORE__URL: url }) };
        const done = run(serve, workspace, env, undefined, undefined, nobody);
        assert.equal(await done.exit, 69, done.stderr());
        assert.match(done.stderr(), /EACCES/);
      }
      assert.deepEqual(look(workspace.folder), before);
      assert.ok(!existsSync(workspace.path("data/jwt_secret")));
    } finally {
      workspace.remove();
    }
  });
});
