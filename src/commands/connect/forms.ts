// Tools that are set up in a form of theirs, and Open WebUI, which reads variables at its first start only.

import { type Access, requireKey, toText, toWord } from "./access.ts";
import { dotenvFormat } from "./dotenv-format.ts";
import { setVariable, type Word } from "./shell-lines.ts";
import type { Tool } from "./tool.ts";

export const cline: Tool = {
  name: "cline",
  title: "Cline",
  summary: "Cline: what to type into its settings",
  examples: ["cline --model glm-4.6"],
  describe: (access) => [
    {
      where: "In VS Code: the Cline panel, its gear, then",
      text: [
        "API Provider   OpenAI Compatible",
        `Base URL       ${access.url}/v1`,
        `API Key        ${toText(access.key)}`,
        `Model ID       ${access.model}`,
      ].join("\n"),
    },
  ],
  file: "Cline keeps its settings in VS Code's own storage and the key in the system's keychain, which can't be edited safely",
};

function listVariables({ url }: Access, key: Word): readonly (readonly [string, Word])[] {
  return [
    ["ENABLE_OPENAI_API", "true"],
    ["OPENAI_API_BASE_URLS", `${url}/v1`],
    ["OPENAI_API_KEYS", key],
  ];
}

export const openwebui: Tool = {
  name: "openwebui",
  title: "Open WebUI",
  summary: "Open WebUI: variables for its first start, or what to type into its settings",
  details:
    "In a container, localhost is the container itself: use --url with the name or address of the machine, such as " +
    "http://host.docker.internal:8080.",
  examples: [
    "openwebui --url http://host.docker.internal:8080",
    "openwebui --key-file key.txt --write --file open-webui.env",
    "openwebui --restore --file open-webui.env",
  ],
  describe: (access, shell) => [
    {
      where: "In the shell or the container, before its first start (several of each with ; between them):",
      text: listVariables(access, toWord(access.key))
        .map(([name, value]) => setVariable(shell, name, value))
        .join("\n"),
    },
    {
      where: "Later its own settings count: Admin Panel > Settings > Connections > OpenAI API, then",
      text: [`URL   ${access.url}/v1`, `Key   ${toText(access.key)}`].join("\n"),
    },
  ],
  file: {
    format: dotenvFormat,
    locate: () => null,
    settings: (access) =>
      listVariables(access, requireKey(access.key)).map(([name, value]) => ({
        path: [name],
        value,
        isSecret: name === "OPENAI_API_KEYS",
      })),
    owned: [["ENABLE_OPENAI_API"], ["OPENAI_API_BASE_URLS"], ["OPENAI_API_KEYS"]],
    next: () => ["Open WebUI reads this at its first start; later, change it in Admin Panel > Settings > Connections."],
  },
};
