// Codex: a provider in ~/.codex/config.toml. It speaks the Responses API alone (wire_api = "chat" stops it at its start),
// reads the key from a variable, and would offer GLM a search tool that only OpenAI runs.

import { join } from "node:path";
import { type Access, keyVariable, toWord } from "./access.ts";
import type { Setting } from "./file-format.ts";
import { ownFolder } from "./home.ts";
import { type Shell, setVariable } from "./shell-lines.ts";
import { tomlFormat } from "./toml-format.ts";
import type { Tool } from "./tool.ts";

const provider = "glm-proxy";
const table = ["model_providers", provider];

function listSettings({ url, model }: Access): readonly Setting[] {
  return [
    { path: ["model"], value: model },
    { path: ["model_provider"], value: provider },
    { path: ["web_search"], value: "disabled" },
    { path: [...table, "name"], value: provider },
    { path: [...table, "base_url"], value: `${url}/v1` },
    { path: [...table, "env_key"], value: keyVariable },
    { path: [...table, "wire_api"], value: "responses" },
  ];
}

function exportKey({ key }: Access, shell: Shell): string {
  return setVariable(shell, keyVariable, key.kind === "given" ? key.text : toWord({ kind: "none" }));
}

export const codex: Tool = {
  name: "codex",
  title: "Codex",
  summary: "Codex: a provider in ~/.codex/config.toml, and the variable that it reads the key from",
  details: `The key is not written into the file: Codex reads it from ${keyVariable}.`,
  examples: ["codex --model glm-4.6", "codex --url https://glm.example.org --write", "codex --restore"],
  describe: (access, shell) => [
    { where: "In ~/.codex/config.toml:", text: tomlFormat.set("", listSettings(access)).trimEnd() },
    ...(access.key.kind === "variable"
      ? []
      : [{ where: "In the shell, before codex starts:", text: exportKey(access, shell) }]),
  ],
  file: {
    format: tomlFormat,
    locate: (world) => join(ownFolder(world, "CODEX_HOME", ".codex"), "config.toml"),
    settings: listSettings,
    owned: [["model"], ["model_provider"], ["web_search"], table],
    next: ({ key }, shell) =>
      key.kind === "variable"
        ? [`Codex reads the key from ${keyVariable}, which is set here: keep it set where codex starts.`]
        : [
            "Codex reads the key from a variable. In the shell, before it starts:",
            `  ${setVariable(shell, keyVariable, toWord({ kind: "none" }))}`,
          ],
  },
};
