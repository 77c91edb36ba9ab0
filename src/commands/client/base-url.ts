// The URL of the gateway of this machine, as far as its configuration tells it.

import type { AdminClient } from "./admin-client.ts";
import { ask } from "./ask.ts";

export interface BaseUrl {
  /** Without a slash at the end. */
  readonly url: string;
  /** Whether others on the network reach it too, by other names. */
  readonly isOpen: boolean;
}

/** The URL that was given, or what the configuration says to listen on. */
export async function readBaseUrl(client: AdminClient): Promise<BaseUrl> {
  if (client.url !== null) return { url: client.url.replace(/\/+$/, ""), isOpen: false };
  const { data } = await ask<{ data: readonly { name: string; value: string }[] }>(
    client,
    "read the configuration",
    "GET",
    "/admin/config",
  );
  const find = (name: string) => data.find((row) => row.name === name)?.value.replaceAll('"', "");
  return describeBaseUrl(find("server.host") ?? "0.0.0.0", find("server.port") ?? "8080");
}

/** With PORT where the system is to choose one: it tells it in the log. */
export function describeBaseUrl(host: string, port: string): BaseUrl {
  const isOpen = host === "0.0.0.0" || host === "::";
  const shown = isOpen ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return { url: `http://${shown}:${port === "0" ? "PORT" : port}`, isOpen };
}
