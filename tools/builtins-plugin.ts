// Node's own modules, as a bundle gets them. An `import` of one asks for every name that it exports, and asking node:http
// for its WebSocket loads all of Node's fetch: 30 of the 300 ms that the start takes. As CommonJS, what is used is asked for.

import type { Plugin } from "esbuild";

export const builtinsPlugin: Plugin = {
  name: "builtins",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "builtin" } : { path, external: true },
    );
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: "js",
    }));
  },
};
