// Small pages of our own: one file each, nothing from outside, and a policy that lets nothing else run.

import { createHash } from "node:crypto";
import type { Language } from "../base/refusal-words.ts";

export interface PageParts {
  /** CSS and JavaScript as they stand in the page: the policy names their hashes. */
  readonly style: string;
  readonly script: string;
}

export interface PageText {
  readonly language: Language;
  readonly title: string;
  /** HTML of ours: nothing that anybody else wrote belongs here. */
  readonly body: string;
}

export function pageHeaders({ style, script }: PageParts): Readonly<Record<string, string>> {
  return {
    "content-security-policy": [
      "default-src 'none'",
      `style-src '${hashOf(style)}'`,
      `script-src '${hashOf(script)}'`,
      "img-src data:",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ].join("; "),
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
  };
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text, "utf8").digest("base64")}`;
}

export function renderPage({ style, script }: PageParts, { language, title, body }: PageText): string {
  return `<!doctype html>
<html lang="${language === "zh" ? "zh-CN" : "en"}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
${body}
<script>${script}</script>
</html>
`;
}

/** What all pages look like. */
export const baseStyle = `
:root { color-scheme: light dark; --ground: #fbfbfa; --panel: #fff; --ink: #1d2327; --faint: #5f6b73; --line: #dfe3e6;
  --accent: #0b6bcb; --get: #0b6bcb; --post: #1a7f4b; --patch: #9a6200; --delete: #b3261e; --code: #f1f3f4; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --panel: #1b2024; --ink: #e4e8ea; --faint: #98a4ab;
  --line: #2f373d; --accent: #6cb2ff; --get: #6cb2ff; --post: #63c995; --patch: #e0ac5c; --delete: #ff8a80; --code: #242b30; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  "Noto Sans", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; }
a { color: var(--accent); }
code, pre { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "Noto Sans Mono", monospace; font-size: .875em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
`;
