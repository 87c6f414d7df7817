/**
 * What was already handed out of a job that has to be run a second time. Pure.
 *
 * Such a job has the same results, but not the same frames: stages interleave anew, tokens are cut
 * differently, numbers begin at 1. So frames are told apart by what they say, not by their `seq`.
 */

import type { SummarizationProgress } from "./frames.js";
import type { JobFrame, JobStatus } from "./types.js";

/** The second run says something else than the first: what was handed out cannot be continued. */
export class Diverged extends Error {
  constructor() {
    super("its text came out differently the second time");
  }
}

/** Notes what is handed out; after `rewind` tells what of the next run is new. */
export class Delivered {
  #text = "";
  #summary = 0;
  #seen = new Map<string, number>();
  #firstText = "";
  #textToSkip = "";
  #summaryToSkip = 0;
  #toSkip = new Map<string, number>();

  /** Begin another run: what was noted so far is going to come again. */
  rewind(): void {
    this.#firstText = this.#textToSkip = this.#text;
    this.#summaryToSkip = this.#summary;
    this.#toSkip = new Map(this.#seen);
  }

  /**
   * Return what of a frame was not handed out in an earlier run, null if nothing, and note it as
   * handed out. Throws Diverged where the run does not continue the text that was handed out.
   */
  fresh(frame: JobFrame): JobFrame | null {
    if (frame.type === "token") return this.#rest(frame);
    const whole = textSoFar(frame);
    if (whole !== null) this.#cover(whole, frame.type === "done");
    if (frame.type !== "status" || frame.status === "snapshot") return frame;
    if (isSummarySoFar(frame)) return this.#longer(frame);
    const key = keyOf(frame);
    const due = this.#toSkip.get(key) ?? 0;
    if (due > 0) {
      this.#toSkip.set(key, due - 1);
      return null;
    }
    this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
    return frame;
  }

  #rest<F extends { text: string }>(token: F): F | null {
    const due = this.#textToSkip;
    const both = Math.min(due.length, token.text.length);
    if (due.slice(0, both) !== token.text.slice(0, both)) throw new Diverged();
    this.#textToSkip = due.slice(both);
    const text = token.text.slice(both);
    if (due && !text) return null;
    this.#text += text;
    return due ? { ...token, text } : token;
  }

  #longer(frame: SummarizationProgress): SummarizationProgress | null {
    const { length } = frame.partial_summary;
    if (length <= this.#summaryToSkip) return null;
    this.#summary = Math.max(this.#summary, length);
    return frame;
  }

  #cover(whole: string, isEnd: boolean): void {
    const due = this.#firstText;
    const both = Math.min(due.length, whole.length);
    if (due.slice(0, both) !== whole.slice(0, both)) throw new Diverged();
    this.#textToSkip = due.slice(both);
    if (isEnd && this.#textToSkip) throw new Diverged();
    if (whole.length > this.#text.length) this.#text = whole;
  }
}

/** Return the whole text up to here, of a snapshot or a completed end that holds one, or null. */
export function textSoFar(frame: JobFrame): string | null {
  let held: unknown;
  if (frame.type === "done" && frame.status === "completed") held = frame.result;
  if (frame.type === "status" && frame.status === "snapshot") held = frame.partial_result;
  const text = (held as { text?: unknown } | null | undefined)?.text;
  return typeof text === "string" ? text : null;
}

function isSummarySoFar(frame: JobStatus): frame is SummarizationProgress {
  return frame.status === "summarization_progress";
}

/** Name what a status says, without what differs between two runs of the same job. */
function keyOf(frame: JobFrame & { status: string }): string {
  const {
    id: _id,
    seq: _seq,
    replay: _replay,
    timestamp: _timestamp,
    ...said
  } = frame as {
    [field: string]: unknown;
  };
  return JSON.stringify(said);
}
