// glm-proxy healthcheck: exit code 0 when the gateway at a URL is ready. For containers without curl.

import { get } from "node:http";
import { usageError } from "./command-error.ts";
import { exitCodes, type World } from "./world.ts";

const timeoutMs = 3_000;

export function healthcheckCommand(url: string, world: World): Promise<number> {
  if (!URL.canParse(url) || new URL(url).protocol !== "http:") {
    throw usageError(
      `Cannot ask ${url}: it must be an http URL.`,
      "For example  glm-proxy healthcheck http://127.0.0.1:8080",
    );
  }
  return new Promise((resolve) => {
    const request = get(new URL("/readyz", url), { timeout: timeoutMs }, (response) => {
      response.resume();
      const isReady = response.statusCode === 200;
      if (!isReady) world.printError(`Not ready: status ${response.statusCode}`);
      resolve(isReady ? exitCodes.fine : exitCodes.failure);
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on("error", (error) => {
      world.printError(`Not ready: ${error.message}`);
      resolve(exitCodes.failure);
    });
  });
}
