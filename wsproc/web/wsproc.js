/**
 * The JavaScript client of wsproc.v1: many jobs over one WebSocket, each streamed and cancellable,
 * that survive a lost connection. An ES module without dependencies, for browsers and for Node.
 *
 *     import { connect } from "./wsproc.js";
 *
 *     const client = await connect("ws://127.0.0.1:8765");
 *     const job = client.process({ text, include_entities: true });
 *     for await (const event of job) console.log(event.status ?? event.type, event);
 *     const result = await job.result;
 *
 * Events are the server's frames as plain objects; PROTOCOL.md lists them. One thing is changed in
 * them: offsets (`start`, `end`) count UTF-16 units, as JavaScript strings do, so that
 * `text.slice(start, end)` is right; on the wire they count code points.
 */

/**
 * Everything that this client throws or rejects with, as one tree. Each has a `code`, a stable word.
 *
 *     WsprocError
 *     ├── ConnectFailed    there is no connection: nobody answers, or the server turned us away
 *     │   └── SessionLost  ... as far as the wanted `session` goes: the server does not know it
 *     ├── ConnectionLost   the connection is gone for good; `closeCode` and `reason` say why
 *     │   └── JobLost      the job's end will not come, and whether it was finished is not known
 *     ├── ProtocolError    the server broke the protocol; the connection is closed
 *     ├── JobRejected      the job was not run at all; `path`, `retryable`, `retryAfterMs`
 *     ├── InputRefused     a job took no more text: `append` and `revise`
 *     ├── JobCancelled     the job was stopped; `reason`, `partialResult`
 *     └── JobFailed        the job could not be finished; `partialResult`
 *
 * What an AbortSignal stops rejects with the signal's own reason instead, as `fetch` does.
 */
/** The close codes that are about a token. */
const UNAUTHORIZED = new Set([4401, 4408]);
/** Base of what this client throws. */
class WsprocError extends Error {
  static {
    WsprocError.prototype.name = "WsprocError";
  }
  /** What happened, as a stable word: the server's own code where it gave one. */
  code;
  /** @internal */
  constructor(code, message, options) {
    super(message, options);
    this.code = code;
  }
}
/**
 * There is no connection. `code` is `unauthorized` where the token is at fault, else
 * `connect_failed`.
 */
class ConnectFailed extends WsprocError {
  static {
    ConnectFailed.prototype.name = "ConnectFailed";
  }
  /** The close code where the server opened a connection only to close it, else null. */
  closeCode;
  /** Whether the same try may succeed later, with nothing changed on this side. */
  retryable;
  /** @internal */
  constructor(message, { closeCode = null, retryable = false, code, ...options } = {}) {
    const isForToken = closeCode !== null && UNAUTHORIZED.has(closeCode);
    super(code ?? (isForToken ? "unauthorized" : "connect_failed"), message, options);
    this.closeCode = closeCode;
    this.retryable = retryable;
  }
}
/** The server does not know the `session` that was to be taken up; `code` is `session_lost`. */
class SessionLost extends ConnectFailed {
  static {
    SessionLost.prototype.name = "SessionLost";
  }
  /** @internal */
  constructor(outcome) {
    const why =
      outcome === "epoch_changed" ? "was restarted meanwhile" : "does not know it (any more)";
    super(`the session cannot be taken up: the server ${why}`, { code: "session_lost" });
  }
}
/**
 * The connection is gone, and was not or could not be made again. `code` is `unauthorized` where the
 * token is at fault, else `connection_lost`.
 */
