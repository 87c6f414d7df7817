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
import { type AnyJob, Entries, Entry } from "./entry.js";
import { ConnectionLost, JobLost, JobRejected, ProtocolError } from "./errors.js";
import type { Accepted, Cancelled, ErrorFrame, ErrorInfo, ServerFrame } from "./frames.js";
import { Replies } from "./replies.js";
import type { Control, JobFrame, Reply, Submit } from "./types.js";

/** How long a busy server is asked to take a job back before the job is lost. */
const REPEAT_PATIENCE_MS = 300_000;
/** Of how many ended jobs the last number is told in `resume`, so that they are not replayed. */
const ENDS_KEPT = 1000;

const CONTROLS = new Set<string>(["append", "revise", "cancel", "jobs", "ping"]);

type Frames = (Submit | Control)[];

/** Ask after so long what is to be sent again then: nothing, where it was answered meanwhile. */
export interface Later {
  readonly again: () => Frames;
  readonly delayMs: number;
}

/** What is to be done after something came in. */
export interface Outgoing {
  readonly send: Frames;
  readonly later: readonly Later[];
}

const NOTHING: Outgoing = { send: [], later: [] };

/** The jobs and questions of one client. Times (`now`) are milliseconds on any one steady clock. */
export class Ledger {
  /** Whether the present connection's end was announced, with an invitation to come back. */
  draining = false;
  readonly entries = new Entries();
  readonly replies = new Replies();
  readonly #repeat: { has(task: string): boolean };
  readonly #returns: boolean;
  readonly #ended = new Map<string, number>();
  #nextId = 1;

  /** `repeat`: the tasks that may run twice; without `returns` nothing waits for a next connection. */
  constructor(repeat: { has(task: string): boolean }, returns: boolean) {
    this.#repeat = repeat;
    this.#returns = returns;
  }

  // --- what is asked -----------------------------------------------------------------------------

  /** Return an id that no job of this client has. */
  newId(): string {
    for (;;) {
      const id = `js-${this.#nextId++}`;
      if (!this.entries.of(id) && !this.#ended.has(id)) return id;
    }
  }

  /** Note a job that is about to be submitted. */
  submit(job: AnyJob, frame: Submit): void {
    this.entries.add(new Entry(job, frame));
    this.#ended.delete(job.id);
  }

  /** Whether jobs of a task may come to be run a second time. */
  mayRepeat(task: string): boolean {
    return this.#returns && this.#repeat.has(task);
  }

  /** Note that nobody wants a job, or with "*" any, to be run again. */
  giveUp(name: string): void {
    for (const { job } of this.entries) {
      if (name === "*" || name === job.id) job.unwanted = true;
    }
  }

  /** Return what a job is called on the wire. */
  wireId(name: string): string {
    return this.entries.of(name)?.wireId ?? name;
  }

  // --- what comes in -----------------------------------------------------------------------------

  /** Hand a frame to whom it is for; return what is to be sent. Throws ProtocolError. */
  receive(frame: ServerFrame, now: number): Outgoing {
    switch (frame.type) {
      case "accepted":
        return this.#accept(frame, now);
      case "rejected":
        return this.#reject(frame.id, frame.error, now);
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
        return this.#note(frame, now);
      default: // heartbeats; and what later servers may add
        return NOTHING;
    }
  }

  #accept(frame: Accepted, now: number): Outgoing {
    const entry = this.entries.find(frame.id);
    if (!entry) return NOTHING;
    if (entry.accepted) {
      // One that is sent again; of an adopted job it is the first that is seen.
      if (frame.seq === entry.job.lastSeq + 1) entry.job.accept({ ...frame, id: entry.job.id });
      return NOTHING;
    }
    if (frame.seq !== 1 && !frame.duplicate) {
      throw new ProtocolError(`job ${frame.id}: accepted must be frame 1, it is ${frame.seq}`);
    }
    entry.accepted = true;
    entry.acceptedAt ??= now;
    entry.job.accept({ ...frame, id: entry.job.id });
    return NOTHING;
  }

