// Programs of one's own: variables that the SDKs read, and a first call.

import { type Access, keyVariable, requireKey, toWord } from "./access.ts";
import { dotenvFormat } from "./dotenv-format.ts";
import { expandVariable, quoteWord, type Shell, setVariable, type Word } from "./shell-lines.ts";
import type { Snippet, Tool, ToolFile } from "./tool.ts";

type Variables = (access: Access, key: Word) => readonly (readonly [string, Word])[];

const openAiVariables: Variables = ({ url }, key) => [
  ["OPENAI_BASE_URL", `${url}/v1`],
  ["OPENAI_API_KEY", key],
];

const pythonVariables: Variables = (access, key) => [
  ...openAiVariables(access, key),
  ["ZAI_BASE_URL", `${access.url}/api/paas/v4`],
  ["ZAI_API_KEY", key],
];

function inShell(variables: Variables, access: Access, shell: Shell): Snippet {
  const all = variables(access, toWord(access.key)).map(([name, value]) => setVariable(shell, name, value));
  return { where: "In the shell:", text: lines(...all) };
}

function inDotenv(variables: Variables): ToolFile {
  const none: Access = { url: "", model: "", key: { kind: "none" } };
  return {
    format: dotenvFormat,
    locate: () => null,
    settings: (access) =>
      variables(access, requireKey(access.key)).map(([name, value]) => ({
        path: [name],
        value,
        isSecret: name.endsWith("_KEY"),
      })),
    owned: variables(none, "").map(([name]) => [name]),
    next: () => ["Keep the file out of version control: the key is in it."],
  };
}

function lines(...all: readonly string[]): string {
  return all.join("\n");
}

export const python: Tool = {
  name: "python",
  title: "Python",
  summary: "Python: variables and a first call with openai and zai-sdk",
  examples: ["python", "python --key-file key.txt --write --file .env", "python --restore --file .env"],
  describe: (access, shell) => [
    inShell(pythonVariables, access, shell),
    {
      where: "pip install openai",
      text: lines(
        "from openai import OpenAI",
        "",
        "client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY",
        "answer = client.chat.completions.create(",
        `    model=${JSON.stringify(access.model)},`,
        '    messages=[{"role": "user", "content": "Hello"}],',
        ")",
        "print(answer.choices[0].message.content)",
      ),
    },
    {
      where: "pip install zai-sdk",
      text: lines(
        "from zai import ZaiClient",
        "",
        "client = ZaiClient()  # reads ZAI_BASE_URL and ZAI_API_KEY",
        "answer = client.chat.completions.create(",
        `    model=${JSON.stringify(access.model)},`,
        '    messages=[{"role": "user", "content": "Hello"}],',
        ")",
        "print(answer.choices[0].message.content)",
      ),
    },
  ],
  file: inDotenv(pythonVariables),
};

export const node: Tool = {
  name: "node",
  title: "Node.js",
  summary: "Node.js: variables and a first call with openai and ai",
  examples: ["node", "node --key-file key.txt --write --file .env", "node --restore --file .env"],
  describe: (access, shell) => [
    inShell(openAiVariables, access, shell),
    {
      where: "npm install openai",
      text: lines(
        'import OpenAI from "openai";',
        "",
        "const client = new OpenAI(); // reads OPENAI_BASE_URL and OPENAI_API_KEY",
        "const answer = await client.chat.completions.create({",
        `  model: ${JSON.stringify(access.model)},`,
        '  messages: [{ role: "user", content: "Hello" }],',
        "});",
        "console.log(answer.choices[0].message.content);",
      ),
    },
    {
      where: "npm install ai @ai-sdk/openai-compatible",
      text: lines(
        'import { env } from "node:process";',
        'import { createOpenAICompatible } from "@ai-sdk/openai-compatible";',
        'import { generateText } from "ai";',
        "",
        'const glm = createOpenAICompatible({ name: "glm-proxy", baseURL: env.OPENAI_BASE_URL, apiKey: env.OPENAI_API_KEY });',
        `const { text } = await generateText({ model: glm(${JSON.stringify(access.model)}), prompt: "Hello" });`,
        "console.log(text);",
      ),
    },
  ],
  file: inDotenv(openAiVariables),
};

export const curl: Tool = {
  name: "curl",
  title: "curl",
  summary: "curl: a first call, which also shows that URL and key are right",
  examples: ["curl", "curl --url https://glm.example.org --shell powershell"],
  describe: (access, shell) => [{ where: "In the shell:", text: describeCall(access, shell) }],
  file: "a command line has no file",
};

function describeCall({ url, model, key }: Access, shell: Shell): string {
  const place = `${url}/v1/chat/completions`;
  const body = quoteWord(shell, JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }));
  const bearer =
    key.kind === "variable"
      ? `"authorization: Bearer ${expandVariable(shell, keyVariable)}"`
      : quoteWord(shell, `authorization: Bearer ${toWord(key)}`);
  if (shell !== "powershell") {
    return `curl ${quoteWord(shell, place)} -H ${bearer} -H 'content-type: application/json' \\\n  -d ${body}`;
  }
  // Its curl may be another program, and takes quotes out of what it passes on.
  const headers = `@{ authorization = ${bearer.replace("authorization: ", "")} }`;
  return `Invoke-RestMethod ${quoteWord(shell, place)} -Method Post -Headers ${headers} \`\n  -ContentType 'application/json' -Body ${body}`;
}
