// Emphasis on a terminal, where one is wanted: https://no-color.org says how to want none.

export type StyleName = "bold" | "dim" | "red" | "yellow" | "green" | "inverse";

export interface Style {
  apply(name: StyleName, text: string): string;
}

const codes: Readonly<Record<StyleName, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  inverse: [7, 27],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
};

export const plainStyle: Style = { apply: (_name, text) => text };

const colourStyle: Style = {
  apply: (name, text) => `\u001b[${codes[name][0]}m${text}\u001b[${codes[name][1]}m`,
};

export function createStyle(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Style {
  return isTerminal && !env.NO_COLOR && env.TERM !== "dumb" ? colourStyle : plainStyle;
}