class ConnectionLost extends WsprocError {
  static {
    ConnectionLost.prototype.name = "ConnectionLost";
  }
  /** 1006 where no close frame came, 1000 after `close()`; 44xx: trying again does not help. */
  closeCode;
  /** The server's words, or "". */
  reason;
  /** @internal */
  constructor(closeCode, reason = "", message, options) {
    const words = message ?? `the connection ended (${closeCode})${reason && `: ${reason}`}`;
    super(UNAUTHORIZED.has(closeCode) ? "unauthorized" : "connection_lost", words, options);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}
/** The job's end will not come. `cause` is the loss itself, where a connection was lost. */
class JobLost extends ConnectionLost {
  static {
    JobLost.prototype.name = "JobLost";
  }
  code = "lost";
  jobId;
  /** @internal */
  constructor(jobId, lost, why = lost.message) {
    super(lost.closeCode, lost.reason, `job ${jobId} is lost: ${why}`, { cause: lost });
    this.jobId = jobId;
  }
}
/** The server sent what the protocol does not allow; the connection is closed. */
class ProtocolError extends WsprocError {
  static {
    ProtocolError.prototype.name = "ProtocolError";
  }
  /** @internal */
  constructor(message, options) {
    super("protocol_error", message, options);
  }
}
/** The job was not run at all; `code` is the server's, such as `input_too_large`. */
class JobRejected extends WsprocError {
  static {
    JobRejected.prototype.name = "JobRejected";
  }
  jobId;
  /** The field at fault, such as `texts[3]`, or null. */
  path;
  /** Whether the same job may be taken later. */
  retryable;
  /** When it may be worth sending again, in milliseconds, or null. */
  retryAfterMs;
  /** @internal */
  constructor(jobId, error) {
    super(error.code, `${error.code}: ${error.message}`);
    this.jobId = jobId;
    this.path = error.path ?? null;
    this.retryable = error.retryable;
    this.retryAfterMs = error.retry_after_ms ?? null;
  }
}
/**
 * A job took no more text. `code` is the server's, such as `input_too_large`; where it gave none, the
 * outcome: `unknown`, or `done` where the job has ended. The job goes on with what it has.
 */
class InputRefused extends WsprocError {
  static {
    InputRefused.prototype.name = "InputRefused";
  }
  jobId;
  /** @internal */
  constructor({ op, id, outcome, error }) {
    const why = outcome === "done" ? "it has ended" : "the server knows no such job";
    super(error?.code ?? outcome, `${op} to job ${id}: ${error?.message ?? why}`);
    this.jobId = id;
  }
}
/** The job was stopped; `code` is `cancelled`. */
class JobCancelled extends WsprocError {
  static {
    JobCancelled.prototype.name = "JobCancelled";
  }
  jobId;
  /** Who stopped it: `client`, `disconnect` or `shutdown`. */
  reason;
  /** What was finished before the stop, or null. */
  partialResult;
  /** The terminal frame. */
  done;
  /** @internal */
  constructor(done) {
    super("cancelled", `job ${done.id} was cancelled (${done.reason})`);
    this.jobId = done.id;
    this.reason = done.reason;
    this.partialResult = done.partial_result ?? null;
    this.done = done;
  }
}
/** The job could not be finished; `code` is the server's, such as `deadline_exceeded`. */
class JobFailed extends WsprocError {
  static {
    JobFailed.prototype.name = "JobFailed";
  }
  jobId;
  /** What was finished before the failure, or null. */
  partialResult;
  /** The terminal frame. */
  done;
  /** @internal */
  constructor(done) {
    super(done.error.code, `${done.error.code}: ${done.error.message}`);
    this.jobId = done.id;
    this.partialResult = done.partial_result ?? null;
    this.done = done;
  }
}

/** An EventTarget that knows its events. */
const TypedEventTarget = EventTarget;

/**
 * More text for jobs whose input goes on: each piece in its turn, and once.
 *
 * An `append` must not be acted upon twice, and its answer may be lost with the connection. The next
 * connection tells how long the job's text is, and by that whether the piece was taken.
 */
/** Appends to and revises the texts of one client's jobs. */
class Feeder {
  #ledger;
  #ask;
  constructor(ledger, ask) {
    this.#ledger = ledger;
    this.#ask = ask;
  }
  /** Add to a job's text. Rejects with InputRefused, ConnectionLost. */
  append(name, piece) {
    return this.#inTurn(name, async (entry) => {
      const told = (reply) => {
        if (reply.outcome === "ok")
          entry?.feed(entry.text + (piece.text ?? ""), reply, piece.final);
      };
      for (;;) {
        const frame = { type: "append", id: this.#ledger.wireId(name), ...piece };
        try {
          return await this.#ask(frame, { repeatable: false, told });
        } catch (lost) {
          if (!entry || !(lost instanceof ConnectionLost)) throw lost;
          const reply = await this.#findOut(entry, piece, lost);
          if (!reply) continue;
          told(reply);
          return reply;
        }
      }
    });
  }
  /** Replace a job's text. Rejects with InputRefused, ConnectionLost. */
  revise(name, text) {
    return this.#inTurn(name, (entry) => {
      const told = (reply) => {
        if (reply.outcome === "ok") entry?.feed(text, reply, false);
      };
      return this.#ask({ type: "revise", id: this.#ledger.wireId(name), text }, { told });
    });
  }
  async #inTurn(name, work) {
    const entry = this.#ledger.entries.of(name);
    const before = entry?.feeding;
    const turn = (async () => {
      await before;
      return work(entry);
    })();
    if (entry) entry.feeding = turn.catch(() => {});
    const reply = await turn;
    if (reply.outcome !== "ok") throw new InputRefused(reply);
    return reply;
  }
  /** Return what became of a piece whose answer was lost; null where it never arrived. */
  async #findOut(entry, piece, lost) {
    const { jobs } = await this.#ask({ type: "jobs", id: entry.wireId });
    const [info] = jobs;
    const reply = { type: "reply", op: "append", id: entry.job.id };
    if (!info) return { ...reply, outcome: "unknown" };
    if (info.state === "done") return { ...reply, outcome: "done" };
    const before = charsOf(entry.text);
    const whole = before + charsOf(piece.text ?? "");
    if (info.text_length === whole && Boolean(info.final) === piece.final) {
      const { revision } = info;
      return { ...reply, outcome: "ok", text_length: whole, ...(revision != null && { revision }) };
    }
    if (info.text_length === before) return null;
    throw lost;
  }
}
/** Return how many characters a text has, as the server counts them. */
function charsOf(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/**
 * What was already handed out of a job that has to be run a second time. Pure.
 *
 * Such a job has the same results, but not the same frames: stages interleave anew, tokens are cut
 * differently, numbers begin at 1. So frames are told apart by what they say, not by their `seq`.
 */
/** The second run says something else than the first: what was handed out cannot be continued. */
class Diverged extends Error {
  constructor() {
    super("its text came out differently the second time");
  }
}
/** Notes what is handed out; after `rewind` tells what of the next run is new. */
class Delivered {
  #text = "";
  #summary = 0;
  #seen = new Map();
  #firstText = "";
  #textToSkip = "";
  #summaryToSkip = 0;
  #toSkip = new Map();
  /** Begin another run: what was noted so far is going to come again. */
  rewind() {
    this.#firstText = this.#textToSkip = this.#text;
    this.#summaryToSkip = this.#summary;
    this.#toSkip = new Map(this.#seen);
  }
  /**
   * Return what of a frame was not handed out in an earlier run, null if nothing, and note it as
   * handed out. Throws Diverged where the run does not continue the text that was handed out.
   */
  fresh(frame) {
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
  #rest(token) {
    const due = this.#textToSkip;
    const both = Math.min(due.length, token.text.length);
    if (due.slice(0, both) !== token.text.slice(0, both)) throw new Diverged();
    this.#textToSkip = due.slice(both);
    const text = token.text.slice(both);
    if (due && !text) return null;
    this.#text += text;
    return due ? { ...token, text } : token;
  }
  #longer(frame) {
    const { length } = frame.partial_summary;
    if (length <= this.#summaryToSkip) return null;
    this.#summary = Math.max(this.#summary, length);
    return frame;
  }
  #cover(whole, isEnd) {
    const due = this.#firstText;
    const both = Math.min(due.length, whole.length);
    if (due.slice(0, both) !== whole.slice(0, both)) throw new Diverged();
    this.#textToSkip = due.slice(both);
    if (isEnd && this.#textToSkip) throw new Diverged();
    if (whole.length > this.#text.length) this.#text = whole;
  }
}
/** Return the whole text up to here, of a snapshot or a completed end that holds one, or null. */
function textSoFar(frame) {
  let held;
  if (frame.type === "done" && frame.status === "completed") held = frame.result;
  if (frame.type === "status" && frame.status === "snapshot") held = frame.partial_result;
  const text = held?.text;
  return typeof text === "string" ? text : null;
}
function isSummarySoFar(frame) {
  return frame.status === "summarization_progress";
}
/** Name what a status says, without what differs between two runs of the same job. */
function keyOf(frame) {
  const { id: _id, seq: _seq, replay: _replay, timestamp: _timestamp, ...said } = frame;
  return JSON.stringify(said);
}

/**
 * Offsets: the wire counts Unicode code points, JavaScript strings count UTF-16 units. Pure.
 *
 * Both are the same up to the first character beyond U+FFFF, such as an emoji: each of those takes
 * two units. So a text is known by where these are.
 */
const WIDE = /[\ud800-\udbff][\udc00-\udfff]/;
/** Return a function from code point offsets in `text` to UTF-16 offsets, for `text.slice`. */
function utf16Offsets(text) {
  const wide = wideCharacters(text);
  if (!wide.length) return (offset) => offset;
  return (offset) => offset + countBelow(wide, offset);
}
/** Return the code point offsets of the characters that take two units, in order. */
function wideCharacters(text) {
  const found = [];
  // Each match is one pair; the pairs before it made its unit offset that much larger.
  for (const pair of text.matchAll(new RegExp(WIDE, "g"))) {
    found.push(pair.index - found.length);
  }
  return found;
}
/** Count the numbers of a sorted list that are below a limit. */
function countBelow(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
/**
 * The texts that a job's offsets speak of. There is one, or a list, or, where input goes on, one that
 * changes: each frame then says which `revision` it is about, or it is about the latest.
 */
class JobTexts {
  #latest = 0;
  #converters = new Map();
  constructor(texts) {
    this.#converters.set(0, spanConverter(texts));
  }
  /** Note the whole text that the job has now; in a live job it has another number. */
  revise(text, revision) {
    this.#latest = revision;
    this.#converters.set(revision, spanConverter([text]));
  }
  /** Return a frame with its offsets in UTF-16. */
  convert(frame) {
    const revision = revisionOf(frame) ?? this.#latest;
    for (const older of this.#converters.keys()) {
      if (older >= revision) break;
      this.#converters.delete(older); // revisions are not gone back to
    }
    return this.#converters.get(revision)?.(frame) ?? frame;
  }
}
function revisionOf(frame) {
  const { revision, result, partial_result } = frame;
  return revision ?? result?.revision ?? partial_result?.revision;
}
/**
 * Return a function that brings all offsets in a frame to UTF-16.
 *
 * A span is any object with whole numbers `start` and `end`, wherever it is in the frame, so that
 * partial results and what later servers add are covered; only `meta`, which is the user's own, is
 * left alone. In a list called `results` each element speaks of the text of its place.
 */
function spanConverter(texts) {
  const converters = texts.map(utf16Offsets);
  const [first] = converters;
  if (!first || !texts.some((text) => WIDE.test(text))) return (frame) => frame;
  const walk = (value, of) => {
    if (Array.isArray(value)) return value.map((item) => walk(item, of));
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value).map(([key, child]) => {
      if (key === "meta") return [key, child];
      if (key === "results" && Array.isArray(child)) {
        return [key, child.map((item, index) => walk(item, converters[index] ?? first))];
      }
      return [key, walk(child, of)];
    });
    const copy = Object.fromEntries(entries);
    if (Number.isInteger(copy.start) && Number.isInteger(copy.end)) {
      copy.start = of(copy.start);
      copy.end = of(copy.end);
    }
    return copy;
  };
  return (frame) => walk(frame, first);
}

/**
 * Events that wait to be read: bounded, so that a reader who lags, or who never comes, costs no more
 * than so much memory. A browser's WebSocket cannot be told to wait, so what is over gives way here.
 */
/** How many unread events of a job are kept. */
const EVENTS_KEPT = 1000;
/**
 * An async iterable of events, each given to one reader.
 *
 * Over `limit` neighbouring tokens are joined, which loses no text; where there are none, the oldest
 * event that is no token is dropped and counted. The last event, given to `end`, always has room.
 */
class EventQueue {
  /** How many events were dropped. */
  dropped = 0;
  #limit;
  #events = [];
  #readers = [];
  #over = false;
  #error = null;
  constructor(limit = EVENTS_KEPT) {
    this.#limit = limit;
  }
  put(event) {
    if (this.#error) return;
    this.#events.push(event);
    if (this.#events.length > this.#limit) this.#makeRoom();
    this.#rouse();
  }
  /** Take the last event; readers end after it. */
  end(event) {
    if (this.#error) return;
    this.#events.push(event);
    this.#over = true;
    this.#rouse();
  }
  /** Throw `error` to readers once they have read what waits, or at once where `now`; take no more. */
  fail(error, { now = false } = {}) {
    if (now) this.#events = [];
    this.#error = { error };
    this.#rouse();
  }
  async *[Symbol.asyncIterator]() {
    for (;;) {
      const event = this.#events.shift();
      if (event) yield event;
      else if (this.#error) throw this.#error.error;
      else if (this.#over) return;
      else await new Promise((resolve) => this.#readers.push(resolve));
    }
  }
  #makeRoom() {
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
  #join(index) {
    const [first, second] = this.#events.slice(index, index + 2);
    const text = `${first.text}${second.text}`;
    this.#events.splice(index, 2, { ...second, text });
  }
  #rouse() {
    const readers = this.#readers;
    this.#readers = [];
    for (const wake of readers) wake();
  }
}
function isToken(event) {
  return event?.type === "token";
}

/** One job as its user sees it: an async iterable of its events, its result, and its stop. */
/**
 * A job, made by `Client.process` and its sisters: an async iterable of its events, each given to one
 * reader, the terminal one last. It throws what `result` rejects with only where the end did not
 * come: JobRejected, JobLost, ProtocolError.
 *
 * Events wait until they are read, 1000 of them; over that waiting tokens are joined, and else the
 * oldest status is dropped and counted in `dropped`. The result is whole in any case. Breaking out of
 * `for await` stops nothing, since the result may still be wanted.
 */
class Job extends TypedEventTarget {
  id;
  /** Resolves once the server took the job; rejects with JobRejected, JobLost. */
  accepted;
  /** Resolves to the result; rejects with JobRejected, JobCancelled, JobFailed, JobLost. */
  result;
  /** Resolves to the terminal frame, whichever it is; rejects with JobRejected, JobLost. */
  done;
  /** @internal What the job's offsets speak of. */
  texts;
  /** @internal Whether nobody wants the job to be run again. */
  unwanted = false;
  #desk;
  #accepted = deferred();
  #result = deferred();
  #done = deferred();
  #events = new EventQueue();
  #delivered = new Delivered();
  #toldChars = 0;
  #gapAllowed = false;
  #attached = false;
  #task;
  #lastSeq = 0;
  #restarts = 0;
  #over = false;
  #release = () => {};
  /** @internal */
  constructor(id, task, texts, desk) {
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
  get task() {
    return this.#task;
  }
  /** @internal Learn the task of a job that another client submitted. */
  set task(task) {
    this.#task = task;
  }
  /** The number of the last frame that came. */
  get lastSeq() {
    return this.#lastSeq;
  }
  /** How often the job was submitted again because its server or its session was gone. */
  get restarts() {
    return this.#restarts;
  }
  /** How many events were dropped because nobody read them. */
  get dropped() {
    return this.#events.dropped;
  }
  // --- what happens ------------------------------------------------------------------------------
  async *[Symbol.asyncIterator]() {
    for await (const event of this.#events) {
      if (event.type === "token") this.#toldChars += event.text.length;
      yield event;
    }
  }
  /**
   * Yield the text of a `generate` job piece by piece, whole also where a part of the frames was
   * missed; throw what `result` rejects with.
   */
  async *tokens() {
    for await (const event of this) {
      if (event.type === "token") {
        yield event.text;
      } else {
        const rest = textSoFar(event)?.slice(this.#toldChars);
        if (!rest) continue;
        this.#toldChars += rest.length;
        yield rest;
      }
    }
    await this.result;
  }
  // --- what is asked -----------------------------------------------------------------------------
  /** Ask the server to stop this job; resolves to its reply, the end follows in `done`. */
  cancel() {
    return this.#desk.cancel(this.id);
  }
  /**
   * Send more text of a job that was submitted with `open: true`; `final` ends its input. Pieces go
   * one after the other, and each once, also over a lost connection. Rejects with InputRefused where
   * the job takes no more, and with ConnectionLost. A piece must not end inside of a surrogate pair.
   */
  append(text, { final = false } = {}) {
    return this.#desk.append(this.id, text === undefined ? { final } : { text, final });
  }
  /** Send the new full text of a job that was submitted with `live: true`. Rejects with InputRefused. */
  revise(text) {
    return this.#desk.revise(this.id, text);
  }
  // --- for the client ----------------------------------------------------------------------------
  /** @internal Whether the end has come, or will not come. */
  get over() {
    return this.#over;
  }
  /**
   * @internal Let a signal stop the job: what waits for it is told at once, the server is asked to
   * stop, and `done` still tells how that went.
   */
  stopOn(signal) {
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
  accept(frame) {
    this.#accepted.resolve(frame);
    this.#lastSeq = frame.seq ?? frame.last_seq ?? 0;
    this.#attached = frame.seq === undefined;
  }
  /**
   * @internal Take a frame of the job; a replayed one that is known already is left out. Throws
   * ProtocolError where one is missing or doubled, Diverged where a second run does not continue
   * what was handed out of the first.
   */
  receive(frame) {
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
  allowGap() {
    this.#gapAllowed = true;
  }
  /** @internal Begin again: the job is being submitted once more. What was handed out stays so. */
  rewind() {
    this.#restarts += 1;
    this.#lastSeq = 0;
    this.#gapAllowed = false;
    this.#delivered.rewind();
  }
  /** @internal Take the terminal frame. */
  end(frame) {
    const event = this.texts.convert(frame);
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
  fail(error) {
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
  #isNext(frame) {
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

/**
 * When a lost connection is made again, and how long to wait before each try. Pure: the time and the
 * random number come in.
 *
 * The wait is drawn between nothing and a bound that doubles (full jitter), so that the clients of a
 * server that restarts do not all come back in the same moment.
 */
/** Close codes after which a client comes back by itself, beside all of 45xx. */
const RETURN = new Set([1001, 1006, 1011, 1012, 1013]);
/** Whether a connection that ended with this code is to be made again. */
function mayReturn(closeCode) {
  return RETURN.has(closeCode) || (closeCode >= 4500 && closeCode < 4600);
}
const DEFAULTS = {
  maxTries: Number.POSITIVE_INFINITY,
  maxTimeMs: 120_000,
  firstDelayMs: 500,
  maxDelayMs: 10_000,
};
/** Counts the tries since a loss. Times (`now`) are milliseconds on any one steady clock. */
class Backoff {
  #options;
  #tries = 0;
  #lostAt = null;
  #openedAt = null;
  /** Throws RangeError for what cannot be a wait or a count. */
  constructor(options = {}) {
    this.#options = { ...DEFAULTS, ...options };
    for (const [name, value] of Object.entries(this.#options)) {
      if (!(value > 0)) throw new RangeError(`reconnect.${name}: above 0, this is ${value}`);
    }
  }
  /** How many tries were begun since the connection was last good. */
  get tries() {
    return this.#tries;
  }
  /** Note that a connection stands. */
  opened(now) {
    this.#openedAt = now;
  }
  /**
   * Note a loss, or a failed try. Return how long to wait before the next one, or null to give up.
   * `draw` is a random number between 0 and 1.
   */
  next(now, draw) {
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

/**
 * No more messages than the server takes: waiting here is better than being told to wait. Pure.
 *
 * A token bucket, as the server's: a message costs one token, a large one a token for each 2 KiB.
 */
const BYTES_A_TOKEN = 2 * 1024;
class Pace {
  #rate;
  #burst;
  #level;
  #at = 0;
  /** `rate` messages a second and as many at once; 0 is no limit. */
  constructor(rate) {
    this.#rate = rate;
    this.#burst = Math.max(rate, 1);
    this.#level = this.#burst;
  }
  /**
   * Return 0 for a message of `bytes` that may be sent now, else the milliseconds until it may.
   * `now` is in milliseconds on any one steady clock.
   */
  take(bytes, now) {
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

/** One WebSocket, from dialling to its end; nothing in here knows of jobs or of a next connection. */
const SUBPROTOCOL = "wsproc.v1";
const BEARER = "wsproc.bearer.";
/** How long a peer may take to answer a close before its socket is given up, where that is possible. */
const CLOSE_PATIENCE_MS = 2000;
class Link {
  #dialer;
  #listener;
  #socket = null;
  #token;
  #welcomed = false;
  #over = false;
  #words = "";
  #pace = new Pace(0);
  #outbox = [];
  #outTimer;
  #openTimer;
  #quietTimer;
  #heardAt = 0;
  /** Begin to dial; what comes of it is told to the listener. */
  constructor(dialer, listener) {
    this.#dialer = dialer;
    this.#listener = listener;
    this.#openTimer = setTimeout(() => {
      const message = `${dialer.url} said nothing within ${dialer.openTimeoutMs / 1000} s`;
      this.fail(new ConnectFailed(message, { retryable: true }), true);
    }, dialer.openTimeoutMs);
    void this.#dial();
  }
  /**
   * Send a frame, at the server's pace. What is sent to a connection that is ending goes nowhere, and
   * nothing throws.
   */
  send(frame) {
    if (this.#over) return;
    this.#outbox.push(frame);
    if (this.#outbox.length === 1) this.#sendOn();
  }
  /** Close the connection; its end is told once the server agrees, or after two seconds. */
  close(code = 1000, reason = "") {
    if (this.#over) return;
    if (!this.#socket || this.#socket.readyState === 0) {
      this.#end(new ConnectionLost(code, reason), false);
    } else {
      const patience = setTimeout(() => {
        this.#end(new ConnectionLost(code, reason), false);
      }, CLOSE_PATIENCE_MS);
      patience.unref?.();
    }
    this.#hangUp(code, reason);
  }
  /** End the connection for a reason of this side's. */
  fail(error, returns) {
    this.#end(error, returns);
    this.#hangUp(1000, "");
  }
  #sendOn() {
    for (;;) {
      const [frame] = this.#outbox;
      if (!frame || this.#over || !this.#socket) return;
      const text = JSON.stringify(frame);
      const waitMs = this.#pace.take(sizeOf(text), performance.now());
      if (waitMs > 0) {
        this.#outTimer = setTimeout(() => this.#sendOn(), waitMs);
        return;
      }
      this.#outbox.shift();
      this.#socket.send(text);
      const { onSend } = this.#dialer;
      if (onSend) tell(() => onSend(withoutToken(frame)));
    }
  }
  // --- dialling ----------------------------------------------------------------------------------
  async #dial() {
    const { url, auth, WebSocket } = this.#dialer;
    const { token } = this.#dialer;
    try {
      this.#token = typeof token === "function" ? await token() : token;
    } catch (error) {
      const message = `no token could be had for ${url}: ${words(error)}`;
      return this.#end(new ConnectFailed(message, { cause: error, retryable: true }), true);
    }
    if (this.#over) return;
    const bearer = this.#token && auth === "subprotocol" ? [BEARER + base64url(this.#token)] : [];
    try {
      this.#socket = new WebSocket(url, [SUBPROTOCOL, ...bearer]);
    } catch (error) {
      const message = `cannot connect to ${url}: ${words(error)}`;
      return this.#end(new ConnectFailed(message, { cause: error }), false);
    }
    this.#socket.addEventListener("message", (event) => this.#take(event.data));
    this.#socket.addEventListener("close", (event) => this.#closed(event.code, event.reason));
    this.#socket.addEventListener("error", (event) => {
      // A browser tells nothing here; what some libraries tell of a refused handshake is kept.
      this.#words = event.message ?? "";
    });
  }
  #authorize() {
    if (this.#token === undefined) {
      const message = `${this.#dialer.url} asks for a token; give one as the option token`;
      this.fail(new ConnectFailed(message, { code: "unauthorized" }), false);
    } else {
      this.send({ type: "auth", token: this.#token });
    }
  }
  // --- what comes in -----------------------------------------------------------------------------
  #take(data) {
    if (this.#over) return;
    this.#heardAt = performance.now();
    try {
      if (typeof data !== "string") throw new ProtocolError("a binary message came");
      const frame = JSON.parse(data);
      const { onFrame } = this.#dialer;
      if (onFrame) tell(() => onFrame(frame, data));
      this.#route(frame);
    } catch (error) {
      const broken =
        error instanceof ProtocolError
          ? error
          : new ProtocolError(`a frame cannot be read: ${words(error)}`, { cause: error });
      this.#end(broken, false);
      this.#hangUp(4000, "protocol error");
    }
  }
  #route(frame) {
    if (frame.type === "welcome") {
      if ("auth" in frame) return this.#authorize();
      this.#welcomed = true;
      clearTimeout(this.#openTimer);
      this.#pace = new Pace(frame.limits.max_messages_per_s ?? 0);
      this.#watch(frame.heartbeat_s * 2000);
      return this.#listener.welcome(frame);
    }
    if (this.#welcomed) return this.#listener.frame(frame);
    if (frame.type === "error") this.#words = frame.error.message;
  }
  /**
   * Notice a dead link, which a browser does not: two heartbeats missing ask for a pong, two more
   * end the connection. A computer that slept gets its chance to read what waits.
   */
  #watch(patienceMs, askedAt = 0) {
    if (!(patienceMs > 0)) return;
    const now = performance.now();
    const silence = now - this.#heardAt;
    if (silence < patienceMs) {
      this.#later(patienceMs - silence, () => this.#watch(patienceMs));
    } else if (askedAt <= this.#heardAt) {
      this.send({ type: "ping" });
      this.#later(patienceMs, () => this.#watch(patienceMs, now));
    } else {
      this.#end(new ConnectionLost(4504, "nothing was heard of the server"), true);
      this.#hangUp(4504, "heartbeat lost");
    }
  }
  #later(delayMs, then) {
    this.#quietTimer = setTimeout(then, delayMs);
    this.#quietTimer.unref?.(); // the socket keeps a process alive, not this
  }
  // --- the end -----------------------------------------------------------------------------------
  #closed(code, reason) {
    if (this.#welcomed) {
      return this.#end(new ConnectionLost(code, reason), mayReturn(code));
    }
    const refused = /\b(4\d\d)\b/.exec(this.#words)?.[1]; // an HTTP status, from a library's words
    const why = reason || this.#words || (code === 1006 ? "nobody answers there" : "it was closed");
    const message = `cannot connect to ${this.#dialer.url}: ${why} (${refused ?? code})`;
    const returns = mayReturn(code) && !refused;
    const token = refused === "401" ? { code: "unauthorized" } : {};
    const failed = { closeCode: code, retryable: returns, ...token };
    this.#end(new ConnectFailed(message, failed), returns);
  }
  #end(error, returns) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#openTimer);
    clearTimeout(this.#quietTimer);
    clearTimeout(this.#outTimer);
    this.#listener.end({ error, returns });
  }
  /** Close the socket; where a library can, cut it if the peer does not answer. */
  #hangUp(code, reason) {
    const socket = this.#socket;
    socket?.close(code, reason);
    if (!socket?.terminate) return;
    const patience = setTimeout(() => socket.terminate?.(), CLOSE_PATIENCE_MS);
    patience.unref?.();
  }
}
/** Call the user's own function; what it throws is reported as uncaught, and harms nothing here. */
function tell(call) {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
function withoutToken(frame) {
  return frame.type === "auth" ? { ...frame, token: "(hidden)" } : frame;
}
/** Return how many bytes a text takes. */
function sizeOf(text) {
  return new TextEncoder().encode(text).length;
}
function words(error) {
  return error instanceof Error ? error.message : String(error);
}
/** Return a text as base64url without padding, of its UTF-8. */
function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Keeps a client connected: one link after the other, and the session over all of them. */
/** The most that one job takes in a `resume`: an id of 64 characters, a number, the quotes. */
const BYTES_OF_AN_ID = 90;
const NOTHING_MORE = { tries: 0, delayMs: null, resumed: null, cause: null };
/** One client's connection, over any number of links. */
class Keeper {
  welcome = null;
  goaway = null;
  state = { phase: "connecting", ...NOTHING_MORE };
  /** Why there is and will be no connection any more. */
  over = null;
  #dialer;
  #ledger;
  #backoff;
  #adoption;
  #tell;
  #opened = deferred();
  #closed = deferred();
  #link = null;
  /** The secret by which the session is found again; empty before there is one. */
  session = "";
  /** The jobs that were there when another client's session was taken up. */
  adopted = new Map();
  #ready = false;
  #closing = false;
  #refreshed = false;
  #lost = null;
  #resumeTimer;
  #hurry = () => {};
  constructor(dialer, ledger, reconnect, adoption, tell) {
    this.#dialer = dialer;
    this.#ledger = ledger;
    this.#backoff = reconnect && new Backoff(reconnect);
    this.#adoption = adoption;
    this.#tell = tell;
  }
  /** Resolves after the first welcome. */
  get opened() {
    return this.#opened.promise;
  }
  /** Resolves to what ended it. */
  get closed() {
    return this.#closed.promise;
  }
  /** Make one connection after the other, until one ends for good. */
  async run() {
    while (!this.over) {
      const end = await this.#connection();
      const delayMs = this.#delayAfter(end);
      if (delayMs === null) return this.finish(this.#lossOf(end));
      this.#become("reconnecting", { tries: this.#backoff?.tries ?? 0, delayMs, cause: end.error });
      await this.#pause(delayMs);
    }
  }
  /** Send what the ledger holds, if there is a connection; otherwise the next one sends it. */
  send(frame) {
    if (this.#ready) this.#link?.send(frame);
  }
  /** Send a submit, but not on a connection that is about to end. */
  submit(frame) {
    if (this.#ready && !this.#ledger.draining) this.#link?.send(frame);
  }
  /** Close the connection for good. */
  close() {
    this.#closing = true;
    if (this.#ready) this.#link?.close();
    else this.finish(new ConnectionLost(1000, "", "the client was closed"));
  }
  /** Do not wait any longer before the next try. */
  hurry() {
    this.#hurry();
  }
  /** End it, and leave nobody waiting. */
  finish(error) {
    if (this.over) return;
    this.over = { error };
    this.#ready = false;
    this.#link?.close();
    this.#hurry();
    this.#ledger.fail(error);
    this.#become("closed", { cause: this.#closing ? null : error });
    this.#opened.reject(error);
    this.#closed.resolve(error);
  }
  // --- one link after the other ------------------------------------------------------------------
  /** Make a connection; resolves once it has ended. */
  #connection() {
    const ended = deferred();
    this.#link = new Link(this.#dialer, {
      welcome: (frame) => this.#welcomed(frame),
      frame: (frame) => this.#take(frame),
      end: (end) => {
        clearTimeout(this.#resumeTimer);
        if (end.error instanceof ConnectionLost) this.#lost = end.error;
        if (this.#ready) this.#ledger.interrupt(end.error);
        this.#ready = false;
        ended.resolve(end);
      },
    });
    return ended.promise;
  }
  /** Return how long to wait before the next connection, null where there is to be none. */
  #delayAfter(end) {
    if (this.over || this.#closing || !this.#backoff || !this.session) return null;
    return this.#comesBack(end) ? this.#backoff.next(performance.now(), Math.random()) : null;
  }
  #comesBack({ error, returns }) {
    if (error.code === "unauthorized") {
      const another = typeof this.#dialer.token === "function" && !this.#refreshed;
      this.#refreshed = true; // a token that was had just now and is refused ends it
      return another;
    }
    const invited = this.goaway?.reconnect;
    if (invited === undefined || !(error instanceof ConnectionLost)) return returns;
    return invited && !isFinal(error.closeCode);
  }
  #lossOf({ error }) {
    if (!(error instanceof ConnectFailed) || !this.#lost) return error;
    const { closeCode, reason, message } = this.#lost;
    const words = `${message}; it could not be made again: ${error.message}`;
    return new ConnectionLost(error.closeCode ?? closeCode, reason, words, { cause: error });
  }
  #pause(delayMs) {
    const pause = deferred();
    const timer = setTimeout(pause.resolve, delayMs);
    this.#hurry = () => {
      clearTimeout(timer);
      pause.resolve();
    };
    return pause.promise;
  }
  // --- what comes in -----------------------------------------------------------------------------
  #welcomed(frame) {
    this.welcome = frame;
    this.goaway = null;
    if (!this.session && !this.#adoption) {
      this.session = frame.session;
      this.#stand(null);
      return this.#opened.resolve();
    }
    const session = this.session || (this.#adoption?.session ?? "");
    const most = Math.floor(frame.limits.max_frame_bytes / 2 / BYTES_OF_AN_ID);
    const after = this.#ledger.after(most);
    this.#link?.send({ type: "resume", session, after });
    this.#resumeTimer = setTimeout(() => {
      const silent = new ConnectFailed("the server did not answer `resume`", { retryable: true });
      this.#link?.fail(silent, true);
    }, this.#dialer.openTimeoutMs);
  }
  #take(frame) {
    if (frame.type === "goaway") return this.#announce(frame);
    if (this.#ready) return this.#carryOut(this.#ledger.receive(frame, performance.now()));
    // Before the session is taken up nothing is awaited but the answer to `resume`; a server that
    // refuses it knows no such session.
    if (frame.type === "reply" && frame.op === "resume") return this.#resumed(frame);
    if (frame.type === "error" && frame.re?.type === "resume") return this.#resumed(null);
  }
  #resumed(reply) {
    const lost = this.#lost ?? new ConnectionLost(1006);
    const now = performance.now();
    clearTimeout(this.#resumeTimer);
    if (!this.session) return this.#adopt(reply);
    if (reply?.outcome === "ok") {
      this.#carryOut(this.#ledger.resumed(reply.jobs ?? {}, lost, now));
      this.#stand(true);
    } else {
      this.session = this.welcome?.session ?? "";
      this.#carryOut(this.#ledger.forgotten(lost, now));
      this.#stand(false);
    }
  }
  #adopt(reply) {
    const { session, make } = this.#adoption;
    if (reply?.outcome !== "ok") {
      return this.#link?.fail(new SessionLost(reply?.outcome ?? "unknown_session"), false);
    }
    this.session = session;
    this.adopted = this.#ledger.adopt(reply.jobs ?? {}, make);
    this.#stand(true);
    this.#opened.resolve();
  }
  #stand(resumed) {
    this.#ready = true;
    this.#refreshed = false;
    this.#backoff?.opened(performance.now());
    this.#become("open", { resumed });
  }
  #announce(goaway) {
    this.goaway = goaway;
    this.#ledger.draining = goaway.reconnect && this.#backoff !== null;
    this.#become("draining", {});
  }
  #carryOut({ send, later }) {
    const link = this.#link;
    for (const frame of send) link?.send(frame);
    for (const { again, delayMs } of later) {
      const send = () => {
        if (link === this.#link) for (const frame of again()) link?.send(frame);
      };
      setTimeout(send, delayMs * (1 + Math.random() / 2));
    }
  }
  #become(phase, more) {
    this.state = { phase, ...NOTHING_MORE, ...more };
    this.#tell(this.state);
  }
}
/** Whether a close code says that connecting again does not help. */
function isFinal(closeCode) {
  return closeCode >= 4400 && closeCode < 4500;
}

/** One submit, from its call to its job's end, over all connections that this takes. Pure. */
/** How often one job is submitted again: one that takes the server down each time must end. */
const MAX_RESTARTS = 10;
class Entry {
  job;
  /** What the job is called on the wire; its user knows it as `job.id`. */
  wireId;
  /** The submit as it is to be sent now. */
  frame;
  /** Whether the present submission was accepted. */
  accepted = false;
  /** When the first one was: the job's `timeout_ms` counts from there. */
  acceptedAt = null;
  repeatedAt = 0;
  /** Whether it was another client's: what was submitted is not known, so it is not run again. */
  adopted;
  /** The end that the server gave the job by itself, held back while it may be run again. */
  stopped = null;
  /** Resolves when the last piece of input is taken: they go one after the other. */
  feeding = Promise.resolve();
  #fields;
  constructor(job, frame, adopted = false) {
    this.job = job;
    this.adopted = adopted;
    this.wireId = job.id;
    this.frame = frame;
    this.#fields = frame;
  }
  /** The text of the job so far, as the server has it. */
  get text() {
    return String(this.#fields.text ?? "");
  }
  /** Note the text that the job has now. Once it is `final` the job is one like others. */
  feed(text, { revision }, final) {
    const whole = final ? { open: false, live: false } : {};
    this.#fields = { ...this.#fields, ...whole, text };
    this.job.texts.revise(text, revision ?? 0);
  }
  /**
   * Whether the job may be run again: by its task, for its user, and not too often. A live one may
   * not, since its revisions would be counted anew.
   */
  isRepeatable(tasks) {
    const { task, unwanted, restarts } = this.job;
    const mayRun = tasks.has(task) && !this.#fields.live && !this.adopted;
    return mayRun && !unwanted && restarts < MAX_RESTARTS;
  }
  /** Begin another run of the job, and return its submit. */
  rewind(now) {
    this.job.rewind();
    this.accepted = false;
    this.stopped = null;
    this.repeatedAt = now;
    this.frame = { ...this.#fields, ...this.#timeLeft(now), id: this.wireId };
    return this.frame;
  }
  #timeLeft(now) {
    const { timeout_ms } = this.#fields;
    if (typeof timeout_ms !== "number" || this.acceptedAt === null) return {};
    return { timeout_ms: Math.max(1, Math.floor(timeout_ms - (now - this.acceptedAt))) };
  }
}
/** All submits of one client, under the ids that they have on the wire, in their order. */
class Entries {
  #byWireId = new Map();
  [Symbol.iterator]() {
    return [...this.#byWireId.values()][Symbol.iterator](); // it may change while it is gone through
  }
  add(entry) {
    this.#byWireId.set(entry.wireId, entry);
  }
  drop(entry) {
    this.#byWireId.delete(entry.wireId);
  }
  clear() {
    const all = [...this];
    this.#byWireId.clear();
    return all;
  }
  /** Return the submit that has this id on the wire. */
  find(wireId) {
    return this.#byWireId.get(wireId ?? "");
  }
  /** Return the submit of a job that has not ended, by its user's name for it. */
  of(name) {
    const entry = this.#byWireId.get(name);
    return entry?.job.id === name ? entry : [...this].find(({ job }) => job.id === name);
  }
  /** Return what the user calls the job that has this id on the wire. */
  name(wireId) {
    return this.find(wireId)?.job.id ?? wireId;
  }
  /** Give a job another id on the wire: its old one names its old end. */
  rename(entry) {
    this.drop(entry);
    entry.wireId = `${entry.job.id.slice(0, 60)}.${entry.job.restarts + 1}`;
    this.add(entry);
  }
}

/**
 * Who waits for which answer. Answers come in the order of their questions, so each kind of question
 * has one line of its own.
 *
 * A question outlives the connection that it was sent on: it is sent again on the next one, unless
 * it is of those that must not be acted upon twice.
 */
/** The questions that are open. */
class Replies {
  #asked = new Map();
  /** Note a question that is about to be sent; return the promise of its answer. */
  expect(frame, options = {}) {
    const { repeatable = true, told = () => {} } = options;
    const answer = deferred();
    const question = { frame, repeatable, told, answer: answer };
    const kind = kindOfQuestion(frame);
    this.#asked.set(kind, [...(this.#asked.get(kind) ?? []), question]);
    return answer.promise;
  }
  /** Hand an answer, as `told`, to the first who waits for one of its kind. */
  answer(reply, told) {
    const [op, about] =
      reply.type === "pong" ? ["ping", reply.n] : [reply.op, "id" in reply ? reply.id : undefined];
    const question = this.#first(op, about);
    question?.told(told);
    question?.answer.resolve(told);
  }
  /** A question was an error to the server: fail the first who waits for an answer to such a one. */
  refuse({ error, re }) {
    const refused = new WsprocError(error.code, `${error.code}: ${error.message}`);
    this.#first(re?.type ?? "", re?.id)?.answer.reject(refused);
  }
  /** The connection is gone: fail what must not be sent twice; the rest goes on. */
  interrupt(error) {
    for (const [kind, questions] of this.#asked) {
      for (const one of questions) if (!one.repeatable) one.answer.reject(error);
      const rest = questions.filter((one) => one.repeatable);
      if (rest.length) this.#asked.set(kind, rest);
      else this.#asked.delete(kind);
    }
  }
  /** Return the questions that are open, or those like one, to be sent again. */
  unanswered(op, about) {
    const open = [...this.#asked.values()].flat().map((question) => question.frame);
    if (op === undefined) return open;
    return open.filter((frame) => frame.type === op && idOf(frame) === (about ?? undefined));
  }
  /** Fail everyone who waits. */
  fail(error) {
    for (const question of [...this.#asked.values()].flat()) question.answer.reject(error);
    this.#asked.clear();
  }
  #first(op, about) {
    const kind = kindOf(op, about);
    const [first, ...rest] = this.#asked.get(kind) ?? [];
    if (rest.length) this.#asked.set(kind, rest);
    else this.#asked.delete(kind);
    return first;
  }
}
function kindOfQuestion(frame) {
  return kindOf(frame.type, frame.type === "ping" ? frame.n : idOf(frame));
}
function idOf(frame) {
  return "id" in frame ? (frame.id ?? undefined) : undefined;
}
function kindOf(op, about) {
  return `${op} ${about ?? ""}`;
}

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
/** How long a busy server is asked to take a job back before the job is lost. */
const REPEAT_PATIENCE_MS = 300_000;
/** Of how many ended jobs the last number is told in `resume`, so that they are not replayed. */
const ENDS_KEPT = 1000;
const CONTROLS = new Set(["append", "revise", "cancel", "jobs", "ping"]);
const NOTHING = { send: [], later: [] };
/** The jobs and questions of one client. Times (`now`) are milliseconds on any one steady clock. */
class Ledger {
  /** Whether the present connection's end was announced, with an invitation to come back. */
  draining = false;
  entries = new Entries();
  replies = new Replies();
  #repeat;
  #returns;
  #ended = new Map();
  #nextId = 1;
  /** `repeat`: the tasks that may run twice; without `returns` nothing waits for a next connection. */
  constructor(repeat, returns) {
    this.#repeat = repeat;
    this.#returns = returns;
  }
  // --- what is asked -----------------------------------------------------------------------------
  /** Return an id that no job of this client has. */
  newId() {
    for (;;) {
      const id = `js-${this.#nextId++}`;
      if (!this.entries.of(id) && !this.#ended.has(id)) return id;
    }
  }
  /** Note a job that is about to be submitted. */
  submit(job, frame) {
    this.entries.add(new Entry(job, frame));
    this.#ended.delete(job.id);
  }
  /** Whether jobs of a task may come to be run a second time. */
  mayRepeat(task) {
    return this.#returns && this.#repeat.has(task);
  }
  /** Note that nobody wants a job, or with "*" any, to be run again. */
  giveUp(name) {
    for (const { job } of this.entries) {
      if (name === "*" || name === job.id) job.unwanted = true;
    }
  }
  /** Return what a job is called on the wire. */
  wireId(name) {
    return this.entries.of(name)?.wireId ?? name;
  }
  // --- what comes in -----------------------------------------------------------------------------
  /** Hand a frame to whom it is for; return what is to be sent. Throws ProtocolError. */
  receive(frame, now) {
    switch (frame.type) {
      case "accepted":
        return this.#accept(frame, now);
      case "rejected":
        return this.#reject(frame.id, frame.error, now);
      case "status":
      case "token":
      case "done":
        return this.#handOn(frame, now);
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
  #accept(frame, now) {
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
  #reject(wireId, error, now) {
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
  #note(frame, now) {
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
  #later(entry, error) {
    const waits = () => this.entries.find(entry.wireId) === entry && !entry.accepted;
    const again = () => (waits() ? [entry.frame] : []);
    return { again, delayMs: error.retry_after_ms ?? 1000 };
  }
  #handOn(frame, now) {
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
  #renamed(reply) {
    const name = (id) => this.entries.name(id);
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
  interrupt(lost) {
    this.draining = false;
    this.replies.interrupt(lost);
  }
  /** Return the last number seen of each job, for `resume`: `most` of them, the live first. */
  after(most) {
    const accepted = [...this.entries].filter((entry) => entry.accepted);
    const live = accepted.map((entry) => [entry.wireId, entry.job.lastSeq]);
    const ended = [...this.#ended].reverse();
    return Object.fromEntries([...live, ...ended].slice(0, most)); // any name is an own property
  }
  /**
   * Take over the jobs of a session that another client had; they are told from the start. `make`
   * makes a job of an id.
   */
  adopt(known, make) {
    for (const [id, { recovered }] of Object.entries(known)) {
      const entry = new Entry(make(id), { type: "", id }, true);
      this.entries.add(entry);
      if (recovered) entry.accepted = true;
      else expectGap(entry);
    }
    return new Map([...this.entries].map(({ job }) => [job.id, job]));
  }
  /** The session goes on; return what is to be sent again. */
  resumed(known, lost, now) {
    const send = [];
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
  forgotten(lost, now) {
    const send = [];
    this.#ended.clear();
    for (const entry of this.entries) {
      if (!entry.accepted && !entry.stopped) send.push(entry.frame);
      else
        send.push(...this.#repeatOrEnd(entry, lost, now, "the server has forgotten the session"));
    }
    return { send: [...send, ...this.replies.unanswered()], later: [] };
  }
  /** No connection will come any more: tell everyone who waits. */
  fail(error) {
    for (const { job, stopped } of this.entries.clear()) {
      if (stopped) job.end(stopped);
      else job.fail(error);
    }
    this.replies.fail(error);
  }
  // --- running a job again -----------------------------------------------------------------------
  /** Whether an end is the server's own, and the job can be run again instead. */
  #isToReturn(entry, frame) {
    const byItself =
      frame.type === "done" && frame.status === "cancelled" && frame.reason !== "client";
    return byItself && this.#returns && entry.isRepeatable(this.#repeat);
  }
  /** Keep an end to oneself; run the job again, but not on a connection that is ending. */
  #holdBack(entry, end, now) {
    entry.stopped = end;
    if (this.draining) return NOTHING;
    const gone = new ConnectionLost(1006, `the server stopped the job (${end.reason})`);
    return { send: this.#repeatOrEnd(entry, gone, now, gone.message), later: [] };
  }
  /** Return the submit that runs a job again; where there is none, end the job. */
  #repeatOrEnd(entry, lost, now, why) {
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
  #lose(entry, lost, why) {
    this.entries.drop(entry);
    entry.job.fail(new JobLost(entry.job.id, lost, why));
  }
  #remember(wireId, seq) {
    this.#ended.set(wireId, seq);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > ENDS_KEPT && oldest !== undefined) this.#ended.delete(oldest);
  }
}
/** Let a job skip what the server did not keep of it, perhaps its `accepted` too. */
function expectGap(entry) {
  const { job } = entry;
  if (!entry.accepted) {
    entry.accepted = true;
    job.accept({ type: "accepted", id: job.id, position: 0, eta_ms: null, duplicate: true });
  }
  job.allowGap();
}

/** The seed of a generation whose caller gives none. Pure. */
const OFFSET = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const SPARE_BITS = 16n;
/**
 * Return the same seed for a submit that is made again, so that it is the same submit: FNV-1a of the
 * session and the job, its upper 48 bits, which a number of JavaScript keeps exact. The session is a
 * secret, so nobody can guess it. The Python client derives the same one; WebCrypto would not do,
 * since pages without TLS have none.
 */
function seedOf(session, job) {
  let digest = OFFSET;
  for (const byte of new TextEncoder().encode(`${session} ${job}`)) {
    digest = BigInt.asUintN(64, (digest ^ BigInt(byte)) * PRIME);
  }
  return Number(digest >> SPARE_BITS);
}

/** What a user holds: a client, which submits jobs and asks questions. */
/** The page that this runs in; in Node it has no events. */
const page = globalThis;
/** The built-in tasks: running one of their jobs twice does nothing but cost time. */
const BUILT_IN = ["process", "batch", "generate"];
const EVERY_TASK = { has: () => true };
const JOB_ID = /^[A-Za-z0-9_.:-]{1,64}$/;
/**
 * A client of one server; made by `connect`. Many jobs may run on it at once.
 *
 * When its connection is lost it comes back by itself and goes on where it was: jobs, questions and
 * submits outlive the connection. Once it is closed, by `close()` or because coming back failed or
 * does not help, what still waits rejects, and a new client is needed.
 */
class Client extends TypedEventTarget {
  /** The server's address. */
  url;
  /** Resolves, once it is over, to the error that ended it; ConnectionLost 1000 after `close()`. */
  closed;
  #ledger;
  #keeper;
  #feeder;
  #nextPing = 1;
  /** @internal Use `connect`. */
  constructor(url, options) {
    super();
    const { reconnect = true, resubmit = BUILT_IN, signal } = options;
    this.url = url.replace(/^http/, "ws");
    const dialer = dialerOf(this.url, options);
    const repeat = resubmit === true ? EVERY_TASK : new Set(resubmit || []);
    this.#ledger = new Ledger(repeat, reconnect !== false);
    this.#feeder = new Feeder(this.#ledger, this.#ask);
    const policy = reconnect === true ? {} : reconnect || null;
    this.#keeper = new Keeper(dialer, this.#ledger, policy, this.#adoption(options), (state) => {
      this.dispatchEvent(new CustomEvent("state", { detail: state }));
    });
    this.closed = this.#keeper.closed;
    if (signal?.aborted) this.#keeper.finish(signal.reason);
    else this.#begin(signal);
  }
  /** @internal Wait for the first welcome, and for the jobs of a session that is taken up. */
  async opened() {
    await this.#keeper.opened;
    if (!this.adopted.size) return;
    for (const { id, task } of await this.jobs()) {
      const job = this.adopted.get(id);
      if (job) job.task = task;
    }
  }
  /** Where the connection stands; each change is a `state` event, with this as its `detail`. */
  get state() {
    return this.#keeper.state;
  }
  /** What the server told of itself on the present connection: tasks, limits, version. */
  get welcome() {
    return this.#keeper.welcome; // `connect` waits for the first one
  }
  /** The server's announcement that it will close the present connection, or null. */
  get goaway() {
    return this.#keeper.goaway;
  }
  /** The secret by which the session is found again, see `connect`; as good as a password. */
  get session() {
    return this.#keeper.session;
  }
  /** The jobs that were there when a `session` was taken up, by their ids. */
  get adopted() {
    return this.#keeper.adopted;
  }
  // --- jobs --------------------------------------------------------------------------------------
  /** Submit a text whose results are streamed. */
  process(fields, options) {
    return this.submit("process", fields, options);
  }
  batch(fields, options) {
    return this.submit("batch", fields, options);
  }
  /** Submit a `prompt` to be continued; see `Job.tokens`. */
  generate(fields, options) {
    const id = String(fields.id ?? this.#ledger.newId());
    // With a seed of its own the text comes out the same where the job has to be run again.
    const again = this.#ledger.mayRepeat("generate");
    const seed = again ? { seed: seedOf(this.session, id) } : {};
    return this.submit("generate", { ...seed, ...fields, id }, options);
  }
  /**
   * Submit a job of any task that the server has, and return it at once: whether it is taken tell
   * `job.accepted`, `job.result` and the iteration. While the connection is being made again the
   * submit waits for it. Throws TypeError for fields that are no JSON.
   */
  submit(task, fields = {}, { signal } = {}) {
    const given = fields;
    const id = String(given.id ?? this.#ledger.newId());
    const frame = { ...given, type: task, id };
    const text = JSON.stringify(frame);
    const job = new Job(id, task, textsOf(given), this.#desk);
    const refusal = this.#refusal(id, text);
    const aborted = signal?.aborted ? { error: signal.reason } : null;
    const failed = this.#keeper.over ?? aborted ?? (refusal && { error: refusal });
    if (failed) void takeTurn().then(() => job.fail(failed.error));
    else {
      this.#ledger.submit(job, frame);
      if (signal) job.stopOn(signal);
      this.#keeper.submit(frame);
    }
    return job;
  }
  /** Ask the server to stop a job by its id, or with "*" all of this session. */
  cancel(id) {
    this.#ledger.giveUp(id);
    return this.#ask({ type: "cancel", id: id === "*" ? id : this.#ledger.wireId(id) });
  }
  /** Ask the server to stop every job of this session; the reply's `ids` names them. */
  cancelAll() {
    return this.cancel("*");
  }
  /** Resolves to the server's list of this session's jobs. */
  jobs() {
    return optional(this.#ask({ type: "jobs" }).then(({ jobs }) => jobs));
  }
  /** Resolves to the milliseconds of a round trip. */
  ping() {
    const begun = performance.now();
    const pong = this.#ask({ type: "ping", n: this.#nextPing++ });
    return optional(pong.then(() => performance.now() - begun));
  }
  // --- the end -----------------------------------------------------------------------------------
  /** Close the connection for good; the server stops the jobs that are left. Safe to repeat. */
  close() {
    this.#keeper.close();
    return this.closed;
  }
  /** While the client waits to connect again: do it now, as on a button or when a network is back. */
  retryNow = () => this.#keeper.hurry();
  // --- inside ------------------------------------------------------------------------------------
  #adoption({ session, texts = {} }) {
    if (session === undefined) return null;
    const textsOf = (id) => (Object.hasOwn(texts, id) ? [texts[id] ?? []].flat() : []);
    return { session, make: (id) => new Job(id, "", textsOf(id), this.#desk) };
  }
  #begin(signal) {
    const abort = () => this.#keeper.finish(signal?.reason);
    signal?.addEventListener("abort", abort);
    page.addEventListener?.("online", this.retryNow);
    void this.closed.then(() => {
      signal?.removeEventListener("abort", abort);
      page.removeEventListener?.("online", this.retryNow);
    });
    void this.#keeper.run();
  }
  #desk = {
    cancel: (id) => this.cancel(id),
    append: (id, piece) => this.#feeder.append(id, piece),
    revise: (id, text) => this.#feeder.revise(id, text),
  };
  #ask = (frame, options) => {
    const { over } = this.#keeper;
    if (over) return optional(takeTurn().then(() => Promise.reject(over.error)));
    const answer = this.#ledger.replies.expect(frame, options);
    this.#keeper.send(frame);
    return answer;
  };
  /** Refuse here what would confuse or end the connection. */
  #refusal(id, message) {
    const refuse = (code, words) =>
      new JobRejected(id, {
        code,
        message: words,
        retryable: false,
        ...(code !== "input_too_large" && { path: "id" }),
      });
    if (!JOB_ID.test(id)) {
      return refuse(
        "invalid_field",
        `id: 1 to 64 of A-Z a-z 0-9 _ . : -, this is ${id.slice(0, 80)}`,
      );
    }
    if (this.#ledger.entries.of(id)) {
      return refuse("id_conflict", `a job with the id ${id} is running in this session`);
    }
    const size = sizeOf(message);
    const most = this.welcome.limits.max_frame_bytes;
    if (size <= most) return null;
    return refuse(
      "input_too_large",
      `the message would take ${size} bytes; this server takes ${most}`,
    );
  }
}
/**
 * Open a connection and wait for the server's welcome.
 *
 * @param url `ws://HOST:PORT`, or `http://...`; a page's own server by default.
 * @returns The client. Rejects with ConnectFailed, or with the signal's reason.
 */
async function connect(url, options = {}) {
  const address = url ?? globalThis.location?.origin;
  if (address === undefined) throw new TypeError("connect needs an address: ws://HOST:PORT");
  const client = new Client(String(address), options);
  await client.opened();
  return client;
}
function dialerOf(url, options) {
  const { auth = "subprotocol", openTimeoutMs = 10_000, token, onFrame, onSend } = options;
  const Socket = options.WebSocket ?? globalThis.WebSocket;
  if (!Socket) {
    throw new TypeError("there is no WebSocket here; give one as the option WebSocket");
  }
  return { url, auth, openTimeoutMs, token, onFrame, onSend, WebSocket: Socket };
}
function textsOf({ text, texts }) {
  const given = Array.isArray(texts) ? texts : [text];
  return given.map((one) => (typeof one === "string" ? one : ""));
}
/**
 * Wait before something fails without a server's word. A loop that tries again and again would leave
 * its page no turn, not even for the timer or the click that is to end it.
 */
function takeTurn() {
  return new Promise((resolve) => setTimeout(resolve));
}
/** Return a promise that nobody has to wait for. */
function optional(promise) {
  promise.catch(() => {});
  return promise;
}

export {
  Client,
  ConnectFailed,
  ConnectionLost,
  InputRefused,
  Job,
  JobCancelled,
  JobFailed,
  JobLost,
  JobRejected,
  ProtocolError,
  SessionLost,
  WsprocError,
  connect,
  utf16Offsets,
};
