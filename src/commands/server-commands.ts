// The commands around the server itself: what they take, and where their work is.

import type { ArgumentSpec, Input, OptionSpec, Verb } from "./command.ts";

const config: OptionSpec = { flags: "-c, --config <file>", description: "configuration file" };

/** The options of these names as far as they were given. */
function pick<Name extends string>(input: Input, ...names: Name[]): { readonly [key in Name]?: string } {
  const given = names.map((name) => [name, input.text(name)] as const).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { readonly [key in Name]?: string };
}

export const serve: Verb = {
  name: "serve",
  summary: "run the gateway in the foreground (the default)",
  options: [
    config,
    { flags: "--host <address>", description: "address to listen on, instead of server.host" },
    { flags: "--port <number>", description: "port to listen on, instead of server.port; 0 takes a free one" },
  ],
  examples: ["glm-proxy serve --config config.toml", "GLM_FLASH_API_KEY=… glm-proxy --port 8081"],
  async run(input, world) {
    const { serveCommand } = await import("./serve.ts");
    return serveCommand(pick(input, "config", "host", "port"), world);
  },
};

export const check: Verb = {
  name: "check",
  summary: "validate the configuration and print what is in effect, and where each value comes from",
  options: [config],
  examples: ["glm-proxy check --config config.toml"],
  async run(input, world) {
    const { checkCommand } = await import("./check.ts");
    return checkCommand(pick(input, "config"), world);
  },
};

export const hashPassword: Verb = {
  name: "hash-password",
  summary: "turn a password (asked for, or from standard input) into a password_hash",
  examples: ["glm-proxy hash-password", 'printf %s "$PASSWORD" | glm-proxy hash-password'],
  async run(_input, world) {
    const { hashPasswordCommand } = await import("./hash-password.ts");
    return hashPasswordCommand(world);
  },
};

export const demo: Verb = {
  name: "demo",
  summary: "see it work: gateway and simulated GLM on free ports (the real GLM with GLM_FLASH_API_KEY set)",
  options: [{ flags: "--once", description: "end after the demonstration instead of staying up" }],
  examples: ["glm-proxy demo", "glm-proxy demo --once"],
  async run(input, world) {
    const { demoCommand } = await import("./demo.ts");
    return demoCommand({ isOnce: input.isSet("once") }, world);
  },
};

export const simulate: Verb = {
  name: "simulate",
  summary: "run the GLM simulator, for trying things without a key",
  options: [
    { flags: "--host <address>", description: "address to listen on", fallback: "127.0.0.1" },
    { flags: "--port <number>", description: "port to listen on; 0 takes a free one", fallback: "8090" },
    {
      flags: "--key <id.secret>",
      description: "API keys that it accepts, with commas between them",
      fallback: "sim.secret",
    },
    {
      flags: "--flavour <flavour>",
      description: "glm, or openai: a server of one's own models, which takes any key",
      choices: ["glm", "openai"],
      fallback: "glm",
    },
    { flags: "--seed <number>", description: "seed of all its chance", fallback: "1" },
    { flags: "--rate <number>", description: "calls a second that it allows" },
    { flags: "--concurrency <number>", description: "calls at once that it allows, per model" },
  ],
  examples: [
    "glm-proxy simulate --port 8090 --rate 2 --concurrency 3",
    "glm-proxy simulate --port 8091 --flavour openai",
  ],
  async run(input, world) {
    const { simulateCommand } = await import("./simulate.ts");
    return simulateCommand(
      pick(input, "host", "port", "key", "seed", "rate", "concurrency", "flavour") as Record<string, string>,
      world,
    );
  },
};

const url: ArgumentSpec = { name: "[url]", description: "its base URL", fallback: "http://127.0.0.1:8080" };

export const healthcheck: Verb = {
  name: "healthcheck",
  summary: "exit code 0 when a gateway is ready",
  arguments: [url],
  examples: ["glm-proxy healthcheck http://127.0.0.1:8080"],
  async run(input, world) {
    const { healthcheckCommand } = await import("./healthcheck.ts");
    return healthcheckCommand(input.required(0), world);
  },
};
