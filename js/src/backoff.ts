/**
 * When a lost connection is made again, and how long to wait before each try. Pure: the time and the
 * random number come in.
 *
 * The wait is drawn between nothing and a bound that doubles (full jitter), so that the clients of a
 * server that restarts do not all come back in the same moment.
 */

/** How a client comes back after a loss. */
export interface ReconnectOptions {
  /** Give up after so many failed tries in a row. Any number by default. */
  maxTries?: number;
  /** Give up so long after the loss. 120 s by default. */
  maxTimeMs?: number;
  /** The bound of the first wait. 500 ms by default. */
  firstDelayMs?: number;
  /** The bound of any wait. 10 s by default. */
  maxDelayMs?: number;
}

/** Close codes after which a client comes back by itself, beside all of 45xx. */
const RETURN = new Set([1001, 1006, 1011, 1012, 1013]);

/** Whether a connection that ended with this code is to be made again. */
export function mayReturn(closeCode: number): boolean {
  return RETURN.has(closeCode) || (closeCode >= 4500 && closeCode < 4600);
}

const DEFAULTS: Required<ReconnectOptions> = {
  maxTries: Number.POSITIVE_INFINITY,
  maxTimeMs: 120_000,
  firstDelayMs: 500,
  maxDelayMs: 10_000,
};

/** Counts the tries since a loss. Times (`now`) are milliseconds on any one steady clock. */
export class Backoff {
  readonly #options: Required<ReconnectOptions>;
  #tries = 0;
  #lostAt: number | null = null;
  #openedAt: number | null = null;

  /** Throws RangeError for what cannot be a wait or a count. */
  constructor(options: ReconnectOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    for (const [name, value] of Object.entries(this.#options)) {
      if (!(value > 0)) throw new RangeError(`reconnect.${name}: above 0, this is ${value}`);
    }
  }

  /** How many tries were begun since the connection was last good. */
  get tries(): number {
    return this.#tries;
  }

  /** Note that a connection stands. */
  opened(now: number): void {
    this.#openedAt = now;
  }

  /**
   * Note a loss, or a failed try. Return how long to wait before the next one, or null to give up.
   * `draw` is a random number between 0 and 1.
   */
  next(now: number, draw: number): number | null {
    // One that broke at once is no better than one that failed: only a good one ends the count.
    const held = this.#openedAt === null ? 0 : now - this.#openedAt;
    this.#openedAt = null;
    if (held >= this.#options.maxDelayMs) {
      this.#tries = 0;
      this.#lostAt = null;
    }
    this.#lostAt ??= now;
    if (this.#tries >= this.#options.maxTries) return null;
    if (now - this.#lostAt >= this.#options.maxTimeMs) return null;
    const bound = Math.min(
      this.#options.maxDelayMs,
      this.#options.firstDelayMs * 2 ** Math.min(this.#tries, 60),
    );
    this.#tries += 1;
    return bound * draw;
  }
}
