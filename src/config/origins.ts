// Where each effective value was written. Layers of higher rank win; the file knows the line.

import { formatPath, type Path } from "./paths.ts";
import type { LineMap } from "./toml-lines.ts";

/** Lowest rank first. */
export const layerRanks = ["default", "generated", "file", "credential", "dotenv", "environment", "flag"] as const;
export type Layer = (typeof layerRanks)[number];

export interface Origin {
  readonly layer: Layer;
  /** As people read it: `default`, `config.toml:12`, `environment GLM_PROXY__SERVER__PORT`, `flag --port`. */
  readonly text: string;
}

export interface Origins {
  /** Where the value at this place comes from. */
  find(path: Path): Origin;
  /** Where to look when something is wrong at this place: the nearest place around it that was written down. */
  locate(path: Path): Located;
  /** The same but for some keys, given as `section.key`. */
  replace(origins: ReadonlyMap<string, Origin>): Origins;
}

export interface Located extends Origin {
  readonly line: number;
  /** How much of the path the place names itself, as a variable does. */
  readonly namedLength: number;
}

interface WrittenFile {
  readonly name: string;
  readonly lines: LineMap;
}

export const defaultOrigin: Origin = { layer: "default", text: "default" };

/** `overrides` are keyed by `section.key`, or a place below it, and hide what the file says about that. */
export function createOrigins(file: WrittenFile | null, overrides: ReadonlyMap<string, Origin>): Origins {
  /** The nearest override around the place. */
  function findOverride(path: Path): { origin: Origin; length: number } | null {
    for (let length = Math.min(path.length, 4); length >= 2; length--) {
      const origin = overrides.get(formatPath(path.slice(0, length)));
      if (origin) return { origin, length };
    }
    return null;
  }

  function find(path: Path): Origin {
    const override = findOverride(path);
    if (override) return override.origin;
    const line = file?.lines.get(formatPath(path));
    return file && line !== undefined ? { layer: "file", text: `${file.name}:${line}` } : defaultOrigin;
  }

  function locate(path: Path): Located {
    const override = findOverride(path);
    if (override) return { ...override.origin, line: Number.POSITIVE_INFINITY, namedLength: override.length };
    for (let length = path.length; file && length > 0; length--) {
      const line = file.lines.get(formatPath(path.slice(0, length)));
      if (line !== undefined) return { layer: "file", text: `${file.name}:${line}`, line, namedLength: 0 };
    }
    const line = Number.POSITIVE_INFINITY;
    return { layer: file ? "file" : "default", text: file?.name ?? "configuration", line, namedLength: 0 };
  }

  function replace(origins: ReadonlyMap<string, Origin>): Origins {
    return createOrigins(file, new Map([...overrides, ...origins]));
  }

  return { find, locate, replace };
}

/** True when `a` was written in a layer of higher rank than `b`. */
export function outranks(a: Origin, b: Origin): boolean {
  return layerRanks.indexOf(a.layer) > layerRanks.indexOf(b.layer);
}