  #reject(wireId: string | null | undefined, error: ErrorInfo, now: number): Outgoing {
    const entry = this.entries.find(wireId);
    if (!entry || entry.accepted) return NOTHING;
    if (error.code === "draining" && this.#returns) {
      this.draining = true; // it is sent again on the next connection
      return NOTHING;
    }
    const rejected = new JobRejected(entry.job.id, error);
    if (!entry.job.restarts) {
      this.entries.drop(entry);
      entry.job.fail(rejected);
      return NOTHING;
    }
    if (error.retryable && now - entry.repeatedAt < REPEAT_PATIENCE_MS) {
      return { send: [], later: [this.#later(entry, error)] };
    }
    const gone = new ConnectionLost(1006, rejected.message);
    this.#lose(entry, gone, `not taken back: ${rejected.message}`);
    return NOTHING;
  }

  /** Send again what came too fast; take an error about a submit or a question for its answer. */
  #note(frame: ErrorFrame, now: number): Outgoing {
    const { error, re } = frame;
    if (error.code !== "rate_limited") {
      this.replies.refuse(frame);
      return this.#reject(re?.id, error, now);
    }
    const delayMs = error.retry_after_ms ?? 1000;
    const { type = "", id } = re ?? {};
    if (CONTROLS.has(type ?? "")) {
      const again = () => this.replies.unanswered(type ?? "", id);
      return { send: [], later: [{ again, delayMs }] };
    }
    // Of a message that is too large to be read twice not even the id is told: any open one it was.
    const open = [...this.entries].filter((entry) => !entry.accepted);
    const meant = open.filter(({ wireId }) => id === undefined || id === wireId);
    return { send: [], later: meant.map((entry) => this.#later(entry, error)) };
  }

  #later(entry: Entry, error: ErrorInfo): Later {
    const waits = () => this.entries.find(entry.wireId) === entry && !entry.accepted;
    const again = () => (waits() ? [entry.frame] : []);
    return { again, delayMs: error.retry_after_ms ?? 1000 };
  }

  #handOn(frame: JobFrame & { seq: number }, now: number): Outgoing {
    const entry = this.entries.find(frame.id);
    if (!entry?.accepted) return NOTHING;
    const { job, wireId } = entry;
    const named = frame.id === job.id ? frame : { ...frame, id: job.id };
    if (this.#isToReturn(entry, named)) return this.#holdBack(entry, named, now);
    try {
      job.receive(named);
    } catch (error) {
      if (!(error instanceof Diverged)) throw error;
      this.#lose(entry, new ConnectionLost(1006, error.message), error.message);
      return { send: [{ type: "cancel", id: wireId }], later: [] };
    }
    if (job.over) {
      this.entries.drop(entry);
      this.#remember(wireId, frame.seq);
    }
    return NOTHING;
  }

  /** Return a reply under the names that the jobs have for their user. */
  #renamed(reply: Reply): Reply {
    const name = (id: string) => this.entries.name(id);
    switch (reply.op) {
      case "cancel": {
        const ids = reply.ids && { ids: reply.ids.map(name) };
        return { ...reply, id: name(reply.id), ...ids };
      }
      case "jobs":
        return { ...reply, jobs: reply.jobs.map((job) => ({ ...job, id: name(job.id) })) };
      case "resume":
        return reply;
      default:
        return { ...reply, id: name(reply.id) };
    }
  }

  // --- a loss, and what follows it ---------------------------------------------------------------

  /** The connection is gone, and is being made again. */
  interrupt(lost: unknown): void {
    this.draining = false;
    this.replies.interrupt(lost);
  }

