// The proxy that the environment names, by the variables that curl and others read. This machine itself is always
// reached directly.

import type { ProxySettings } from "../upstream/connections.ts";
import type { Environment } from "./locations.ts";

const loopback = ["localhost", "127.0.0.0/8", "::1"];

/** Null: there is none. `problems`: what is no URL of a proxy; it may hold a password, and is not shown. */
export function readProxy(env: Environment): { proxy: ProxySettings | null; problems: string[] } {
  const problems: string[] = [];

  function find(...names: readonly string[]): string | null {
    const name = names.find((candidate) => env[candidate]);
    const text = name === undefined ? undefined : env[name];
    if (text === undefined) return null;
    const url = text.includes("://") ? text : `http://${text}`;
    if (isProxyUrl(url)) return url;
    problems.push(`environment ${name}: must be a URL of a proxy such as "http://proxy.internal:3128"`);
    return null;
  }

  const http = find("http_proxy", "HTTP_PROXY");
  const https = find("https_proxy", "HTTPS_PROXY");
  const direct = env.no_proxy || env.NO_PROXY || "";
  const none = [direct, ...loopback].filter((host) => host !== "").join(",");
  return { proxy: http === null && https === null ? null : { http, https, none }, problems };
}

function isProxyUrl(text: string): boolean {
  return URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol);
}
