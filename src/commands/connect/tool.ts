// What `connect` knows of a tool: what a person sets, and which of its files can be edited for them.

import type { World } from "../world.ts";
import type { Access } from "./access.ts";
import type { FileFormat, Setting, SettingPath } from "./file-format.ts";
import type { Shell } from "./shell-lines.ts";

export interface Tool {
  readonly name: string;
  /** As people call it. */
  readonly title: string;
  readonly summary: string;
  readonly details?: string;
  /** After "glm-proxy connect". */
  readonly examples: readonly string[];
  describe(access: Access, shell: Shell): readonly Snippet[];
  /** A string: why no file of it can be edited. */
  readonly file: ToolFile | string;
}

/** Lines to copy, and where they go. */
export interface Snippet {
  readonly where: string;
  readonly text: string;
}

export interface ToolFile {
  readonly format: FileFormat;
  /** Where the tool looks for it; null: wherever --file says. Throws CommandError. */
  locate(world: World): string | null;
  /** Throws CommandError, as without a key where one is needed. */
  settings(access: Access): readonly Setting[];
  /** The places of these settings, whatever URL and model they were written with. */
  readonly owned: readonly SettingPath[];
  /** What is left to do after a write. */
  next(access: Access, shell: Shell): readonly string[];
}
