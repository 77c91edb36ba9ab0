// The table of clients by what was seen of them, in Markdown.

import type { ClientUnderTest } from "./client.ts";

export function formatTable(clients: readonly ClientUnderTest[]): string {
  const head = ["client", "API", "base URL", "whole", "stream", "tools", "errors", "asks again", "abort", "key"];
  const rows = clients.map(({ name, api, basePath, retries, signsJwt, tools, abort }) => [
    `\`${name}\``,
    api,
    `\`…${basePath}\``,
    "yes",
    "yes",
    tools === null ? "–" : "yes",
    "yes",
    retries ? "yes" : "no",
    abort === null ? "–" : "yes",
    signsJwt ? "signing" : "any",
  ]);
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
