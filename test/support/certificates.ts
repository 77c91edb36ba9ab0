// Certificates by openssl, for tests of TLS that are left out where there is none.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Workspace } from "./process.ts";

export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** Signed by itself, for the name and for a day, or with `days` below zero for a time that is over. */
export function makeCertificate(workspace: Workspace, name: string, days = 1): Certificate {
  const [key, request, cert] = ["key", "csr", "cert"].map((part) => workspace.path(`${name}-${part}.pem`)) as [
    string,
    string,
    string,
  ];
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${/^[\d.]+$/.test(name) ? "IP" : "DNS"}:${name}`];
  run(["req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, ...names]);
  const signed = ["-signkey", key, "-days", String(days), "-copy_extensions", "copyall"];
  run(["x509", "-req", "-in", request, "-out", cert, ...signed]);
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

function run(args: readonly string[]): void {
  const { status, stderr } = spawnSync("openssl", args);
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
}
