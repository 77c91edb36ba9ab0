// Lets a bundle start its SQLite threads without files beside it: what they run is bundled by itself, and lies in the
// bundle as a data: URL. So a thread loads a few kilobytes, and not the whole gateway once more.

import { build, type Plugin } from "esbuild";

export const sqliteThreadPlugin: Plugin = {
  name: "sqlite-thread",
  setup({ onLoad, initialOptions: { target = "node24" } }) {
    onLoad({ filter: /src[\\/]store[\\/]sqlite-worker\.ts$/ }, async ({ path }) => {
      const { outputFiles } = await build({
        entryPoints: [path],
        bundle: true,
        platform: "node",
        format: "esm",
        target,
        minify: true,
        write: false,
      });
      const text = outputFiles.map(({ contents }) => Buffer.from(contents).toString("base64")).join("");
      const url = `data:text/javascript;base64,${text}`;
      return { contents: `export const sqliteWorkerUrl = new URL(${JSON.stringify(url)});`, loader: "js" };
    });
  },
};
