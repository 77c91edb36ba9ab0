// What every measurement stands on: the upstream, the driver, and a folder for what peers write.

import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endAll, startChild } from "./children.ts";
import type { Order, Orders, Reply } from "./driver.ts";

export interface Bench {
  readonly folder: string;
  readonly upstreamPort: number;
  ask<Kind extends keyof Orders>(kind: Kind, order: Orders[Kind]["ask"]): Promise<Orders[Kind]["reply"]>;
  /** Ends all that was started, and removes the folder. */
  close(): Promise<void>;
}

const replyMsMax = 90_000;

export async function openBench(upstreamPort = 0): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "glm-proxy-lab-"));
  const startNode = (file: string, ...args: string[]) =>
    startChild(process.execPath, [new URL(file, import.meta.url).pathname, ...args], {
      core: "clients",
      cwd: folder,
      logFile: join(folder, `${file}.log`),
      hasChannel: true,
    });
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  // Also when the lab is interrupted.
  process.once("exit", removeFolder);
  async function close(): Promise<void> {
    await endAll();
    removeFolder();
    process.off("exit", removeFolder);
  }
  try {
    const upstream = startNode("upstream.ts", String(upstreamPort));
    const { port } = (await hear(upstream, "the upstream")) as { port: number };
    const driver = startNode("driver.ts");
    return {
      folder,
      upstreamPort: port,
      async ask(kind, order) {
        driver.send({ kind, ...order } as Order);
        const reply = (await hear(driver, "the driver")) as Reply;
        if ("problem" in reply) throw new Error(`the driver failed: ${reply.problem}`);
        return reply.value as never;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The next message. */
export function hear(child: ChildProcess, name: string, msMax = replyMsMax): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = () => settle(() => reject(new Error(`${name} has ended`)));
    const onMessage = (message: unknown) => settle(() => resolve(message));
    const timer = setTimeout(() => settle(() => reject(new Error(`${name} says nothing`))), msMax);
    function settle(act: () => void): void {
      clearTimeout(timer);
      child.off("exit", onExit).off("message", onMessage);
      act();
    }
    child.once("exit", onExit);
    child.once("message", onMessage);
  });
}
