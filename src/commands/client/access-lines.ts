// What the owner of a new key needs to use it: base URLs, variables and a first call, to copy.

import { hostname } from "node:os";
import type { AdminClient } from "./admin-client.ts";
import { readBaseUrl } from "./base-url.ts";
import type { KeyJson } from "./wire.ts";

const modelWhenFree = "glm-4.5-flash";

export async function describeAccess(client: AdminClient, secret: string, { models }: KeyJson): Promise<string[]> {
  const { url, isOpen } = await readBaseUrl(client);
  const model = models?.find((pattern) => !pattern.includes("*")) ?? modelWhenFree;
  return [
    "OpenAI clients:",
    `  export OPENAI_BASE_URL=${url}/v1`,
    `  export OPENAI_API_KEY=${secret}`,
    "",
    "curl:",
    `  curl ${url}/v1/chat/completions -H "authorization: Bearer ${secret}" -H 'content-type: application/json' \\`,
    `    -d '{"model":"${model}","messages":[{"role":"user","content":"你好"}]}'`,
    "",
    "Claude Code (and codex, opencode, cline, openwebui, python, node):",
    `  glm-proxy connect claude${client.url === null ? "" : ` --url ${url}`}    # --write puts it into the tool's own settings`,
    ...(isOpen
      ? [
          "",
          `On other machines it is http://${hostname()} instead of http://127.0.0.1, or the name of your reverse proxy.`,
        ]
      : []),
  ];
}
