// Who can read and write what the gateway keeps, and whether there is room for more.

import { lstatSync, readdirSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { LoadedConfig } from "../../config/config.ts";
import { controlSocketFile, socketPathBytesMax } from "../../http/control.ts";
import { plural } from "../output/words.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const writeByOthers = 0o022;
const anyByOthers = 0o077;
const readByOthers = 0o044;
const failBytes = 100 * 1024 * 1024;
const warnBytes = 1024 * 1024 * 1024;

/** `dotenvPath`: the .env that may hold the key. */
export function checkModes(file: string | null, dotenvPath: string, folder: string): Finding[] {
  const configFiles = [file, dotenvPath].filter((path) => path !== null && readMode(path) !== null) as string[];
  const own = listOwn(folder);
  const findings = [
    ...configFiles.flatMap((path) => judgeFile(path, readByOthers)),
    ...judgeFolder(folder),
    ...own.flatMap((path) => judgeFile(path, anyByOthers)),
  ];
  if (findings.length > 0) return findings;
  const count = plural(configFiles.length + own.length, "file is", "files are");
  const place =
    readMode(folder) === null ? `${folder} will be made at the first start` : `the data folder is ${folder}`;
  return [ok("files", `${count} the owner's alone; ${place}`)];
}

/** Files of the data folder, which are for nobody else's eyes. */
function listOwn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function judgeFile(path: string, readMask: number): Finding[] {
  const mode = readMode(path) ?? 0;
  const fix = `chmod 600 ${path}`;
  if (mode & writeByOthers) return [fail("files", `others can change ${path} (${spell(mode)})`, fix)];
  return mode & readMask ? [warn("files", `others can read ${path} (${spell(mode)})`, fix)] : [];
}

function judgeFolder(folder: string): Finding[] {
  const findings: Finding[] = [];
  const mode = readMode(folder) ?? 0;
  const fix = `chmod 700 ${folder}`;
  if (mode & writeByOthers)
    findings.push(fail("files", `others can change the data folder ${folder} (${spell(mode)})`, fix));
  else if (mode & anyByOthers)
    findings.push(warn("files", `others can look into the data folder ${folder} (${spell(mode)})`, fix));
  const socket = controlSocketFile(folder);
  if (Buffer.byteLength(socket) > socketPathBytesMax) {
    const text = `${socket} is too long for a socket (limit ${socketPathBytesMax} bytes): commands can't reach the server through it`;
    findings.push(warn("files", text, "use a data folder with a shorter path, or commands with --url and a key"));
  }
  return findings;
}

export function checkSpace({ settings }: LoadedConfig): Finding {
  const { store, dataFolder } = settings;
  let folder = store.kind === "sqlite" && store.file !== ":memory:" ? dirname(store.file) : dataFolder;
  // What is not there yet will be made in the nearest folder that is.
  while (readMode(folder) === null && dirname(folder) !== folder) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB free in ${folder}`;
  const fix = "make room: calls are refused when their records can't be written";
  if (free < failBytes) return fail("disk", text, fix);
  return free < warnBytes ? warn("disk", text, fix) : ok("disk", text);
}

/** Null: there is none, or the system knows no such bits. */
function readMode(path: string): number | null {
  if (process.platform === "win32") return null;
  try {
    return lstatSync(path).mode & 0o777;
  } catch {
    return null;
  }
}

function spell(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
