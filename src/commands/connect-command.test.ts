// Every tool by the real command line, with a home folder of its own.

import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { parseEnv } from "node:util";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { run as runProcess } from "../../test/support/process.ts";
import { runCli } from "../cli.ts";
import { keyPlaceholder } from "./connect/access.ts";

const secret = "glmp_Zk3v9QaBwXyz0123456789";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "glm-proxy-"));
});
afterEach(() => rmSync(home, { recursive: true }));

interface Done {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** With a key on standard input, for those who ask for one there. */
async function connect(line: string, env: Record<string, string> = {}): Promise<Done> {
  let out = "";
  let err = "";
  const code = await runCli(["connect", ...line.split(" ")], {
    env: { HOME: home, ...env },
    cwd: home,
    clock: createManualClock(),
    version: "0.0.0",
    isTerminal: false,
    isTerminalGone: () => false,
    output: { write() {}, waitingBytes: 0, isFile: true },
    screenSize: () => ({ columns: 80, rows: 24 }),
    print: (text) => {
      out += `${text}\n`;
    },
    printError: (text) => {
      err += `${text}\n`;
    },
    write: (text) => {
      out += text;
    },
    onOutputClosed() {},
    readInput: () => Promise.resolve(`${secret}\n`),
    ask: null,
    askSecret: null,
    readKeys: null,
    onSignal() {},
    onUnexpected() {},
  });
  return { code, out, err };
}

async function fine(line: string, env: Record<string, string> = {}): Promise<string> {
  const { code, out, err } = await connect(line, env);
  assert.equal(code, 0, err);
  return out;
}

async function refused(line: string, code: number, words: RegExp, env: Record<string, string> = {}): Promise<void> {
  const done = await connect(line, env);
  assert.equal(done.code, code, done.out);
  assert.match(done.err, words);
}

const at = (name: string) => join(home, name);
const read = (name: string) => readFileSync(at(name), "utf8");
function put(name: string, text: string): void {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text, { mode: 0o600 });
}

/** One that can be written: its file, one that was there before, a change of somebody else's, and one that is broken. */
interface Case {
  readonly tool: string;
  readonly file: string;
  readonly options: string;
  readonly original: string;
  readonly change: (text: string) => string;
  readonly broken: string;
  /** What the tool reads out of the file. */
  readonly check: (text: string, url: string) => void;
  readonly holdsKey: boolean;
}

const checkEnv = (text: string, expected: Record<string, string>) => {
  const found = parseEnv(text);
  for (const [name, value] of Object.entries(expected)) assert.equal(found[name], value, name);
};

