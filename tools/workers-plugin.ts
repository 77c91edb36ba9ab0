// Lets a bundle start its threads without other files: what they run (`x-worker.ts`, which exports `xWorkerUrl`) is bundled
// by itself, and lies in the bundle as a data: URL. So a thread loads a few kilobytes, and not the whole gateway once more.

import { basename } from "node:path";
import { build, type Plugin } from "esbuild";

export const workersPlugin: Plugin = {
  name: "workers",
  setup({ onLoad, initialOptions: { target = "node24" } }) {
    onLoad({ filter: /src[\\/]\w+[\\/]\w+-worker\.ts$/ }, async ({ path }) => {
      const name = basename(path, "-worker.ts");
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
      return { contents: `export const ${name}WorkerUrl = new URL(${JSON.stringify(url)});`, loader: "js" };
    });
  },
};
