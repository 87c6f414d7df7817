/** One submit, from its call to its job's end, over all connections that this takes. Pure. */

import type { Cancelled } from "./frames.js";
import type { Job } from "./job.js";
import type { Submit } from "./types.js";

/** How often one job is submitted again: one that takes the server down each time must end. */
const MAX_RESTARTS = 10;

// biome-ignore lint/suspicious/noExplicitAny: jobs of any result are kept alike
export type AnyJob = Job<any, any>;

export class Entry {
  readonly job: AnyJob;
  /** What the job is called on the wire; its user knows it as `job.id`. */
  wireId: string;
  /** The submit as it is to be sent now. */
  frame: Submit;
  /** Whether the present submission was accepted. */
  accepted = false;
  /** When the first one was: the job's `timeout_ms` counts from there. */
  acceptedAt: number | null = null;
  repeatedAt = 0;
  /** Whether it was another client's: what was submitted is not known, so it is not run again. */
  readonly adopted: boolean;
  /** The end that the server gave the job by itself, held back while it may be run again. */
  stopped: Cancelled | null = null;
  /** Resolves when the last piece of input is taken: they go one after the other. */
  feeding: Promise<unknown> = Promise.resolve();
  #fields: Submit;

  constructor(job: AnyJob, frame: Submit, adopted = false) {
    this.job = job;
    this.adopted = adopted;
    this.wireId = job.id;
    this.frame = frame;
    this.#fields = frame;
  }

  /** The text of the job so far, as the server has it. */
  get text(): string {
    return String(this.#fields.text ?? "");
  }

  /** Note the text that the job has now. Once it is `final` the job is one like others. */
  feed(text: string, { revision }: { revision?: number | null }, final: boolean): void {
    const whole = final ? { open: false, live: false } : {};
    this.#fields = { ...this.#fields, ...whole, text };
    this.job.texts.revise(text, revision ?? 0);
  }

  /**
   * Whether the job may be run again: by its task, for its user, and not too often. A live one may
   * not, since its revisions would be counted anew.
   */
  isRepeatable(tasks: { has(task: string): boolean }): boolean {
    const { task, unwanted, restarts } = this.job;
    const mayRun = tasks.has(task) && !this.#fields.live && !this.adopted;
    return mayRun && !unwanted && restarts < MAX_RESTARTS;
  }

  /** Begin another run of the job, and return its submit. */
  rewind(now: number): Submit {
    this.job.rewind();
    this.accepted = false;
    this.stopped = null;
    this.repeatedAt = now;
    this.frame = { ...this.#fields, ...this.#timeLeft(now), id: this.wireId };
    return this.frame;
  }

  #timeLeft(now: number): { timeout_ms?: number } {
    const { timeout_ms } = this.#fields;
    if (typeof timeout_ms !== "number" || this.acceptedAt === null) return {};
    return { timeout_ms: Math.max(1, Math.floor(timeout_ms - (now - this.acceptedAt))) };
  }
}

/** All submits of one client, under the ids that they have on the wire, in their order. */
export class Entries {
  #byWireId = new Map<string, Entry>();

  [Symbol.iterator](): Iterator<Entry> {
    return [...this.#byWireId.values()][Symbol.iterator](); // it may change while it is gone through
  }

  add(entry: Entry): void {
    this.#byWireId.set(entry.wireId, entry);
  }

  drop(entry: Entry): void {
    this.#byWireId.delete(entry.wireId);
  }

  clear(): Entry[] {
    const all = [...this];
    this.#byWireId.clear();
    return all;
  }

  /** Return the submit that has this id on the wire. */
  find(wireId: string | null | undefined): Entry | undefined {
    return this.#byWireId.get(wireId ?? "");
  }

  /** Return the submit of a job that has not ended, by its user's name for it. */
  of(name: string): Entry | undefined {
    const entry = this.#byWireId.get(name);
    return entry?.job.id === name ? entry : [...this].find(({ job }) => job.id === name);
  }

  /** Return what the user calls the job that has this id on the wire. */
  name(wireId: string): string {
    return this.find(wireId)?.job.id ?? wireId;
  }

  /** Give a job another id on the wire: its old one names its old end. */
  rename(entry: Entry): void {
    this.drop(entry);
    entry.wireId = `${entry.job.id.slice(0, 60)}.${entry.job.restarts + 1}`;
    this.add(entry);
  }
}
