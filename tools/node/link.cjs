// Makes sure that node_modules/.bin/node is the Node that this repository pins. npm links it by itself, but npm 10 takes
// the link away again when the same program for another platform does not fit (it is optional, and shares the name).
// Runs on any Node, after each install; without the development dependencies there is nothing to do.

const fs = require("node:fs");
const path = require("node:path");

const modules = path.join(__dirname, "..", "..", "node_modules");
const { optionalDependencies } = require("./package.json");

// The scripts say "exec node …", so that a signal to npm reaches the gateway and not only a shell in between. Windows
// has no such word: there it is a command that runs the rest.
if (process.platform === "win32" && fs.existsSync(path.join(modules, ".bin"))) {
  fs.writeFileSync(path.join(modules, ".bin", "exec.cmd"), "@%*\r\n");
}

for (const name of Object.keys(optionalDependencies)) {
  const folder = path.join(modules, name);
  if (!fs.existsSync(path.join(folder, "package.json"))) continue;
  const program = path.join(folder, process.platform === "win32" ? "bin/node.exe" : "bin/node");
  const link = path.join(modules, ".bin", process.platform === "win32" ? "node.cmd" : "node");
  if (!fs.existsSync(program) || fs.existsSync(link)) continue;
  fs.mkdirSync(path.dirname(link), { recursive: true });
  const target = path.relative(path.dirname(link), program);
  if (process.platform === "win32") fs.writeFileSync(link, `@"%~dp0\\${target}" %*\r\n`);
  else fs.symlinkSync(target, link);
}
