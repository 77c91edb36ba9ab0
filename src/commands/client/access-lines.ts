// What the owner of a new key needs to use it: base URLs, variables and a first call, to copy.

import { hostname } from "node:os";
import type { AdminClient } from "./admin-client.ts";
import { ask } from "./ask.ts";
import type { KeyJson } from "./wire.ts";

const modelWhenFree = "glm-4.5-flash";

export async function describeAccess(client: AdminClient, secret: string, { models }: KeyJson): Promise<string[]> {
  const { url, isOpen } = await findBaseUrl(client);
  const model = models?.find((pattern) => !pattern.includes("*")) ?? modelWhenFree;
  return [
    "OpenAI clients:",
    `  export OPENAI_BASE_URL=${url}/v1`,
    `  export OPENAI_API_KEY=${secret}`,
    "",
    "curl:",
    `  curl ${url}/v1/chat/completions -H "authorization: Bearer ${secret}" -H 'content-type: application/json' \\`,
    `    -d '{"model":"${model}","messages":[{"role":"user","content":"你好"}]}'`,
    ...(isOpen
      ? [
          "",
          `On other machines it is http://${hostname()} instead of http://localhost, or the name of your reverse proxy.`,
        ]
      : []),
  ];
}

/** As it can be told from here: the URL that was given, or what the configuration says to listen on. */
async function findBaseUrl(client: AdminClient): Promise<{ url: string; isOpen: boolean }> {
  if (client.url !== null) return { url: client.url.replace(/\/+$/, ""), isOpen: false };
  const { data } = await ask<{ data: readonly { name: string; value: string }[] }>(
    client,
    "read the configuration",
    "GET",
    "/admin/config",
  );
  const find = (name: string) => data.find((row) => row.name === name)?.value.replaceAll('"', "");
  const host = find("server.host") ?? "0.0.0.0";
  const configured = find("server.port") ?? "8080";
  // The system chose one, and told it in the log.
  const port = configured === "0" ? "PORT" : configured;
  const isOpen = host === "0.0.0.0" || host === "::";
  const shown = isOpen ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return { url: `http://${shown}:${port}`, isOpen };
}
