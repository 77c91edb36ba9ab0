// A gateway that is loaded and waits to be told its settings, so that it starts within moments of another one's end.

import { pino } from "pino";
import { createApp } from "../../src/app.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Settings } from "../../src/config/settings.ts";

/** The first one starts it, later ones are new settings. Aliases and the like are empty: maps do not travel. */
process.on("message", async (settings: Settings) => {
  const { glm } = settings;
  const whole = { ...settings, glm: { ...glm, aliases: new Map(), fallbacks: new Map() } };
  if (running) return (await running).apply(whole);
  running = createApp(whole, "0.0.0-test", pino({ level: "error", base: null }, pino.destination(2)), systemClock);
  const port = await (await running).start();
  process.send?.(port);
});
process.once("SIGTERM", async () => {
  await (await running)?.stop();
  process.exit(0);
});
process.on("disconnect", () => process.exit(1));

let running: ReturnType<typeof createApp> | undefined;
