// What the check of an unknown user's password costs: as much as that of a known one, so that the time of a refused login
// does not say which names there are, also where hashes of several costs are in use.

import type { NamedSecret } from "./directory.ts";
import { defaultParameters, type HashParameters, parametersOf } from "./passwords.ts";

/** By the secrets of all who may log in. The same name gets the same parameters as long as they are in use. */
export type UnknownNames = (name: string, secrets: readonly NamedSecret[]) => HashParameters;

/** `toKeyedHash`: 6 bytes or more in base64url, of a key that restarts and other processes share. */
export function createUnknownNames(toKeyedHash: (text: string) => string): UnknownNames {
  let summed: readonly NamedSecret[] | null = null;
  let inUse: readonly { readonly parameters: HashParameters; readonly name: string; readonly count: number }[] = [];

  function sum(secrets: readonly NamedSecret[]): void {
    summed = secrets;
    inUse = Map.groupBy(
      secrets.map(({ secret }) => parametersOf(secret)),
      nameOf,
    )
      .entries()
      .map(([name, group]) => ({ parameters: group[0] as HashParameters, name, count: group.length }))
      .toArray();
  }

  return (name, secrets) => {
    if (secrets !== summed) sum(secrets);
    if (inUse.length <= 1) return inUse[0]?.parameters ?? defaultParameters;
    // Weighted rendezvous hashing: as many unknown names as known ones have each cost, and another user's change moves
    // next to none of them.
    let chosen = defaultParameters;
    let best = Number.POSITIVE_INFINITY;
    for (const { parameters, name: cost, count } of inUse) {
      const hash = Buffer.from(toKeyedHash(JSON.stringify(["unknown", name, cost])), "base64url").readUIntBE(0, 6);
      const score = -Math.log((hash + 1) / 2 ** 48) / count;
      if (score < best) {
        best = score;
        chosen = parameters;
      }
    }
    return chosen;
  };
}

/** Whose check takes another time than that of a hash which is made here. */
export function findOtherCosts(secrets: readonly NamedSecret[]): readonly string[] {
  const usual = nameOf(defaultParameters);
  return secrets.filter(({ secret }) => nameOf(parametersOf(secret)) !== usual).map(({ name }) => name);
}

function nameOf({ memory, passes, parallelism, digestBytes }: HashParameters): string {
  return `m=${memory},t=${passes},p=${parallelism},${digestBytes}`;
}
