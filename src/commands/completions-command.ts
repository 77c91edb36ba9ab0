// glm-proxy completions: scripts for shells, made of the command tree. Nothing is asked of a server while somebody types.

import type { Entry, OptionSpec, Verb } from "./command.ts";
import { usageError } from "./command-error.ts";
import { exitCodes } from "./world.ts";

/** `entries`: the first level of the command tree, which knows this command too. */
export function createCompletions(entries: readonly Entry[]): Verb {
  return {
    name: "completions",
    summary: "print a completion script for bash, zsh or fish",
    arguments: [{ name: "<shell>", description: "bash, zsh or fish" }],
    examples: [
      "glm-proxy completions bash > ~/.local/share/bash-completion/completions/glm-proxy",
      "glm-proxy completions zsh > ~/.zfunc/_glm-proxy    # with fpath+=(~/.zfunc) before compinit in ~/.zshrc",
      "glm-proxy completions fish > ~/.config/fish/completions/glm-proxy.fish",
    ],
    async run(input, world) {
      const shell = input.required(0);
      const format = formats.get(shell);
      if (!format) throw usageError(`Cannot complete in ${shell}: known are ${[...formats.keys()].join(", ")}.`);
      world.write(format(await readTree(entries)));
      return exitCodes.fine;
    },
  };
}

/** A command as completion needs it. */
export interface Node {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly Flag[];
  readonly children: readonly Node[];
}

interface Flag {
  readonly long: string;
  readonly short: string | null;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly takesFile: boolean;
}

const help: Flag = {
  long: "--help",
  short: "-h",
  description: "what it does, with examples",
  takesValue: false,
  choices: [],
  takesFile: false,
};

export function readTree(entries: readonly Entry[]): Promise<readonly Node[]> {
  return Promise.all(
    entries.map(async (entry): Promise<Node> => {
      const loaded = await entry.load();
      const { name, summary } = entry;
      if ("run" in loaded) return { ...toNode(loaded), summary };
      return { name, summary, options: [help], children: loaded.map(toNode) };
    }),
  );
}

function toNode({ name, summary, options = [] }: Verb): Node {
  return { name, summary, options: [...options.map(toFlag), help], children: [] };
}

function toFlag({ flags, description, choices = [] }: OptionSpec): Flag {
  return {
    long: /--[\w-]+/.exec(flags)?.[0] ?? flags,
    short: /(?:^|\s)(-\w)\b/.exec(flags)?.[1] ?? null,
    description,
    takesValue: flags.includes("<"),
    choices,
    takesFile: /<(?:file|folder)>/.test(flags),
  };
}

type Format = (tree: readonly Node[]) => string;

const formats: ReadonlyMap<string, Format> = new Map<string, Format>([
  ["bash", formatBash],
  ["zsh", formatZsh],
  ["fish", formatFish],
]);

/** Every command by the words that lead to it. */
function listPaths(tree: readonly Node[]): { path: string; node: Node }[] {
  return tree.flatMap((node) => [
    { path: node.name, node },
    ...node.children.map((child) => ({ path: `${node.name} ${child.name}`, node: child })),
  ]);
}

function wordsOf({ children, options }: Node): string {
  return [...children.map(({ name }) => name), ...options.flatMap(namesOf)].join(" ");
}

function namesOf({ long, short }: Flag): string[] {
  return short === null ? [long] : [long, short];
}

export function formatBash(tree: readonly Node[]): string {
  const paths = listPaths(tree);
  const groups = tree.filter(({ children }) => children.length > 0).map(({ name }) => name);
  const values = paths.flatMap(({ path, node }) =>
    node.options
      .filter(({ takesValue }) => takesValue)
      .map((flag) => {
        const names = namesOf(flag).map((name) => quoteShell(`${path}:${name}`));
        const values = flag.takesFile ? "isFile=1" : `words=${quoteShell(flag.choices.join(" "))}`;
        return `    ${names.join("|")}) ${values} ;;`;
      }),
  );
  const words = paths.map(({ path, node }) => `    ${quoteShell(path)}:*) words=${quoteShell(wordsOf(node))} ;;`);
  // Also for bash 3.2, which macOS has.
  return `# bash completion for glm-proxy, made by: glm-proxy completions bash
_glm_proxy() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path=\${COMP_WORDS[1]} words='' isFile=''
  case $path in ${groups.join("|")}) [ "$COMP_CWORD" -gt 2 ] && path="$path \${COMP_WORDS[2]}" ;; esac
  [ "$COMP_CWORD" -eq 1 ] && path=''
  case $path:$before in
    :*) words=${quoteShell(tree.map(({ name }) => name).join(" "))} ;;
${values.join("\n")}
${words.join("\n")}
  esac
  if [ -n "$isFile" ]; then
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- "$word"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  fi
}
complete -o default -F _glm_proxy glm-proxy
`;
}

