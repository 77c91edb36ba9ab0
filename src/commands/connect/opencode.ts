// OpenCode: a provider in ~/.config/opencode/opencode.json, or .jsonc where that is there: of two, it is read last. What it
// says is what both OpenCode 1 and 2 read.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { World } from "../world.ts";
import { type Access, keyVariable, toWord } from "./access.ts";
import type { Setting } from "./file-format.ts";
import { ownFolder } from "./home.ts";
import { createJsonFormat } from "./json-format.ts";
import { setVariable } from "./shell-lines.ts";
import type { Tool } from "./tool.ts";

const provider = "glm-proxy";
const table = ["provider", provider];
const format = createJsonFormat({
  allowsComments: true,
  emptyText: '{\n  "$schema": "https://opencode.ai/config.json"\n}\n',
});

function listSettings({ url, model, key }: Access): readonly Setting[] {
  return [
    { path: [...table, "npm"], value: "@ai-sdk/openai-compatible" },
    { path: [...table, "name"], value: provider },
    { path: [...table, "options", "baseURL"], value: `${url}/v1` },
    {
      path: [...table, "options", "apiKey"],
      value: key.kind === "given" ? key.text : `{env:${keyVariable}}`,
      isSecret: true,
    },
    { path: [...table, "models"], value: { [model]: { name: model } } },
    { path: ["model"], value: `${provider}/${model}` },
  ];
}

function locate(world: World): string {
  const named = world.env.OPENCODE_CONFIG;
  if (named) return resolve(world.cwd, named);
  const folder = join(ownFolder(world, "XDG_CONFIG_HOME", ".config"), "opencode");
  const withComments = join(folder, "opencode.jsonc");
  return existsSync(withComments) ? withComments : join(folder, "opencode.json");
}

export const opencode: Tool = {
  name: "opencode",
  title: "OpenCode",
  summary: "OpenCode: a provider in ~/.config/opencode/opencode.json",
  details: `Without a key of an option, the file says that it is in ${keyVariable}.`,
  examples: ["opencode --model glm-4.6", "opencode --key-file key.txt --write", "opencode --restore"],
  describe: (access, shell) => [
    { where: "In ~/.config/opencode/opencode.json:", text: format.set("", listSettings(access)).trimEnd() },
    ...(access.key.kind === "none"
      ? [
          {
            where: "In the shell, before opencode starts:",
            text: setVariable(shell, keyVariable, toWord(access.key)),
          },
        ]
      : []),
  ],
  file: {
    format,
    locate,
    settings: listSettings,
    owned: [table, ["model"]],
    next: ({ key }, shell) =>
      key.kind === "given"
        ? ["Start opencode anew; /models lists the model."]
        : [
            `OpenCode reads the key from ${keyVariable}. In the shell, before it starts:`,
            `  ${setVariable(shell, keyVariable, toWord({ kind: "none" }))}`,
          ],
  },
};
