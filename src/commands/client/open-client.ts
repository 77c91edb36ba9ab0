// Finds whom to speak to: the server at a URL, the server of this machine by its socket, or the store itself when none
// runs. The database's lock decides between the latter two.

import { connect } from "node:net";
import { join, resolve } from "node:path";
import { dataFolder } from "../../config/locations.ts";
import { StoreError } from "../../store/store.ts";
import type { Input, OptionSpec } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { exitCodes, type World } from "../world.ts";
import type { AdminClient } from "./admin-client.ts";
import { environmentOf } from "./environment.ts";
import { createHttpClient } from "./http-client.ts";

/** Of every command that speaks to the control plane. */
export const clientOptions: readonly OptionSpec[] = [
  { flags: "-c, --config <file>", description: "configuration of the server of this machine" },
  { flags: "--data <folder>", description: "its data folder, where it is not the usual one" },
  { flags: "--url <url>", description: "a server elsewhere; also GLM_PROXY_URL" },
  { flags: "--key <key>", description: "an administrator's API key of scope admin for it; better as GLM_PROXY_KEY" },
];

/** A socket that takes connections but does not answer belongs to a process that hangs. */
const connectMsMax = 3_000;

export interface ClientNeeds {
  /** Whether it makes no sense without a running server. */
  readonly isLive?: boolean;
  /** Whether it may be the first thing that is ever stored. */
  readonly mayBegin?: boolean;
}

/** Whoever gets the client closes it. Rejects with CommandError, ConfigError or StoreError. */
export async function openClient(
  input: Input,
  world: World,
  { isLive = false, mayBegin = false }: ClientNeeds = {},
): Promise<AdminClient> {
  const product = `glm-proxy/${world.version}`;
  const isHere = input.text("config") !== undefined || input.text("data") !== undefined;
  const url = input.text("url") ?? (isHere ? undefined : world.env.GLM_PROXY_URL);
  if (url) return createHttpClient(toTarget(url, input.text("key") ?? world.env.GLM_PROXY_KEY, world), product);

  const socket = socketPath(input, world);
  const state = await probe(socket);
  if (state === "answers") return createHttpClient({ kind: "socket", path: socket }, product);
  if (state === "forbidden") {
    throw new CommandError(`Cannot open ${socket}: it is another account's.`, {
      advice: "Run this as the account that runs the gateway, or use --url with an administrator's key.",
    });
  }
  if (isLive) throw noServer(socket);
  // All of the control plane and the database: not loaded for a request to a server.
  const { openStoreClient } = await import("./store-client.ts");
  try {
    return await openStoreClient(input, world, mayBegin);
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== "locked") throw error;
    throw new CommandError(
      `Cannot reach the gateway: another process holds its database, but nobody answers at ${socket}.`,
      {
        exitCode: exitCodes.unavailable,
        advice:
          "It may be starting or stopping: try again. If it runs with another data folder, name that with --data; if it hangs, restart it.",
      },
    );
  }
}

/** Opens a client, uses it, and closes it whatever happens. */
export async function withClient<Result>(
  input: Input,
  world: World,
  use: (client: AdminClient) => Promise<Result>,
  needs: ClientNeeds = {},
): Promise<Result> {
  const client = await openClient(input, world, needs);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

export function socketPath(input: Input, world: World): string {
  return join(resolve(world.cwd, dataFolder(environmentOf(input, world))), "admin.sock");
}

export function noServer(socket: string): CommandError {
  return new CommandError(`No gateway runs here: nobody answers at ${socket}.`, {
    exitCode: exitCodes.unavailable,
    advice: "`glm-proxy serve` starts one. For one elsewhere, use --url and GLM_PROXY_KEY.",
  });
}

function toTarget(text: string, key: string | undefined, world: World) {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw usageError("Cannot use the URL: it must be like https://glm.example.org, without credentials and query.");
  }
  if (!key) {
    throw usageError(
      "Cannot log in there: a key is missing.",
      "Set GLM_PROXY_KEY to an administrator's API key (`glm-proxy key add --owner NAME --name NAME --scope admin` makes one).",
    );
  }
  if (!/^[\x21-\x7e]+$/.test(key)) throw usageError("Cannot use the key: it must be visible ASCII characters.");
  if (url.protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)) {
    world.printError("warning: the key crosses the network unencrypted: use https.");
  }
  return { kind: "url" as const, url, key };
}

/** absent: no process serves it, though the file may be there. */
export function probe(path: string): Promise<"answers" | "absent" | "forbidden"> {
  const { promise, resolve: settle } = Promise.withResolvers<"answers" | "absent" | "forbidden">();
  const socket = connect({ path });
  socket.setTimeout(connectMsMax);
  socket.once("connect", () => settle("answers"));
  socket.once("timeout", () => settle("absent"));
  socket.once("error", ({ code }: NodeJS.ErrnoException) =>
    settle(code === "EACCES" || code === "EPERM" ? "forbidden" : "absent"),
  );
  return promise.finally(() => socket.destroy());
}
