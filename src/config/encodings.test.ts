import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createWorkspace } from "./fixtures/workspace.ts";

const toml = '[server]\nport = 8123\n[[auth.users]]\nusername = "Zoë"\npassword = "long enough"\n';
const utf16 = (text: string) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);

describe("files of the configuration", () => {
  it("may have a byte order mark and any line ends", () => {
    for (const text of [`\uFEFF${toml}`, toml.replaceAll("\n", "\r\n"), `\uFEFF${toml.replaceAll("\n", "\r\n")}`]) {
      using workspace = createWorkspace();
      workspace.write("config.toml", text);
      workspace.write(".env", "\uFEFFGLM_PROXY__SERVER__HOST=127.0.0.2\r\nGLM_PROXY_LOG=debug\r\n");
      const { settings } = workspace.load();
      assert.deepEqual([settings.server.port, settings.server.host, settings.log.level], [8123, "127.0.0.2", "debug"]);
      assert.equal(settings.auth.users[0]?.username, "Zoë");
    }
  });

  it("are refused by name in another encoding than UTF-8", () => {
    const others: [string, string | Buffer, RegExp][] = [
      ["config.toml", utf16(toml), /^config\.toml: cannot be read: it is not UTF-8 but UTF-16/],
      ["config.toml", Buffer.from(toml, "latin1"), /^config\.toml: cannot be read: it is not UTF-8: save it as UTF-8/],
      [".env", utf16("GLM_FLASH_API_KEY=sim.secret\n"), /^\.env: cannot be read: it is not UTF-8 but UTF-16/],
      [".env", Buffer.from("A=caf\u00e9\n", "latin1"), /^\.env: cannot be read: it is not UTF-8: save it as UTF-8/],
    ];
    for (const [name, bytes, problem] of others) {
      using workspace = createWorkspace();
      workspace.write(name, bytes);
      assert.ok(
        workspace.listProblems().some((line) => problem.test(line)),
        name,
      );
    }
  });

  it("give one name for both Unicode forms of a user's name, and refuse both at once", () => {
    using workspace = createWorkspace();
    const decomposed = toml.replace("Zoë", "Zoe\u0308");
    workspace.write("config.toml", decomposed);
    assert.equal(workspace.load().settings.auth.users[0]?.username, "Zo\u00eb");
    workspace.write("config.toml", `${decomposed}[[auth.users]]\nusername = "Zo\u00eb"\npassword = "long enough"\n`);
    assert.match(workspace.listProblems().join(), /is the same as that of entry 1/);
  });

  it("are told of a key with quotation marks that a shell would have taken away", () => {
    using workspace = createWorkspace();
    const { notices } = workspace.load({ env: { GLM_FLASH_API_KEY: '"sim.secret"' } });
    const notice = notices.find(({ code }) => code === "quoted_key");
    assert.match(notice?.message ?? "", /^glm\.api_key \(environment GLM_FLASH_API_KEY\) begins or ends/);
    assert.ok(!notice?.message.includes("sim.secret"));
  });
});
