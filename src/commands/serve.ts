// glm-proxy serve: the gateway in the foreground, from its configuration to its orderly end.

import { type App, createApp } from "../app.ts";
import { ConfigError, createSecretMaker, type LoadedConfig } from "../config/config.ts";
import { listSettings } from "../config/describe.ts";
import { diffSettings } from "../config/diff.ts";
import type { Settings } from "../config/settings.ts";
import { type FileWatch, watchFile } from "../config/watch.ts";
import { createLog, type Logger } from "../observe/log.ts";
import { createServiceManager, type ServiceManager } from "../observe/service-manager.ts";
import { explainFailure } from "./explain-failure.ts";
import { type ConfigChoice, type LoadMode, loadFor } from "./load.ts";
import { requireOwnFiles } from "./own-places.ts";
import { exitCodes, type World } from "./world.ts";

export async function serveCommand(choice: ConfigChoice, world: World): Promise<number> {
  const mode: LoadMode = { createSecret: createSecretMaker(), mayStoreSecret: true };
  let loaded: LoadedConfig;
  try {
    loaded = loadFor(choice, world, { ...mode, beforeStoring: requireOwnFiles });
  } catch (error) {
    return explainFailure(error, world);
  }
  const { settings } = loaded;
  const log = createLog(settings.log.level, world.isTerminal, world.clock);
  for (const { level, code, message } of loaded.notices) log[level]({ code }, message);

  let app: App;
  try {
    app = await createApp(settings, world.version, log, world.clock, () => listSettings(loaded));
  } catch (error) {
    return explainFailure(error, world);
  }
  let port: number;
  try {
    port = await app.start();
  } catch (error) {
    world.printError(explainListenError(error as NodeJS.ErrnoException, settings.server));
    await app.stop();
    return exitCodes.unavailable;
  }
  const manager = createServiceManager(world.env.NOTIFY_SOCKET);
  const serving: Serving = { choice, mode, app, log, manager, world };
  const ended = followSignals(serving);
  const watch = followConfig(serving, loaded, (changed) => {
    loaded = changed;
  });
  announce(loaded, port, log, world);
  offerSetup(app, port, log);
  manager.notify("READY=1", `STATUS=serving on port ${port}`);
  const stopPetting = petWatchdog(manager, world);

  const exitCode = await ended;
  stopPetting();
  watch.close();
  log.info("stopped");
  log.flush();
  return exitCode;
}

/** What lives as long as the gateway. */
interface Serving {
  readonly choice: ConfigChoice;
  readonly mode: LoadMode;
  readonly app: App;
  readonly log: Logger;
  readonly manager: ServiceManager;
  readonly world: World;
}

/** Resolves with the exit code when the gateway has ended. */
function followSignals({ app, log, manager, world }: Serving): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let isStopping = false;
  function stop(why: string, exitCode: number): void {
    if (isStopping) {
      log.warn(`${why} again: ending now`);
      app.abort();
      return;
    }
    isStopping = true;
    log.info(`${why}: taking no more calls, letting running ones end`);
    manager.notify("STOPPING=1", "STATUS=draining");
    app.stop().then(
      () => resolve(exitCode),
      (error: unknown) => {
        log.error({ err: error }, "could not stop in order");
        resolve(exitCodes.failure);
      },
    );
  }
  world.onSignal("SIGTERM", () => stop("SIGTERM", exitCodes.fine));
  world.onSignal("SIGINT", () => stop("SIGINT", exitCodes.fine));
  world.onUnexpected((error) => {
    log.error({ err: error }, "unexpected error: this is a bug");
    stop("unexpected error", exitCodes.failure);
  });
  return promise;
}