const dotenv = { options: " --file .env", file: ".env", broken: '{"a":1}\n', holdsKey: true } as const;
const cases: readonly Case[] = [
  {
    tool: "claude",
    file: ".claude/settings.json",
    options: "",
    original:
      '{\n  "permissions": {"allow": ["Bash(ls)"]},\n  "env": {\n    "ANTHROPIC_API_KEY": "sk-ant-0123456789"\n  }\n}\n',
    change: (text) => text.replace("Bash(ls)", "Bash(cat)").replace('"env"', '"theme": "dark", "env"'),
    broken: '{ // no\n"env": {}}',
    holdsKey: true,
    check: (text, url) =>
      assert.deepEqual((JSON.parse(text) as { env: object }).env, {
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_AUTH_TOKEN: secret,
        ANTHROPIC_API_KEY: "",
        ANTHROPIC_DEFAULT_OPUS_MODEL: "glm-4.6",
        ANTHROPIC_DEFAULT_SONNET_MODEL: "glm-4.6",
        ANTHROPIC_DEFAULT_HAIKU_MODEL: "glm-4.6",
        API_TIMEOUT_MS: "3000000",
      }),
  },
  {
    tool: "codex",
    file: ".codex/config.toml",
    options: "",
    original: '# mine\nmodel = "gpt-6" # best\n\n[mcp_servers.x]\ncommand = "x"\n',
    change: (text) => `${text}\n[projects."/src"]\ntrust_level = "trusted"\n`,
    broken: "model = \n",
    holdsKey: false,
    check: (text, url) => {
      assert.match(
        text,
        /^(?:# mine\n)?model = "glm-4\.6".*\n(?:.*\n)?model_provider = "glm-proxy"\nweb_search = "disabled"\n/,
      );
      assert.ok(
        text.includes(
          `[model_providers.glm-proxy]\nname = "glm-proxy"\nbase_url = "${url}/v1"\nenv_key = "GLM_PROXY_KEY"\nwire_api = "responses"\n`,
        ),
      );
    },
  },
  {
    tool: "opencode",
    file: ".config/opencode/opencode.json",
    options: "",
    original: '{\n\t// mine\n\t"theme": "x", /* dark */\n\t"provider": {},\n}\n',
    change: (text) => text.replace("// mine", "// yours").replace("$schema", "$scheme"),
    broken: '{"provider": }',
    holdsKey: true,
    check: (text, url) => {
      const { provider, model } = JSON.parse(
        text.replace(/\/\/ mine|\/\* dark \*\//g, "").replace(/,(\s*\})/g, "$1"),
      ) as { provider: object; model: string };
      assert.equal(model, "glm-proxy/glm-4.6");
      assert.deepEqual(provider, {
        "glm-proxy": {
          npm: "@ai-sdk/openai-compatible",
          name: "glm-proxy",
          options: { baseURL: `${url}/v1`, apiKey: secret },
          models: { "glm-4.6": { name: "glm-4.6" } },
        },
      });
    },
  },
  {
    ...dotenv,
    tool: "openwebui",
    original: "# mine\nWEBUI_NAME='x'\nOPENAI_API_KEYS=sk-old\n",
    change: (text) => `${text}NEW=1\n`,
    check: (text, url) =>
      checkEnv(text, { ENABLE_OPENAI_API: "true", OPENAI_API_BASE_URLS: `${url}/v1`, OPENAI_API_KEYS: secret }),
  },
  {
    ...dotenv,
    tool: "python",
    original: "export DEBUG=1",
    change: (text) => `# new\n${text}`,
    check: (text, url) =>
      checkEnv(text, {
        OPENAI_BASE_URL: `${url}/v1`,
        OPENAI_API_KEY: secret,
        ZAI_BASE_URL: `${url}/api/paas/v4`,
        ZAI_API_KEY: secret,
      }),
  },
  {
    ...dotenv,
    tool: "node",
    original: "OPENAI_BASE_URL=https://api.openai.com/v1\r\nB=2\r\n",
    change: (text) => `${text}C=3\r\n`,
    check: (text, url) => checkEnv(text, { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: secret }),
  },
];

for (const { tool, file, options, original, change, broken, check, holdsKey } of cases) {
  const backup = `${file}.before-glm-proxy`;
  const write = `${tool} --write --model glm-4.6 --key -${options}`;
  const restore = `${tool} --restore${options}`;

  describe(`glm-proxy connect ${tool}`, () => {
    it("prints what to set, with the key only when it was given for it", async () => {
      assert.ok((await fine(`${tool} --key -`)).includes(secret));
      assert.ok((await fine(tool)).includes(keyPlaceholder));
      const named = await fine(tool, { GLM_PROXY_KEY: secret });
      assert.ok(!named.includes(secret));
      assert.match(named, /GLM_PROXY_KEY/);
      assert.match(named, /http:\/\/127\.0\.0\.1:8080/);
      const { url, snippets } = JSON.parse(await fine(`${tool} --json --url https://glm.example.org/v1/`)) as {
        url: string;
        snippets: { where: string; text: string }[];
      };
      assert.equal(url, "https://glm.example.org");
      assert.ok(snippets.some(({ text }) => text.includes("https://glm.example.org")));
      assert.deepEqual(readdirSync(home), []);
    });

    it("writes into a file that is there, shows what it changed without keys, and puts it back byte for byte", async () => {
      put(file, original);
      chmodSync(at(file), 0o644);
      const { code, out, err } = await connect(write);
      assert.equal(code, 0, err);
      check(read(file), "http://127.0.0.1:8080");
      assert.ok(!(out + err).includes(secret) && !out.includes("sk-"), out);
      assert.match(out, /^\+ .*127\.0\.0\.1:8080/m);
      assert.equal(/others can read/.test(err), holdsKey);
      assert.equal(read(backup), original);
      await fine(restore);
      assert.equal(read(file), original);
      assert.ok(!existsSync(at(backup)));
    });

    it("writes once however often it is asked to, and takes other values over", async () => {
      put(file, original);
      await fine(write);
      const once = read(file);
      assert.match(await fine(write), /has it all already/);
      assert.equal(read(file), once);
      await fine(`${write} --url https://glm.example.org`);
      check(read(file), "https://glm.example.org");
      await fine(restore);
      assert.equal(read(file), original);
    });

    it("makes the file that is not there, for its owner alone, and removes it again", async () => {
      await fine(write);
      check(read(file), "http://127.0.0.1:8080");
      await fine(restore);
      assert.ok(!existsSync(at(file)));
      await refused(restore, 1, /Nothing to restore/);
    });

    it("does not put back over what somebody else changed since, unless it is forced to", async () => {
      for (const before of [original, null]) {
        if (before !== null) put(file, before);
        await fine(write);
        const changed = change(read(file));
        writeFileSync(at(file), changed);
        await refused(restore, 1, /changed since, beyond what connect wrote/);
        assert.equal(read(file), changed);
        await fine(`${restore} --force`);
        if (before === null) assert.ok(!existsSync(at(file)));
        else assert.equal(read(file), before);
        rmSync(at(file), { force: true });
      }
    });

    it("leaves a broken file alone", async () => {
      put(file, broken);
      await refused(write, 1, /Cannot edit ~\/.*\nNothing was changed/);
      assert.equal(read(file), broken);
      assert.ok(!existsSync(at(backup)));
    });
  });
}

describe("glm-proxy connect", () => {
  it("says of tools without a file what to do instead", async () => {
    for (const tool of ["cline", "curl"]) {
      for (const option of ["--write", "--restore"]) {
        await refused(
          `${tool} ${option}`,
          2,
          new RegExp(`There is nothing to write for .*\nglm-proxy connect ${tool} shows`),
        );
      }
    }
    assert.match(
      await fine("cline --key -"),
      new RegExp(`API Provider +OpenAI Compatible\nBase URL +http.*/v1\nAPI Key +${secret}\n`),
    );
  });

  it("prints a call that a shell expands the key in", async () => {
    const env = { GLM_PROXY_KEY: secret };
    assert.match(await fine("curl --shell bash", env), /-H "authorization: Bearer \$GLM_PROXY_KEY"/);
    assert.match(await fine("curl --shell fish", env), /-H "authorization: Bearer \$GLM_PROXY_KEY"/);
    assert.match(await fine("curl --shell powershell", env), /authorization = "Bearer \$env:GLM_PROXY_KEY"/);
    assert.match(await fine("claude --shell fish"), /^set -gx ANTHROPIC_BASE_URL http:/m);
    assert.match(await fine("claude --shell powershell"), /^\$env:ANTHROPIC_BASE_URL = 'http:/m);
    assert.match(await fine("claude"), /^export ANTHROPIC_API_KEY=''$/m);
  });

  it("takes the key from an option, a file, standard input or the environment; what it writes has it", async () => {
    put("key.txt", `${secret}\n`);
    const token = () =>
      (JSON.parse(read(".claude/settings.json")) as { env: Record<string, string> }).env.ANTHROPIC_AUTH_TOKEN;
    for (const [option, env] of [
      [`--key ${secret}`, {}],
      ["--key-file key.txt", {}],
      ["--key-file -", {}],
      ["--key -", {}],
      ["--key -", { GLM_PROXY_KEY: "glmp_another" }],
      ["--json", { GLM_PROXY_KEY: secret }],
    ] as const) {
      const { out, err } = await connect(`claude --write ${option}`, env);
      assert.equal(token(), secret, option);
      assert.ok(!(out + err).includes(secret), option);
      await fine("claude --restore");
    }
  });

  it("names the variable in OpenCode's file when the key was not given for it", async () => {
    await fine("opencode --write", { GLM_PROXY_KEY: secret });
    assert.match(read(".config/opencode/opencode.json"), /"apiKey": "\{env:GLM_PROXY_KEY\}"/);
  });

  it("finds files where the tools look for them", async () => {
    await fine("claude --write --key -", { CLAUDE_CONFIG_DIR: at("c") });
    await fine("codex --write", { CODEX_HOME: at("x") });
    await fine("opencode --write", { XDG_CONFIG_HOME: at("o") });
    put("p/opencode/opencode.jsonc", "{}");
    await fine("opencode --write", { XDG_CONFIG_HOME: at("p") });
    await fine("opencode --write", { OPENCODE_CONFIG: at("q.json") });
    await fine("codex --write --file project.toml");
    for (const file of ["c/settings.json", "x/config.toml", "o/opencode/opencode.json", "q.json", "project.toml"])
      assert.ok(existsSync(at(file)), file);
    assert.match(read("p/opencode/opencode.jsonc"), /glm-proxy/);
    await refused("codex --write", 2, /HOME is not set/, { HOME: "" });
  });

  it("tells the URL that was given, of the environment, or that the configuration says to listen on", async () => {
    put("config.toml", '[server]\nhost = "192.0.2.1"\nport = 9000\n');
    assert.match(await fine("curl"), /http:\/\/192\.0\.2\.1:9000\/v1\//);
    assert.match(
      await fine("curl", { GLM_PROXY_URL: "https://glm.example.org/base/" }),
      /https:\/\/glm\.example\.org\/base\/v1\//,
    );
    assert.match(await fine("curl --config config.toml", { GLM_PROXY_URL: "https://x" }), /192\.0\.2\.1/);
    assert.match(await fine("curl --url http://[::1]:8080"), /http:\/\/\[::1\]:8080\/v1/);
    put("config.toml", "[server]\nport = 0\n");
    await refused("curl", 1, /name its URL with --url/);
    put("config.toml", "[server]\nport = nothing\n");
    assert.match(await fine("curl"), /http:\/\/127\.0\.0\.1:8080/);
    await refused("curl --config config.toml", 78, /config\.toml/);
    assert.match((await connect("curl --url http://glm.example.org")).err, /unencrypted/);
  });

  it("refuses what makes no sense, and then changes nothing", async () => {
    await refused("claud", 2, /Did you mean claude/);
    await refused("claude --write --restore", 2, /give one/);
    await refused("claude --force", 2, /goes with --restore/);
    await refused("claude --file x", 2, /goes with --write/);
    await refused("claude --write", 2, /a key is missing.*\n.*--key-file/);
    await refused("claude --write --key a --key-file b", 2, /give one/);
    await refused("claude --write --key-file nowhere", 1, /Cannot read the key: there is no file/);
    await refused("claude --write --key schlüssel", 2, /visible ASCII/);
    await refused("python --write --key -", 2, /name it with --file/);
    await refused("claude --model ", 2, /Cannot use the model/);
    await refused("claude --url ftp://x", 2, /Cannot use the URL/);
    await refused("claude --url https://user:password@x", 2, /without credentials/);
    await refused("claude --shell tcsh", 2, /tcsh/);
  });

  it("masks what it replaces as well", async () => {
    put(
      ".claude/settings.json",
      '{"env":{"ANTHROPIC_BASE_URL":"https://me:pass@old","ANTHROPIC_AUTH_TOKEN":"sk-old-0123456789"}}',
    );
    const out = await fine("claude --write --key -");
    assert.doesNotMatch(out, /pass|sk-old-0123456789/);
    assert.match(out, /^- env\.ANTHROPIC_AUTH_TOKEN = …6789$/m);
  });

  it("is there for whoever starts the program", async () => {
    const started = runProcess(["connect", "claude", "--key", "-"], { folder: home } as never, {}, secret);
    assert.equal(await started.exit, 0, started.stderr());
    assert.match(started.stdout(), new RegExp(`^export ANTHROPIC_AUTH_TOKEN=${secret}$`, "m"));
    const help = runProcess(["connect", "claude", "--help"], { folder: home } as never);
    assert.equal(await help.exit, 0);
    assert.match(help.stdout(), /Examples:\n {2}glm-proxy connect claude\n/);
  });
});
