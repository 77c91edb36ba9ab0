// Which Node this gateway may run on. Older ones lack what it stands on, or have flaws that a gateway must not have.

/** Below these, over-limit headers were dropped silently while the parser acted on them (CVE-2026-58044). */
const floors: Readonly<Record<number, readonly [minor: number, patch: number]>> = { 24: [18, 1], 26: [5, 1] };

/** One line on what is wrong and what to do, or null. */
export function findRuntimeProblem(
  versions: { readonly node: string },
  execArguments: readonly string[],
  nodeOptions: string | undefined,
): string | null {
  const [major = 0, minor = 0, patch = 0] = versions.node.split(".").map(Number);
  const floor = floors[major];
  const isTooOld =
    major < 24 || major === 25 || (floor && (minor < floor[0] || (minor === floor[0] && patch < floor[1])));
  if (isTooOld) {
    return `Cannot run on Node ${versions.node}: 24.18.1, 26.5.1 or newer is needed. In a checkout, use the npm scripts: they bring their own.`;
  }
  if ([...execArguments, nodeOptions ?? ""].some((text) => text.includes("--insecure-http-parser"))) {
    return "Cannot run with --insecure-http-parser: it lets requests be smuggled past the gateway. Remove it from NODE_OPTIONS.";
  }
  return null;
}