  /** Return the last number seen of each job, for `resume`: `most` of them, the live first. */
  after(most: number): Record<string, number> {
    const accepted = [...this.entries].filter((entry) => entry.accepted);
    const live = accepted.map((entry): [string, number] => [entry.wireId, entry.job.lastSeq]);
    const ended = [...this.#ended].reverse();
    return Object.fromEntries([...live, ...ended].slice(0, most)); // any name is an own property
  }

  /**
   * Take over the jobs of a session that another client had; they are told from the start. `make`
   * makes a job of an id.
   */
  adopt(
    known: Record<string, { recovered: boolean }>,
    make: (id: string) => AnyJob,
  ): Map<string, AnyJob> {
    for (const [id, { recovered }] of Object.entries(known)) {
      const entry = new Entry(make(id), { type: "", id }, true);
      this.entries.add(entry);
      if (recovered) entry.accepted = true;
      else expectGap(entry);
    }
    return new Map([...this.entries].map(({ job }) => [job.id, job]));
  }

  /** The session goes on; return what is to be sent again. */
  resumed(
    known: Record<string, { recovered: boolean }>,
    lost: ConnectionLost,
    now: number,
  ): Outgoing {
    const send: Frames = [];
    for (const entry of this.entries) {
      const there = Object.hasOwn(known, entry.wireId) ? known[entry.wireId] : undefined;
      if (entry.stopped || (!there && entry.accepted)) {
        send.push(...this.#repeatOrEnd(entry, lost, now, "the server knows it no more"));
      } else if (!there) send.push(entry.frame);
      else if (!there.recovered) expectGap(entry);
    }
    return { send: [...send, ...this.replies.unanswered()], later: [] };
  }

  /** The session is gone; return what is to be sent again on the new one. */
  forgotten(lost: ConnectionLost, now: number): Outgoing {
    const send: Frames = [];
    this.#ended.clear();
    for (const entry of this.entries) {
      if (!entry.accepted && !entry.stopped) send.push(entry.frame);
      else
        send.push(...this.#repeatOrEnd(entry, lost, now, "the server has forgotten the session"));
    }
    return { send: [...send, ...this.replies.unanswered()], later: [] };
  }

  /** No connection will come any more: tell everyone who waits. */
  fail(error: unknown): void {
    for (const { job, stopped } of this.entries.clear()) {
      if (stopped) job.end(stopped);
      else job.fail(error);
    }
    this.replies.fail(error);
  }

  // --- running a job again -----------------------------------------------------------------------

  /** Whether an end is the server's own, and the job can be run again instead. */
  #isToReturn(entry: Entry, frame: JobFrame): frame is Cancelled & { seq: number } {
    const byItself =
      frame.type === "done" && frame.status === "cancelled" && frame.reason !== "client";
    return byItself && this.#returns && entry.isRepeatable(this.#repeat);
  }

  /** Keep an end to oneself; run the job again, but not on a connection that is ending. */
  #holdBack(entry: Entry, end: Cancelled & { seq: number }, now: number): Outgoing {
    entry.stopped = end;
    if (this.draining) return NOTHING;
    const gone = new ConnectionLost(1006, `the server stopped the job (${end.reason})`);
    return { send: this.#repeatOrEnd(entry, gone, now, gone.message), later: [] };
  }

  /** Return the submit that runs a job again; where there is none, end the job. */
  #repeatOrEnd(entry: Entry, lost: ConnectionLost, now: number, why: string): Submit[] {
    if (entry.isRepeatable(this.#repeat)) {
      if (entry.stopped) this.entries.rename(entry);
      return [entry.rewind(now)];
    }
    if (entry.stopped) {
      this.entries.drop(entry);
      entry.job.end(entry.stopped);
    } else {
      this.#lose(entry, lost, why);
    }
    return [];
  }

  #lose(entry: Entry, lost: ConnectionLost, why: string): void {
    this.entries.drop(entry);
    entry.job.fail(new JobLost(entry.job.id, lost, why));
  }

  #remember(wireId: string, seq: number): void {
    this.#ended.set(wireId, seq);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > ENDS_KEPT && oldest !== undefined) this.#ended.delete(oldest);
  }
}

/** Let a job skip what the server did not keep of it, perhaps its `accepted` too. */
function expectGap(entry: Entry): void {
  const { job } = entry;
  if (!entry.accepted) {
    entry.accepted = true;
    job.accept({ type: "accepted", id: job.id, position: 0, eta_ms: null, duplicate: true });
  }
  job.allowGap();
}
