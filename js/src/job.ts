/** One job as its user sees it: an async iterable of its events, its result, and its stop. */

import { deferred } from "./deferred.js";
import { Delivered, textSoFar } from "./delivered.js";
import { ConnectionLost, JobCancelled, JobFailed, JobLost, ProtocolError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import type { Piece } from "./feeder.js";
import type {
  Accepted,
  Cancelled,
  CancelReply,
  Completed,
  Failed,
  InputReply,
  Token,
} from "./frames.js";
import { JobTexts } from "./offsets.js";
import { EventQueue } from "./queue.js";
import type { Ended, JobEvent, JobFrame, JobStatus } from "./types.js";

/** What a job asks of its client. */
export interface Desk {
  cancel(id: string): Promise<CancelReply>;
  append(id: string, piece: Piece): Promise<InputReply>;
  revise(id: string, text: string): Promise<InputReply>;
}

/** The events of a job for `addEventListener`; `detail` is the frame. */
export interface JobEventMap<R> {
  token: CustomEvent<Token>;
  status: CustomEvent<JobStatus>;
  done: CustomEvent<Ended<R>>;
  /** Instead of `done`, where the job was rejected or its end will not come. */
  error: CustomEvent<unknown>;
}

/**
 * A job, made by `Client.process` and its sisters: an async iterable of its events, each given to one
 * reader, the terminal one last. It throws what `result` rejects with only where the end did not
 * come: JobRejected, JobLost, ProtocolError.
 *
 * Events wait until they are read, 1000 of them; over that waiting tokens are joined, and else the
 * oldest status is dropped and counted in `dropped`. The result is whole in any case. Breaking out of
 * `for await` stops nothing, since the result may still be wanted.
 */
export class Job<R = Record<string, unknown>, E = JobEvent<R>> extends TypedEventTarget<
  JobEventMap<R>
> {
  readonly id: string;
  /** Resolves once the server took the job; rejects with JobRejected, JobLost. */
  readonly accepted: Promise<Accepted>;
  /** Resolves to the result; rejects with JobRejected, JobCancelled, JobFailed, JobLost. */
  readonly result: Promise<R>;
  /** Resolves to the terminal frame, whichever it is; rejects with JobRejected, JobLost. */
  readonly done: Promise<Ended<R>>;
  /** @internal What the job's offsets speak of. */
  readonly texts: JobTexts;
  /** @internal Whether nobody wants the job to be run again. */
  unwanted = false;

  readonly #desk: Desk;
  readonly #accepted = deferred<Accepted>();
  readonly #result = deferred<R>();
  readonly #done = deferred<Ended<R>>();
  readonly #events = new EventQueue<JobEvent<R>>();
  readonly #delivered = new Delivered();
  #toldChars = 0;
  #gapAllowed = false;
  #attached = false;
  #task: string;
  #lastSeq = 0;
  #restarts = 0;
  #over = false;
  #release = () => {};

  /** @internal */
  constructor(id: string, task: string, texts: readonly string[], desk: Desk) {
    super();
    this.id = id;
    this.#task = task;
    this.accepted = this.#accepted.promise;
    this.result = this.#result.promise;
    this.done = this.#done.promise;
    this.#desk = desk;
    this.texts = new JobTexts(texts);
  }

  /** The task: `process`, `batch`, `generate` or one that the deployment added. */
  get task(): string {
    return this.#task;
  }

  /** @internal Learn the task of a job that another client submitted. */
  set task(task: string) {
    this.#task = task;
  }

  /** The number of the last frame that came. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** How often the job was submitted again because its server or its session was gone. */
  get restarts(): number {
    return this.#restarts;
  }

  /** How many events were dropped because nobody read them. */
  get dropped(): number {
    return this.#events.dropped;
  }

  // --- what happens ------------------------------------------------------------------------------

  async *[Symbol.asyncIterator](): AsyncGenerator<E, void, void> {
    for await (const event of this.#events) {
      if (event.type === "token") this.#toldChars += event.text.length;
      yield event as E;
    }
  }

  /**
   * Yield the text of a `generate` job piece by piece, whole also where a part of the frames was
   * missed; throw what `result` rejects with.
   */
  async *tokens(): AsyncGenerator<string, void, void> {
    for await (const event of this as AsyncIterable<JobEvent<R>>) {
      if (event.type === "token") {
        yield event.text;
      } else {
        const rest = textSoFar(event as JobFrame)?.slice(this.#toldChars);
        if (!rest) continue;
        this.#toldChars += rest.length;
        yield rest;
      }
    }
    await this.result;
  }

  // --- what is asked -----------------------------------------------------------------------------

  /** Ask the server to stop this job; resolves to its reply, the end follows in `done`. */
  cancel(): Promise<CancelReply> {
    return this.#desk.cancel(this.id);
  }

  /**
   * Send more text of a job that was submitted with `open: true`; `final` ends its input. Pieces go
   * one after the other, and each once, also over a lost connection. Rejects with InputRefused where
   * the job takes no more, and with ConnectionLost. A piece must not end inside of a surrogate pair.
   */
  append(text: string | undefined, { final = false } = {}): Promise<InputReply> {
    return this.#desk.append(this.id, text === undefined ? { final } : { text, final });
  }

  /** Send the new full text of a job that was submitted with `live: true`. Rejects with InputRefused. */
  revise(text: string): Promise<InputReply> {
    return this.#desk.revise(this.id, text);
  }

  // --- for the client ----------------------------------------------------------------------------

  /** @internal Whether the end has come, or will not come. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * @internal Let a signal stop the job: what waits for it is told at once, the server is asked to
   * stop, and `done` still tells how that went.
   */
  stopOn(signal: AbortSignal): void {
    const stop = () => {
      this.cancel().catch(() => {}); // a lost connection is told by `done`
      this.#accepted.reject(signal.reason);
      this.#result.reject(signal.reason);
      this.#events.fail(signal.reason, { now: true });
    };
    signal.addEventListener("abort", stop, { once: true });
    this.#release = () => signal.removeEventListener("abort", stop);
  }

  /** @internal Take the server's yes; a repeated one, where the job runs already, has no number. */
  accept(frame: Accepted): void {
    this.#accepted.resolve(frame);
    this.#lastSeq = frame.seq ?? frame.last_seq ?? 0;
    this.#attached = frame.seq === undefined;
  }

  /**
   * @internal Take a frame of the job; a replayed one that is known already is left out. Throws
   * ProtocolError where one is missing or doubled, Diverged where a second run does not continue
   * what was handed out of the first.
   */
  receive(frame: JobFrame & { seq: number }): void {
    if (this.#over || !this.#isNext(frame)) return;
    this.#lastSeq = frame.seq;
    const fresh = this.#delivered.fresh(frame);
    if (!fresh || fresh.type === "accepted") return;
    if (fresh.type === "done") return this.end(fresh);
    const event = this.texts.convert(fresh);
    this.#events.put(event);
    this.dispatchEvent(new CustomEvent(event.type, { detail: event }));
  }

  /** @internal Expect a frame that stands for those that cannot be had any more. */
  allowGap(): void {
    this.#gapAllowed = true;
  }

  /** @internal Begin again: the job is being submitted once more. What was handed out stays so. */
  rewind(): void {
    this.#restarts += 1;
    this.#lastSeq = 0;
    this.#gapAllowed = false;
    this.#delivered.rewind();
  }

  /** @internal Take the terminal frame. */
  end(frame: Completed | Cancelled | Failed): void {
    const event = this.texts.convert(frame) as Ended<R>;
    this.#over = true;
    this.#release();
    this.#events.end(event);
    this.#done.resolve(event);
    if (event.status === "completed") this.#result.resolve(event.result);
    else if (event.status === "cancelled") this.#result.reject(new JobCancelled(event));
    else this.#result.reject(new JobFailed(event));
    this.dispatchEvent(new CustomEvent("done", { detail: event }));
  }

  /** @internal End without an end: rejected, or lost with the connection. */
  fail(error: unknown): void {
    if (this.#over) return;
    const isLoss = error instanceof ConnectionLost && !(error instanceof JobLost);
    const loss = isLoss ? new JobLost(this.id, error) : error;
    this.#over = true;
    this.#release();
    this.#accepted.reject(loss);
    this.#result.reject(loss);
    this.#done.reject(loss);
    this.#events.fail(loss);
    this.dispatchEvent(new CustomEvent("error", { detail: loss }));
  }

  #isNext(frame: JobFrame & { seq: number }): boolean {
    const due = this.lastSeq + 1;
    if (this.#attached && frame.seq >= this.lastSeq) {
      this.#attached = false;
      return true;
    }
    if (frame.seq < due && frame.replay) return false;
    const standsForOthers =
      frame.type === "done" || (frame.type === "status" && frame.status === "snapshot");
    if (frame.seq !== due && !(frame.seq > due && this.#gapAllowed && standsForOthers)) {
      const message = `job ${this.id}: frame ${due} was due, frame ${frame.seq} came`;
      throw new ProtocolError(message);
    }
    this.#gapAllowed = false;
    return true;
  }
}
