// glm-proxy serve: the gateway in the foreground, from its configuration to its orderly end.

import { type App, createApp } from "../app.ts";
import { ConfigError, createSecretMaker, type LoadedConfig } from "../config/config.ts";
import { listSettings } from "../config/describe.ts";
import { diffSettings } from "../config/diff.ts";
import type { Settings } from "../config/settings.ts";
import { type FileWatch, watchFile } from "../config/watch.ts";
import { createLog, flushLog, type Logger } from "../observe/log.ts";
import { createServiceManager, type ServiceManager } from "../observe/service-manager.ts";
import { CommandError } from "./command-error.ts";
import { explainListenError, type ListenAdvice } from "./listen-error.ts";
import { type ConfigChoice, type LoadMode, loadFor } from "./load.ts";
import { requireOwnFiles } from "./own-places.ts";
import { describeNextSignal, listenForStop, type StopSignals } from "./stop-signals.ts";
import { exitCodes, type World } from "./world.ts";

/** What stopping may take beyond the grace period, and what the start may take after a signal. */
const closeMsMax = 8_000;

/** Throws ConfigError, StoreError, or CommandError when the port can't be had. */
export async function serveCommand(choice: ConfigChoice, world: World): Promise<number> {
  // Before anything is opened: a signal that comes during the start ends it in order.
  const stop = listenForStop(world);
  const mode: LoadMode = { createSecret: createSecretMaker(), mayStoreSecret: true };
  let loaded = loadFor(choice, world, { ...mode, beforeStoring: requireOwnFiles });
  const { settings } = loaded;
  const log = createLog(settings.log.level, world.isTerminal, world.output, world.clock);
  for (const { level, code, message } of loaded.notices) log[level]({ code }, message);
  const manager = createServiceManager(world.env.NOTIFY_SOCKET);
  const end = followStop(stop, { log, manager, world });
  let app: App | null = null;

  async function open(): Promise<number> {
    app = await createApp(settings, world.version, log, world.clock, () => listSettings(loaded));
    if (stop.stopped.aborted) return 0;
    return app.start().catch((error: Error) => {
      throw new CommandError(explainListenError(error, settings.server, listenAdvice), {
        exitCode: exitCodes.unavailable,
      });
    });
  }

  async function serveUntilStopped(opened: App, port: number): Promise<void> {
    const watch = followConfig({ choice, mode, app: opened, log, manager, world, stop }, loaded, (changed) => {
      loaded = changed;
    });
    announce(loaded, port, log, world);
    offerSetup(opened, port, log);
    manager.notify("READY=1", `STATUS=serving on port ${port}`);
    const stopPetting = petWatchdog(manager, world);
    await stop.whenStopped();
    stopPetting();
    watch.close();
  }

  try {
    const opening = open();
    const isOpen = await stop.settle(opening, closeMsMax);
    if (app !== null && isOpen && !stop.stopped.aborted) await serveUntilStopped(app, await opening);
  } catch (error) {
    await end(app);
    throw error;
  }
  return end(app);
}

const listenAdvice: ListenAdvice = {
  port: "choose another port with --port or server.port",
  host: "Set server.host to one that it has, or to 0.0.0.0.",
};

/** Notes the first signal and the second. The returned function closes what was opened; resolves with the exit code. */
function followStop(
  stop: StopSignals,
  { log, manager, world }: Pick<Serving, "log" | "manager" | "world">,
): (app: App | null) => Promise<number> {
  let exitCode: number = exitCodes.fine;
  world.onUnexpected((error) => {
    log.error({ err: error }, "unexpected error: this is a bug");
    exitCode = exitCodes.failure;
    stop.stop("unexpected error");
  });
  void stop.whenStopped().then((why) => {
    if (why === startFailed) return;
    log.info(`${why}: taking no more calls, letting running ones end; ${describeNextSignal(why)}`);
    manager.notify("STOPPING=1", "STATUS=draining");
  });

  return async (app) => {
    stop.stop(startFailed);
    const force = () => {
      log.warn(`${stop.forced.reason} again: ending now`);
      app?.abort();
    };
    if (stop.forced.aborted) force();
    else stop.forced.addEventListener("abort", force);
    const endMsMax = (app?.shutdownGraceMs() ?? 0) + closeMsMax;
    const isEnded = await stop.settle(app?.stop() ?? Promise.resolve(), endMsMax).catch((error: unknown) => {
      log.error({ err: error }, "could not stop in order");
      return null;
    });
    if (isEnded === true) log.info("stopped");
    else if (!stop.forced.aborted) {
      exitCode = exitCodes.failure;
      if (isEnded === false) log.error(`could not stop in order: not done after ${endMsMax / 1_000} s`);
    }
    await stop.settle(flushLog(log), flushMsMax);
    return exitCode;
  };
}

const startFailed = "the start failed";
const flushMsMax = 500;

/** What lives as long as the gateway. */
interface Serving {
  readonly choice: ConfigChoice;
  readonly mode: LoadMode;
  readonly app: App;
  readonly log: Logger;
  readonly manager: ServiceManager;
  readonly world: World;
  readonly stop: StopSignals;
}

/** Reloads on SIGHUP and when the file changes. A bad file changes nothing. */
function followConfig(
  { choice, mode, app, log, manager, world, stop }: Serving,
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

  world.onSignal("SIGHUP", () => {
    // A terminal that is closed sends it too, and nobody is left to stop what it ran.
    if (world.isTerminalGone()) stop.stop("the terminal is closed");
    else reload("SIGHUP");
  });
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
  const username = settings.auth.users[0]?.username;
  const enter =
    username === undefined
      ? `Add a person:  glm-proxy user add NAME
Add a key:     glm-proxy key add --owner NAME --name laptop`
      : `Log in:  curl -s http://${shown}:${port}/auth/login -H 'content-type: application/json' \\
           -d '{"username":${JSON.stringify(username).replaceAll("'", "'\\''")},"password":"…"}'`;
  const credential = username === undefined ? "$KEY" : "$TOKEN";
  world.print(`
${enter}
Chat:    curl -N http://${shown}:${port}/chat/completions -H "authorization: Bearer ${credential}" \\
           -H 'content-type: application/json' \\
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
