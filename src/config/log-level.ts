// Log levels as environment variables spell them, among them the directives that Rust programs read from RUST_LOG.

import type { LogLevel } from "../observe/log.ts";

const levelOf: Readonly<Record<string, LogLevel>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "warn",
  off: "warn",
};
const mostDetailedFirst: readonly LogLevel[] = ["debug", "info", "warn"];

/** The most detailed level that directives like `glm_proxy=debug,info` name, or null when they name none. */
export function parseRustLog(directives: string): LogLevel | null {
  const named = directives.split(",").map((directive) => {
    const word = directive.slice(directive.lastIndexOf("=") + 1);
    return levelOf[word.trim().toLowerCase()];
  });
  return mostDetailedFirst.find((level) => named.includes(level)) ?? null;
}
