// glm-proxy simulate: the GLM simulator as a server of its own.

import { startSimulator } from "../simulator/simulator.ts";
import { explainListenError } from "./listen-error.ts";
import { describeNextSignal, listenForStop } from "./stop-signals.ts";
import { exitCodes, type World } from "./world.ts";

/** How long stopping may take. */
const endMsMax = 5_000;

export async function simulateCommand(options: Readonly<Record<string, string>>, world: World): Promise<number> {
  const numbers = ["port", "seed", "rate", "concurrency"].map((name) => [name, toNumber(options[name])] as const);
  for (const [name, value] of numbers) {
    if (Number.isNaN(value)) {
      world.printError(`Cannot use --${name} ${options[name]}: it must be a number of at least 0.`);
      return exitCodes.usage;
    }
  }
  const flavour = options.flavour === "openai" ? "openai" : "glm";
  const { port, seed, rate, concurrency } = Object.fromEntries(numbers);
  const host = options.host ?? "127.0.0.1";
  const stop = listenForStop(world);
  let simulator: Awaited<ReturnType<typeof startSimulator>>;
  try {
    simulator = await startSimulator({
      host,
      port: port ?? 0,
      seed: seed ?? 1,
      flavour,
      ...(flavour === "glm" && { apiKeys: (options.key ?? "sim.secret").split(",") }),
      requestsPerSecond: rate ?? null,
      concurrencyMax: concurrency ?? null,
    });
  } catch (error) {
    world.printError(explainListenError(error as Error, { host, port: port ?? 0 }, simulateAdvice));
    return exitCodes.unavailable;
  }
  world.print(`The simulated ${flavour === "glm" ? "GLM" : "server"} answers at ${simulator.baseUrl}`);
  if (flavour === "glm") world.print(`Anthropic's dialect of it is at ${simulator.anthropicBaseUrl}`);
  world.print(`What it saw, and its verdict on limits: curl -s ${simulator.origin}/__sim/report`);
  const why = await stop.whenStopped();
  world.print(`Stopping; ${describeNextSignal(why)}.`);
  await stop.settle(simulator.close(), endMsMax);
  return exitCodes.fine;
}

const simulateAdvice = { port: "choose another port with --port", host: "Choose one that it has with --host." };

/** undefined stays undefined; NaN for what is no such number. */
function toNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text === "" ? Number.NaN : Number(text);
  return value >= 0 ? value : Number.NaN;
}
