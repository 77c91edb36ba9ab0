// The health of each key by its name. A refused key is refused for calls of every kind, so that schedulers of one pool
// share this; the count tells each of them that something has changed since it looked last.

import { Health } from "./health.ts";

export class KeyHealths {
  /** Rises when a key may serve that did not, or the other way round. */
  changeCount = 0;
  readonly #byName = new Map<string, Health>();
  readonly #noteChange = (): void => {
    this.changeCount++;
  };

  of(name: string): Health {
    let health = this.#byName.get(name);
    if (!health) {
      health = new Health(this.#noteChange);
      this.#byName.set(name, health);
    }
    return health;
  }

  /** Of other names, nothing is remembered. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#byName.keys()) if (!names.has(name)) this.#byName.delete(name);
  }
}
