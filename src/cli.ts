// The command line: verbs, options and help. Each verb's work is in src/commands and loaded only when asked for.

import { Command, CommanderError, Option } from "commander";
import { exitCodes, type World } from "./commands/world.ts";

/** Resolves with the exit code. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  let exitCode: number = exitCodes.fine;
  const program = new Command("glm-proxy")
    .description("Shares one scarce GLM API key safely and fairly among many users and tools.")
    .version(world.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => world.write(text),
      writeErr: (text) => world.printError(text.trimEnd()),
    })
    .addHelpText(
      "after",
      "\nExit codes: 0 fine, 1 failure, 2 usage, 69 port not available, 78 configuration.\n" +
        "Without --config: ./config.toml, $XDG_CONFIG_HOME/glm-proxy/config.toml, /etc/glm_proxy/config.toml.",
    );
  const config = () => new Option("-c, --config <file>", "configuration file");

  program
    .command("serve", { isDefault: true })
    .description("run the gateway in the foreground (the default)")
    .addOption(config())
    .option("--host <address>", "address to listen on, instead of server.host")
    .option("--port <number>", "port to listen on, instead of server.port; 0 takes a free one")
    .action(async (options: { config?: string; host?: string; port?: string }) => {
      const { serveCommand } = await import("./commands/serve.ts");
      exitCode = await serveCommand(options, world);
    });
  program
    .command("check")
    .description("validate the configuration and print what is in effect, and where each value comes from")
    .addOption(config())
    .action(async (options: { config?: string }) => {
      const { checkCommand } = await import("./commands/check.ts");
      exitCode = checkCommand(options, world);
    });
  program
    .command("hash-password")
    .description("turn a password (asked for, or from standard input) into a password_hash")
    .action(async () => {
      const { hashPasswordCommand } = await import("./commands/hash-password.ts");
      exitCode = await hashPasswordCommand(world);
    });
  program
    .command("demo")
    .description("see it work: gateway and simulated GLM on free ports (the real GLM with GLM_FLASH_API_KEY set)")
    .option("--once", "end after the demonstration instead of staying up")
    .action(async (options: { once?: boolean }) => {
      const { demoCommand } = await import("./commands/demo.ts");
      exitCode = await demoCommand({ isOnce: options.once === true }, world);
    });
  program
    .command("simulate")
    .description("run the GLM simulator, for trying things without a key")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <number>", "port to listen on; 0 takes a free one", "8090")
    .option("--key <id.secret>", "API key that it accepts", "sim.secret")
    .option("--seed <number>", "seed of all its chance", "1")
    .option("--rate <number>", "calls a second that it allows")
    .option("--concurrency <number>", "calls at once that it allows, per model")
    .action(async (options: Record<string, string>) => {
      const { simulateCommand } = await import("./commands/simulate.ts");
      exitCode = await simulateCommand(options, world);
    });
  program
    .command("healthcheck")
    .description("exit code 0 when a gateway is ready")
    .argument("[url]", "its base URL", "http://127.0.0.1:8080")
    .action(async (url: string) => {
      const { healthcheckCommand } = await import("./commands/healthcheck.ts");
      exitCode = await healthcheckCommand(url, world);
    });

  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    // Commander has printed its complaint, or the help or version that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
    throw error;
  }
  return exitCode;
}
