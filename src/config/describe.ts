// The text of `glm-proxy check`: every effective value with where it was written, then the notices. Secrets masked.

import type { LoadedConfig } from "./config.ts";
import { escapeControls, showValue } from "./masks.ts";
import type { Origins } from "./origins.ts";
import { findKey, formatPath, type Path } from "./paths.ts";
import { sectionRules } from "./schema.ts";
import { isUnavailable } from "./unavailable.ts";

/** One effective value, as people may see it. */
export interface SettingRow {
  readonly name: string;
  readonly value: string;
  readonly origin: string;
}

/** Every effective value, in the order of the documentation. Secrets are masked. */
export function listSettings(loaded: LoadedConfig): SettingRow[] {
  return Object.entries(loaded.content).flatMap(([section, table]) =>
    Object.keys(sectionRules[section]?.type.rules ?? {}).flatMap((name) =>
      listRows([section, name], (table as Readonly<Record<string, unknown>>)[name], loaded.origins),
    ),
  );
}

export function describeSettings(loaded: LoadedConfig): string {
  const rows = listSettings(loaded);
  const notices = loaded.notices.map(
    ({ level, message }) => `${level === "warn" ? "warning" : "note"}: ${escapeControls(message)}`,
  );
  return [...alignColumns(rows), ...(notices.length > 0 ? ["", ...notices] : [])].join("\n");
}

function listRows(path: Path, value: unknown, origins: Origins): SettingRow[] {
  if (isUnavailable(path) && origins.find(path).layer === "default") return [];
  const members = listMembers(value);
  if (members.length > 0) return members.flatMap(([name, member]) => listRows([...path, name], member, origins));
  if (value === undefined && path.length > 2) return [];
  const shown = isEmpty(value) ? "none" : showValue(value, findKey(path)?.secrecy ?? "hidden");
  return [{ name: escapeControls(formatPath(path)), value: shown, origin: origins.find(path).text }];
}

function listMembers(value: unknown): [string | number, unknown][] {
  if (Array.isArray(value)) return [...value.entries()];
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function alignColumns(rows: readonly SettingRow[]): string[] {
  const nameWidth = Math.max(...rows.map((row) => row.name.length));
  // One long value should not push every origin off the screen.
  const valueWidth = Math.min(Math.max(...rows.map((row) => row.value.length)), 44);
  return rows.map(({ name, value, origin }) => `${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${origin}`);
}
