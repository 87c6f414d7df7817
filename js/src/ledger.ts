/**
 * What a client is owed: answers to its submits, frames of its jobs, replies to its questions.
 *
 * The ledger outlives connections. It decides, and returns what is to be sent; it never waits and
 * knows no socket. The rules of a loss:
 *
 * - While the session lives, nothing is repeated: a job goes on after the last frame that came, a
 *   submit whose answer is missing is sent again under its id, and so is a question, unless acting
 *   twice upon it would do harm (`append`).
 * - Where the session is gone, or the server stopped a job by itself (`shutdown`, `disconnect`), a
 *   job of a task that may be repeated is submitted again: the same fields under the same id, or,
 *   where that id is taken by the job's old end, under another on the wire. Its user sees one job,
 *   under the old name, and no event twice.
 * - A job that may not be repeated, or whose stop was asked for, is lost then.
 */

import { Diverged } from "./delivered.js";
import { ConnectionLost, JobLost, JobRejected, ProtocolError } from "./errors.js";
import type { Accepted, Cancelled, ErrorInfo, ServerFrame } from "./frames.js";
import type { Job } from "./job.js";
import { Replies } from "./replies.js";
import type { Control, JobFrame, Reply, Submit } from "./types.js";

/** How often one job is submitted again: one that takes the server down each time must end. */
const MAX_RESTARTS = 10;
/** How long a busy server is asked to take a job back before the job is lost. */
const REPEAT_PATIENCE_MS = 300_000;
/** Of how many ended jobs the last number is told in `resume`, so that they are not replayed. */
const ENDS_KEPT = 1000;

/** Send this submit again after so long, unless it was answered by then. */
export interface Later {
  readonly entry: Entry;
  readonly delayMs: number;
}

/** What is to be done after something came in. */
export interface Outgoing {
  readonly send: (Submit | Control)[];
  readonly later?: Later;
}

// biome-ignore lint/suspicious/noExplicitAny: jobs of any result are kept alike
type AnyJob = Job<any, any>;

/** A submit, from its call to its job's end, over all connections that this takes. */
interface Entry {
  readonly job: AnyJob;
  /** The first submit; `frame` is the present one. */
  readonly original: Submit;
  frame: Submit;
  wireId: string;
  /** Whether the present submission was; `acceptedAt` is when the first one was. */
  accepted: boolean;
  acceptedAt: number | null;
  repeatedAt: number;
  /** The end that the server gave the job by itself, held back while it may be run again. */
  stopped: Cancelled | null;
}

const NOTHING: Outgoing = { send: [] };

/** The jobs and questions of one client. Times (`now`) are milliseconds on any one steady clock. */
export class Ledger {
  /** Whether the present connection's end was announced, with an invitation to come back. */
  draining = false;
  readonly replies = new Replies();
  readonly #repeat: ReadonlySet<string>;
  readonly #returns: boolean;
  readonly #entries = new Map<string, Entry>();
  readonly #ended = new Map<string, number>();
  #nextId = 1;

  /** `repeat`: the tasks that may run twice; without `returns` nothing waits for a next connection. */
  constructor(repeat: Iterable<string>, returns: boolean) {
    this.#repeat = new Set(repeat);
    this.#returns = returns;
  }

  // --- what is asked -----------------------------------------------------------------------------

