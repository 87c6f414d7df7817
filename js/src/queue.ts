/**
 * Events that wait to be read: bounded, so that a reader who lags, or who never comes, costs no more
 * than so much memory. A browser's WebSocket cannot be told to wait, so what is over gives way here.
 */

/** What the queue has to know of an event. */
export interface Queued {
  readonly type?: string;
  readonly text?: string;
}

/** How many unread events of a job are kept. */
export const EVENTS_KEPT = 1000;

/**
 * An async iterable of events, each given to one reader.
 *
 * Over `limit` neighbouring tokens are joined, which loses no text; where there are none, the oldest
 * event that is no token is dropped and counted. The last event, given to `end`, always has room.
 */
export class EventQueue<E extends Queued> {
  /** How many events were dropped. */
  dropped = 0;
  readonly #limit: number;
  #events: E[] = [];
  #readers: (() => void)[] = [];
  #over = false;
  #error: { error: unknown } | null = null;

  constructor(limit = EVENTS_KEPT) {
    this.#limit = limit;
  }

  put(event: E): void {
    if (this.#error) return;
    this.#events.push(event);
    if (this.#events.length > this.#limit) this.#makeRoom();
    this.#rouse();
  }

  /** Take the last event; readers end after it. */
  end(event: E): void {
    if (this.#error) return;
    this.#events.push(event);
    this.#over = true;
    this.#rouse();
  }

  /** Throw `error` to readers once they have read what waits, or at once where `now`; take no more. */
  fail(error: unknown, { now = false } = {}): void {
    if (now) this.#events = [];
    this.#error = { error };
    this.#rouse();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<E, void, void> {
    for (;;) {
      const event = this.#events.shift();
      if (event) yield event;
      else if (this.#error) throw this.#error.error;
      else if (this.#over) return;
      else await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
  }

  #makeRoom(): void {
    const events = this.#events;
    const end = events.length - 1;
    if (isToken(events[end]) && isToken(events[end - 1])) return this.#join(end - 1);
    const oldest = events.findIndex((event) => !isToken(event));
    if (oldest < end && oldest >= 0) {
      events.splice(oldest, 1);
      this.dropped += 1;
    } else {
      this.#join(0); // all but the newest are tokens
    }
  }

  #join(index: number): void {
    const [first, second] = this.#events.slice(index, index + 2) as [E, E];
    const text = `${first.text}${second.text}`;
    this.#events.splice(index, 2, { ...second, text });
  }

  #rouse(): void {
    const readers = this.#readers;
    this.#readers = [];
    for (const wake of readers) wake();
  }
}

function isToken(event: Queued | undefined): boolean {
  return event?.type === "token";
}
