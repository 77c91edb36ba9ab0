// A running quantile of a positive measure, in constant space: each observation moves the estimate a step up or down
// in proportion to the quantile (stochastic approximation on the logarithm, so that the scale does not matter).

const stepMax = 0.5;
const stepMin = 0.02;

export class Quantile {
  readonly #share: number;
  #logarithm: number;
  #count = 0;

  /** `share` in (0, 1): 0.5 is the median. `initial` counts until something was observed. */
  constructor(share: number, initial: number) {
    this.#share = share;
    this.#logarithm = Math.log(initial);
  }

  get value(): number {
    return Math.exp(this.#logarithm);
  }

  get isKnown(): boolean {
    return this.#count > 0;
  }

  /** Zero and less count as a very small value. */
  add(value: number): void {
    const logarithm = Math.log(Math.max(value, 1e-6));
    if (this.#count++ === 0) {
      this.#logarithm = logarithm;
      return;
    }
    const step = Math.max(stepMin, stepMax / this.#count);
    if (logarithm > this.#logarithm) this.#logarithm += step * this.#share * 2;
    else if (logarithm < this.#logarithm) this.#logarithm -= step * (1 - this.#share) * 2;
  }
}