/** Reloads on SIGHUP and when the file changes. A bad file changes nothing. */
function followConfig(
  { choice, mode, app, log, manager, world }: Serving,
  loaded: LoadedConfig,
  onLoaded: (changed: LoadedConfig) => void,
): Pick<FileWatch, "close"> {
  let current = loaded.settings;

  function reload(why: string): void {
    try {
      const changed = loadFor(choice, world, mode);
      const { settings, notices } = changed;
      const changes = diffSettings(current, settings);
      app.apply(settings);
      current = settings;
      onLoaded(changed);
      app.metrics.countReload("applied");
      if (changes.length === 0) log.info(`configuration read again (${why}): nothing has changed`);
      for (const { line, isLive } of changes) {
        if (isLive) log.info(`configuration reloaded (${why}): ${line}`);
        else log.warn(`configuration reloaded (${why}): ${line}: takes effect at the next start`);
      }
      for (const { level, code, message } of notices) if (changes.length > 0) log[level]({ code }, message);
      manager.notify("STATUS=configuration reloaded");
    } catch (error) {
      app.metrics.countReload("rejected");
      if (!(error instanceof ConfigError)) throw error;
      log.error({ problems: error.problems }, `configuration not reloaded (${why}): the old one stays in effect`);
    }
  }

  world.onSignal("SIGHUP", () => reload("SIGHUP"));
  return loaded.file === null ? { close() {} } : watchFile(loaded.file, world.clock, () => reload("file changed"));
}

function announce({ settings, file }: LoadedConfig, port: number, log: Logger, world: World): void {
  const { host } = settings.server;
  const shown = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  const { queueCapacity } = settings.rateLimit;
  log.info(
    {
      url: `http://${shown}:${port}`,
      host,
      port,
      config: file,
      ...describeUpstreams(settings),
      queue_capacity: queueCapacity,
      users: settings.auth.users.length,
    },
    "ready",
  );
  if (!world.isTerminal) return;
  const username = settings.auth.users[0]?.username ?? "user1";
  world.print(`
Log in:  curl -s http://${shown}:${port}/auth/login -H 'content-type: application/json' -d '{"username":"${username}","password":"…"}'
Chat:    curl -N http://${shown}:${port}/chat/completions -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\
           -d '{"model":"glm-4.5-flash","stream":true,"messages":[{"role":"user","content":"你好"}]}'
`);
}

/** Nobody can administer over the network yet: a link for the first who does. */
function offerSetup(app: App, port: number, log: Logger): void {
  const token = app.openSetup();
  if (token === null) return;
  // Behind #, so that it is in no request line, and in no proxy's log.
  const url = `http://localhost:${port}/auth/setup#${token}`;
  log.warn(
    { url },
    "there is no administrator yet: open this link within 24 hours to make one (it works once), or run `glm-proxy user add NAME --admin`",
  );
}

function explainListenError(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): string {
  const where = `${host}:${port}`;
  switch (error.code) {
    case "EADDRINUSE":
      return `Cannot listen on ${where}: something else listens there already. Stop it, or choose another port with --port or server.port.`;
    case "EACCES":
      return `Cannot listen on ${where}: not allowed. Ports below 1024 need a privilege; choose a higher one with --port or server.port.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `Cannot listen on ${where}: this machine has no such address. Set server.host to one that it has, or to 0.0.0.0.`;
    default:
      return `Cannot listen on ${where}: ${error.message}`;
  }
}

/** systemd restarts a service that does not report within $WATCHDOG_USEC; a stalled event loop can't report. */
function petWatchdog(manager: ServiceManager, { env, clock }: World): () => void {
  const intervalMs = Number(env.WATCHDOG_USEC ?? 0) / 2_000;
  if (!(intervalMs > 0)) return () => {};
  let cancel = () => {};
  const pet = () => {
    manager.notify("WATCHDOG=1");
    cancel = clock.after(intervalMs, pet);
  };
  pet();
  return () => cancel();
}

/** Of a pool, each key by its name; of the usual single one, what it may do. */
function describeUpstreams({ glm, rateLimit }: Settings): Record<string, unknown> {
  const [key] = rateLimit.keys;
  if (rateLimit.keys.length > 1) {
    return { upstreams: Object.fromEntries(glm.upstreams.map(({ name, baseUrl }) => [name, baseUrl])) };
  }
  return { upstream: glm.baseUrl, requests_per_second: key?.startsPerSecond, max_concurrency: key?.concurrencyMax };
}