export function formatZsh(tree: readonly Node[]): string {
  const describe = (nodes: readonly Node[]) =>
    nodes.map(({ name, summary }) => `    ${quoteShell(`${escapeZsh(name)}:${escapeZsh(summary)}`)}`).join("\n");
  const specOf = (flag: Flag) => {
    const { description, takesValue, takesFile, choices } = flag;
    const text = `[${escapeZsh(description).replace(/[[\]]/g, "\\$&")}]`;
    const value = takesValue
      ? `:value:${takesFile ? "_files" : choices.length > 0 ? `(${choices.join(" ")})` : " "}`
      : "";
    return namesOf(flag)
      .map((name) => `      ${quoteShell(`*${name}${text}${value}`)}`)
      .join(" \\\n");
  };
  const leaf = (path: string, node: Node) =>
    `    ${quoteShell(path)})\n      _arguments \\\n${node.options.map(specOf).join(" \\\n")} \\\n      '*:argument:_files' ;;`;
  const cases = tree.flatMap((node) =>
    node.children.length === 0
      ? [leaf(node.name, node)]
      : [
          `    ${quoteShell(node.name)})\n      commands=(\n${describe(node.children)}\n      )\n      _describe verb commands ;;`,
          ...node.children.map((child) => leaf(`${node.name} ${child.name}`, child)),
        ],
  );
  const groups = tree.filter(({ children }) => children.length > 0).map(({ name }) => name);
  return `#compdef glm-proxy
# zsh completion for glm-proxy, made by: glm-proxy completions zsh
_glm_proxy() {
  local -a commands
  if ((CURRENT == 2)); then
    commands=(
${describe(tree)}
    )
    _describe command commands
    return
  fi
  local given=$words[2]
  case $given in ${groups.join("|")}) ((CURRENT > 3)) && given="$given $words[3]" ;; esac
  case $given in
${cases.join("\n")}
  esac
}
_glm_proxy "$@"
`;
}

export function formatFish(tree: readonly Node[]): string {
  const names = tree.map(({ name }) => name).join(" ");
  const lines = tree.flatMap((node) => [
    `complete -c glm-proxy -n ${quoteShell(`not __fish_seen_subcommand_from ${names}`)} -f -a ${node.name} -d ${quoteShell(node.summary)}`,
    ...(node.children.length === 0 ? node.options.map((flag) => fishFlag(seen(node.name), flag)) : []),
    ...node.children.flatMap((child) => [
      `complete -c glm-proxy -n ${quoteShell(`${seen(node.name)}; and not __fish_seen_subcommand_from ${node.children.map((one) => one.name).join(" ")}`)} -f -a ${child.name} -d ${quoteShell(child.summary)}`,
      ...child.options.map((flag) => fishFlag(`${seen(node.name)}; and ${seen(child.name)}`, flag)),
    ]),
  ]);
  return `# fish completion for glm-proxy, made by: glm-proxy completions fish\n${lines.join("\n")}\n`;
}

function seen(name: string): string {
  return `__fish_seen_subcommand_from ${name}`;
}

function fishFlag(condition: string, { long, short, description, takesValue, takesFile, choices }: Flag): string {
  const value = !takesValue
    ? ""
    : takesFile
      ? " -r -F"
      : choices.length > 0
        ? ` -x -a ${quoteShell(choices.join(" "))}`
        : " -x";
  const names = `-l ${long.slice(2)}${short ? ` -s ${short.slice(1)}` : ""}`;
  return `complete -c glm-proxy -n ${quoteShell(condition)} ${names}${value} -d ${quoteShell(description)}`;
}

function quoteShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function escapeZsh(text: string): string {
  return text.replace(/[\\:]/g, "\\$&");
}
