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
  locate(path: Path): Origin & { readonly line: number };
  /** The same but for some keys, given as `section.key`. */
  replace(origins: ReadonlyMap<string, Origin>): Origins;
}

interface WrittenFile {
  readonly name: string;
  readonly lines: LineMap;
}

export const defaultOrigin: Origin = { layer: "default", text: "default" };

/** `overrides` are keyed by `section.key` and hide what the file says about that key. */
export function createOrigins(file: WrittenFile | null, overrides: ReadonlyMap<string, Origin>): Origins {
  function find(path: Path): Origin {
    const override = overrides.get(formatPath(path.slice(0, 2)));
    if (override) return override;
    const line = file?.lines.get(formatPath(path));
    return file && line !== undefined ? { layer: "file", text: `${file.name}:${line}` } : defaultOrigin;
  }

  function locate(path: Path): Origin & { line: number } {
    const override = overrides.get(formatPath(path.slice(0, 2)));
    if (override) return { ...override, line: Number.POSITIVE_INFINITY };
    for (let length = path.length; file && length > 0; length--) {
      const line = file.lines.get(formatPath(path.slice(0, length)));
      if (line !== undefined) return { layer: "file", text: `${file.name}:${line}`, line };
    }
    return { layer: file ? "file" : "default", text: file?.name ?? "configuration", line: Number.POSITIVE_INFINITY };
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
