// Claude Code: the `env` block of ~/.claude/settings.json. It adds /v1/messages to the URL by itself, and sends
// ANTHROPIC_AUTH_TOKEN as a bearer; a key of Anthropic's that is set beside it would go out too, so that one is emptied.

import { join } from "node:path";
import { type Access, keyPlaceholder, requireKey, toWord } from "./access.ts";
import { ownFolder } from "./home.ts";
import { createJsonFormat } from "./json-format.ts";
import { setVariable, type Word } from "./shell-lines.ts";
import type { Tool } from "./tool.ts";

/** Long thinking, and the wait in the queue before it. */
const timeoutMs = 3_000_000;

function listVariables({ url, model }: Access, key: Word): readonly (readonly [string, Word])[] {
  return [
    ["ANTHROPIC_BASE_URL", url],
    ["ANTHROPIC_AUTH_TOKEN", key],
    ["ANTHROPIC_API_KEY", ""],
    ["ANTHROPIC_DEFAULT_OPUS_MODEL", model],
    ["ANTHROPIC_DEFAULT_SONNET_MODEL", model],
    ["ANTHROPIC_DEFAULT_HAIKU_MODEL", model],
    ["API_TIMEOUT_MS", String(timeoutMs)],
  ];
}

const secrets: readonly string[] = ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"];
const names = listVariables({ url: "", model: "", key: { kind: "none" } }, keyPlaceholder).map(([name]) => name);

export const claude: Tool = {
  name: "claude",
  title: "Claude Code",
  summary: "Claude Code: environment variables, or the env block of ~/.claude/settings.json",
  examples: ["claude", "claude --url https://glm.example.org --key-file key.txt --write", "claude --restore"],
  describe: (access, shell) => [
    {
      where: "In the shell, before claude starts:",
      text: listVariables(access, toWord(access.key))
        .map(([name, value]) => setVariable(shell, name, value))
        .join("\n"),
    },
  ],
  file: {
    format: createJsonFormat({ allowsComments: false, emptyText: "{}\n" }),
    locate: (world) => join(ownFolder(world, "CLAUDE_CONFIG_DIR", ".claude"), "settings.json"),
    settings: (access) =>
      listVariables(access, requireKey(access.key)).map(([name, value]) => ({
        path: ["env", name],
        value,
        isSecret: secrets.includes(name),
      })),
    owned: names.map((name) => ["env", name]),
    next: () => ["Start claude anew; /status shows the URL."],
  },
};