  /** Return an id that no job of this client has. */
  newId(): string {
    for (;;) {
      const id = `js-${this.#nextId++}`;
      if (!this.#ofName(id) && !this.#ended.has(id)) return id;
    }
  }

  /** Whether a job of this name is not over. */
  has(name: string): boolean {
    return this.#ofName(name) !== undefined;
  }

  /** Note a job that is about to be submitted. */
  add(job: AnyJob, frame: Submit): void {
    this.#entries.set(job.id, {
      job,
      original: frame,
      frame,
      wireId: job.id,
      accepted: false,
      acceptedAt: null,
      repeatedAt: 0,
      stopped: null,
    });
    this.#ended.delete(job.id);
  }

  /** Note that nobody wants a job, or with "*" any, to be run again. */
  giveUp(name: string): void {
    for (const { job } of this.#entries.values()) {
      if (name === "*" || name === job.id) job.unwanted = true;
    }
  }

  /** Return what a job is called on the wire. */
  wireId(name: string): string {
    return this.#ofName(name)?.wireId ?? name;
  }

  /** Whether a submit that was to be sent later is still to be sent. */
  isWaiting(entry: Entry): boolean {
    return this.#entries.get(entry.wireId) === entry && !entry.accepted;
  }

  // --- what comes in -----------------------------------------------------------------------------

  /** Hand a frame to whom it is for; return what is to be sent. Throws ProtocolError. */
  receive(frame: ServerFrame, now: number): Outgoing {
    switch (frame.type) {
      case "accepted":
        return this.#accept(frame, now);
      case "rejected":
        return this.#reject(frame.id ?? "", frame.error, now);
      case "status":
      case "token":
      case "done":
        return this.#handOn(frame as JobFrame & { seq: number }, now);
      case "reply":
        this.replies.answer(frame, this.#renamed(frame));
        return NOTHING;
      case "pong":
        this.replies.answer(frame, frame);
        return NOTHING;
      case "error":
        this.replies.refuse(frame);
        return this.#reject(frame.re?.id ?? "", frame.error, now);
      default: // heartbeats; and what later servers may add
        return NOTHING;
    }
  }

  #accept(frame: Accepted, now: number): Outgoing {
    const entry = this.#entries.get(frame.id);
    if (!entry || entry.accepted) return NOTHING; // or a replayed one
    if (frame.seq !== 1 && !frame.duplicate) {
      throw new ProtocolError(`job ${frame.id}: accepted must be frame 1, it is ${frame.seq}`);
    }
    entry.accepted = true;
    entry.acceptedAt ??= now;
    entry.job.accept({ ...frame, id: entry.job.id });
    return NOTHING;
  }

  #reject(wireId: string, error: ErrorInfo, now: number): Outgoing {
    const entry = this.#entries.get(wireId);
    if (!entry || entry.accepted) return NOTHING;
    if (error.code === "draining" && this.#returns) {
      this.draining = true; // it is sent again on the next connection
      return NOTHING;
    }
    const rejected = new JobRejected(entry.job.id, error);
    if (!entry.job.restarts) {
      this.#drop(entry);
      entry.job.fail(rejected);
    } else if (error.retryable && now - entry.repeatedAt < REPEAT_PATIENCE_MS) {
      return { send: [], later: { entry, delayMs: error.retry_after_ms ?? 1000 } };
    } else {
      const gone = new ConnectionLost(1006, rejected.message);
      this.#lose(entry, gone, `not taken back: ${rejected.message}`);
    }
    return NOTHING;
  }

  #handOn(frame: JobFrame & { seq: number }, now: number): Outgoing {
    const entry = this.#entries.get(frame.id);
    if (!entry?.accepted) return NOTHING;
    const { job, wireId } = entry;
    const named = frame.id === job.id ? frame : { ...frame, id: job.id };
    if (this.#isToReturn(entry, named)) return this.#holdBack(entry, named, now);
    try {
      job.receive(named);
    } catch (error) {
      if (!(error instanceof Diverged)) throw error;
      this.#lose(entry, new ConnectionLost(1006, error.message), error.message);
      return { send: [{ type: "cancel", id: wireId }] };
    }
    if (job.over) {
      this.#drop(entry);
      this.#remember(wireId, frame.seq);
    }
    return NOTHING;
  }

  // --- a loss, and what follows it ---------------------------------------------------------------

  /** The connection is gone, and is being made again. */
  interrupt(lost: unknown): void {
    this.draining = false;
    this.replies.interrupt(lost);
  }

  /** Return the last number seen of each job, for `resume`: `most` of them, the live first. */
  after(most: number): Record<string, number> {
    const accepted = [...this.#entries.values()].filter((entry) => entry.accepted);
    const live = accepted.map((entry): [string, number] => [entry.wireId, entry.job.lastSeq]);
    const ended = [...this.#ended].reverse();
    return Object.fromEntries([...live, ...ended].slice(0, most)); // any name is an own property
  }

  /** The session goes on; return what is to be sent again. */
  resumed(known: Record<string, { recovered: boolean }>, lost: ConnectionLost, now: number) {
    const send: (Submit | Control)[] = [];
    for (const entry of [...this.#entries.values()]) {
      const there = Object.hasOwn(known, entry.wireId) ? known[entry.wireId] : undefined;
      if (entry.stopped) send.push(...this.#repeatOrEnd(entry, lost, now, ""));
      else if (there) this.#goOn(entry, there.recovered);
      else if (!entry.accepted) send.push(entry.frame);
      else send.push(...this.#repeatOrEnd(entry, lost, now, "the server knows it no more"));
    }
    return { send: [...send, ...this.replies.unanswered()] };
  }

  /** The session is gone; return what is to be sent again on the new one. */
  forgotten(lost: ConnectionLost, now: number): Outgoing {
    const send: (Submit | Control)[] = [];
    this.#ended.clear();
    for (const entry of [...this.#entries.values()]) {
      if (!entry.accepted && !entry.stopped) send.push(entry.frame);
      else
        send.push(...this.#repeatOrEnd(entry, lost, now, "the server has forgotten the session"));
    }
    return { send: [...send, ...this.replies.unanswered()] };
  }

  /** No connection will come any more: tell everyone who waits. */
  fail(error: unknown): void {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { job, stopped } of entries) {
      if (stopped) job.end(stopped);
      else job.fail(error);
    }
    this.replies.fail(error);
  }

  /** A job's frames will be replayed; where some are not kept, one stands for them. */
  #goOn(entry: Entry, recovered: boolean): void {
    if (recovered) return;
    if (!entry.accepted) {
      entry.accepted = true;
      entry.job.accept({
        type: "accepted",
        id: entry.job.id,
        position: 0,
        eta_ms: null,
        duplicate: true,
      });
    }
    entry.job.allowGap();
  }

  // --- running a job again -----------------------------------------------------------------------

  /** Whether an end is the server's own, and the job can be run again instead. */
  #isToReturn(entry: Entry, frame: JobFrame): frame is Cancelled & { seq: number } {
    const byItself =
      frame.type === "done" && frame.status === "cancelled" && frame.reason !== "client";
    return byItself && this.#returns && this.#mayRepeat(entry);
  }

  /** Keep an end to oneself; run the job again, but not on a connection that is ending. */
  #holdBack(entry: Entry, end: Cancelled & { seq: number }, now: number): Outgoing {
    entry.stopped = end;
    if (this.draining) return NOTHING;
    const gone = new ConnectionLost(1006, `the server stopped the job (${end.reason})`);
    return { send: this.#repeatOrEnd(entry, gone, now, gone.message) };
  }

  #mayRepeat({ job, frame }: Entry): boolean {
    const fields = frame as { open?: boolean; live?: boolean };
    const fedLater = fields.open || fields.live;
    return this.#repeat.has(job.task) && !fedLater && !job.unwanted && job.restarts < MAX_RESTARTS;
  }

  /** Return the submit that runs a job again; where there is none, end the job. */
  #repeatOrEnd(entry: Entry, lost: ConnectionLost, now: number, why: string): Submit[] {
    if (this.#mayRepeat(entry)) {
      if (entry.stopped) this.#rename(entry);
      entry.job.rewind();
      entry.frame = { ...entry.original, ...timeLeft(entry, now), id: entry.wireId } as Submit;
      entry.accepted = false;
      entry.stopped = null;
      entry.repeatedAt = now;
      return [entry.frame];
    }
    if (entry.stopped) {
      this.#drop(entry);
      entry.job.end(entry.stopped);
    } else {
      this.#lose(entry, lost, why);
    }
    return [];
  }

  #lose(entry: Entry, lost: ConnectionLost, why: string): void {
    this.#drop(entry);
    entry.job.fail(new JobLost(entry.job.id, lost, why));
  }

  // --- names -------------------------------------------------------------------------------------

  #ofName(name: string): Entry | undefined {
    const entry = this.#entries.get(name);
    if (entry?.job.id === name) return entry;
    return [...this.#entries.values()].find(({ job }) => job.id === name);
  }

  /** Give a job another id on the wire: its old one names its old end. */
  #rename(entry: Entry): void {
    this.#entries.delete(entry.wireId);
    entry.wireId = `${entry.job.id.slice(0, 60)}.${entry.job.restarts + 1}`;
    this.#entries.set(entry.wireId, entry);
  }

  /** Return a reply under the names that the jobs have for their user. */
  #renamed(reply: Reply): Reply {
    const name = (id: string) => this.#entries.get(id)?.job.id ?? id;
    switch (reply.op) {
      case "cancel": {
        const ids = reply.ids && { ids: reply.ids.map(name) };
        return { ...reply, id: name(reply.id), ...ids };
      }
      case "jobs":
        return { ...reply, jobs: reply.jobs.map((job) => ({ ...job, id: name(job.id) })) };
      default:
        return reply;
    }
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.wireId);
  }

  #remember(wireId: string, seq: number): void {
    this.#ended.set(wireId, seq);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > ENDS_KEPT && oldest !== undefined) this.#ended.delete(oldest);
  }
}

/** Return what is left of a job's time: `timeout_ms` counts from the first acceptance. */
function timeLeft({ original, acceptedAt }: Entry, now: number): { timeout_ms?: number } {
  const { timeout_ms } = original as { timeout_ms?: number };
  if (typeof timeout_ms !== "number" || acceptedAt === null) return {};
  return { timeout_ms: Math.max(1, Math.floor(timeout_ms - (now - acceptedAt))) };
}
