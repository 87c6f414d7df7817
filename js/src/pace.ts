/**
 * No more messages than the server takes: waiting here is better than being told to wait. Pure.
 *
 * A token bucket, as the server's: a message costs one token, a large one a token for each 2 KiB.
 */

const BYTES_A_TOKEN = 2 * 1024;

export class Pace {
  readonly #rate: number;
  readonly #burst: number;
  #level: number;
  #at = 0;

  /** `rate` messages a second and as many at once; 0 is no limit. */
  constructor(rate: number) {
    this.#rate = rate;
    this.#burst = Math.max(rate, 1);
    this.#level = this.#burst;
  }

  /**
   * Return 0 for a message of `bytes` that may be sent now, else the milliseconds until it may.
   * `now` is in milliseconds on any one steady clock.
   */
  take(bytes: number, now: number): number {
    if (this.#rate <= 0) return 0;
    const gained = (Math.max(0, now - this.#at) * this.#rate) / 1000;
    this.#level = Math.min(this.#burst, this.#level + gained);
    this.#at = now;
    const cost = Math.min(Math.max(1, bytes / BYTES_A_TOKEN), this.#burst);
    const missing = cost - this.#level;
    if (missing > 1e-9) return (missing * 1000) / this.#rate;
    this.#level -= cost;
    return 0;
  }
}
