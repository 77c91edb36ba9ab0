// Texts as a shell reads them: quoted so that nothing in them is taken for anything else.

export const shells = ["bash", "fish", "powershell"] as const;
export type Shell = (typeof shells)[number];

/** zsh and others of its kind read what bash reads. */
export function guessShell(env: Readonly<Record<string, string | undefined>>): Shell {
  if (env.SHELL?.endsWith("/fish")) return "fish";
  return env.SHELL === undefined && env.PSModulePath !== undefined ? "powershell" : "bash";
}

/** A text, or a variable whose value is meant. */
export type Word = string | { readonly variable: string };

export function quoteWord(shell: Shell, word: Word): string {
  if (typeof word !== "string") return `"${expandVariable(shell, word.variable)}"`;
  if (shell !== "powershell" && /^[\w.:/+=@-]+$/.test(word)) return word;
  switch (shell) {
    case "bash":
      return `'${word.replaceAll("'", "'\\''")}'`;
    case "fish":
      return `'${word.replace(/['\\]/g, "\\$&")}'`;
    case "powershell":
      return `'${word.replaceAll("'", "''")}'`;
  }
}

/** As it stands inside double quotes. */
export function expandVariable(shell: Shell, name: string): string {
  return shell === "powershell" ? `$env:${name}` : `$${name}`;
}

export function setVariable(shell: Shell, name: string, word: Word): string {
  const value = quoteWord(shell, word);
  switch (shell) {
    case "bash":
      return `export ${name}=${value}`;
    case "fish":
      return `set -gx ${name} ${value}`;
    case "powershell":
      return `$env:${name} = ${value}`;
  }
}
