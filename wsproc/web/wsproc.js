/**
 * The browser client of wsproc.v1, an ES module without dependencies. It runs in Node too, where a
 * `WebSocket` is global or handed in.
 *
 *     import { connect } from "./wsproc.js";
 *
 *     const client = await connect("ws://127.0.0.1:8765");
 *     const job = await client.process({ text, include_entities: true });
 *     for await (const event of job) console.log(event.status ?? event.type, event);
 *     const result = await job.result;
 *
 * Events are the server's frames as plain objects; PROTOCOL.md lists them. One thing is changed in
 * them: offsets (`start`, `end`) count UTF-16 units, as JavaScript strings do, so that
 * `text.slice(start, end)` is right; on the wire they count code points.
 *
 * Stopping: `job.cancel()`, or an AbortSignal given with the submit. Breaking out of `for await`
 * stops nothing, since the result may still be wanted.
 */

const SUBPROTOCOL = "wsproc.v1";
const EVENTS_KEPT = 1000;

/** Base of what this client throws. */
export class WsprocError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** There is no connection. `closeCode` is set where the server opened one only to close it. */
export class ConnectFailed extends WsprocError {
  constructor(message, closeCode = null) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** The connection is gone; 44xx codes mean that connecting again by itself will not help. */
export class ConnectionLost extends WsprocError {
  constructor(closeCode, reason) {
    super(`the connection ended (${closeCode})${reason ? `: ${reason}` : ""}`);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** The connection went away before the job's end came. */
export class JobLost extends ConnectionLost {
  constructor(jobId, lost) {
    super(lost.closeCode, lost.reason);
    this.jobId = jobId;
  }
}

/** The server sent what the protocol does not allow; the connection is closed. */
export class ProtocolError extends WsprocError {}

/** The job was not run at all; `path` names the field at fault, `retryAfterMs` is a hint. */
export class JobRejected extends WsprocError {
  constructor(jobId, error) {
    super(`${error.code}: ${error.message}`);
    this.jobId = jobId;
    this.code = error.code;
    this.path = error.path ?? null;
    this.retryable = error.retryable;
    this.retryAfterMs = error.retry_after_ms ?? null;
  }
}

/** The job was stopped; `reason` is client, disconnect or shutdown. */
export class JobCancelled extends WsprocError {
  constructor(done) {
    super(`job ${done.id} was cancelled (${done.reason})`);
    this.jobId = done.id;
    this.reason = done.reason;
    this.partialResult = done.partial_result ?? null;
    this.done = done;
  }
}

/** The job could not be finished. */
export class JobFailed extends WsprocError {
  constructor(done) {
    super(`${done.error.code}: ${done.error.message}`);
    this.jobId = done.id;
    this.code = done.error.code;
    this.partialResult = done.partial_result ?? null;
    this.done = done;
  }
}

/**
 * Return a function from code point offsets in `text` to UTF-16 offsets, for `text.slice`.
 * Both are the same unless the text has characters beyond U+FFFF, such as emoji.
 */
export function utf16Offsets(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (offset) => offset;
  const starts = [];
  let next = 0;
  for (const character of text) {
    starts.push(next);
    next += character.length;
  }
  starts.push(next);
  return (offset) => starts[Math.min(offset, starts.length - 1)];
}

/**
 * Open a connection and wait for the server's welcome.
 *
 * @param {string} [url] `ws://HOST:PORT` or `http://...`; a page's own server by default.
 * @param {object} [options]
 * @param {AbortSignal} [options.signal] gives up the connecting, or closes the connection later.
 * @param {(frame: object, text: string) => void} [options.onFrame] sees every frame as it came.
 * @param {(frame: object) => void} [options.onSend] sees every frame that goes out.
 * @param {typeof WebSocket} [options.WebSocket] the constructor to use where none is global.
 * @returns {Promise<Client>} Rejects with ConnectFailed, or with the signal's reason.
 */
export async function connect(url, options = {}) {
  const client = new Client(url ?? globalThis.location.origin, options);
  await client.opened;
  return client;
}

/** A connection; made by `connect`. Many jobs may run on it at once. */
export class Client {
  #socket;
  #options;
  #jobs = new Map();
  #submits = new Map();
  #replies = new Map();
  #nextId = 1;
  #nextPing = 1;
  #lost = null;
  #opening;
  #closing;
  #quiet = null;

  /** Use `connect`. */
  constructor(url, options) {
    this.url = url.replace(/^http/, "ws");
    /** What the server told of itself: tasks, limits, version. */
    this.welcome = null;
    /** Set once the server announced that it will close. */
    this.goaway = null;
    this.#options = options;
    this.#opening = deferred();
    this.#closing = deferred();
    /** Resolves to this client after the welcome. */
    this.opened = this.#opening.promise;
    /** Resolves to the error that ended the connection, ConnectionLost for a plain end. */
    this.closed = this.#closing.promise;
    this.#open();
  }

  /** Submit a text whose results are streamed; resolves to its Job once it is accepted. */
  process(fields, options) {
    return this.submit("process", fields, options);
  }

  /** Submit `text` or `texts`, answered by one result; resolves to the accepted Job. */
  batch(fields, options) {
    return this.submit("batch", fields, options);
  }

  /** Submit a `prompt` to be continued; resolves to the accepted Job, see `Job.tokens`. */
  generate(fields, options) {
    return this.submit("generate", fields, options);
  }

  /**
   * Submit a job of any task that the server has. Rejects with JobRejected, ConnectionLost, or the
   * reason of `signal` if that is aborted first; later, aborting cancels the job.
   */
  async submit(type, fields = {}, { signal } = {}) {
    signal?.throwIfAborted();
    const id = fields.id ?? this.#newId();
    if (this.#submits.has(id) || this.#jobs.has(id)) {
      throw new JobRejected(id, {
        code: "id_conflict",
        message: `a job with the id ${id} is running on this connection`,
        path: "id",
        retryable: false,
      });
    }
    const answer = deferred();
    this.#submits.set(id, { answer, type, fields });
    try {
      this.#send({ ...fields, type, id });
    } catch (error) {
      this.#submits.delete(id);
      throw error;
    }
    const abort = () => {
      answer.reject(signal.reason);
      if (!this.#lost) this.#send({ type: "cancel", id });
    };
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const job = await answer.promise;
      job.done.finally(() => signal?.removeEventListener("abort", abort)).catch(() => {});
      return job;
    } catch (error) {
      signal?.removeEventListener("abort", abort);
      throw error;
    }
  }

  /** Ask the server to stop a job, or with "*" all of this connection; resolves to its reply. */
  cancel(id) {
    return this.#ask(`cancel ${id}`, { type: "cancel", id });
  }

  /** Ask the server to stop every job of this connection. */
  cancelAll() {
    return this.cancel("*");
  }

  /** Resolves to the server's list of this connection's jobs that have not ended. */
  async jobs() {
    return (await this.#ask("jobs", { type: "jobs" })).jobs;
  }

  /** Resolves to the milliseconds of a round trip. */
  async ping() {
    const n = this.#nextPing++;
    const begun = performance.now();
    await this.#ask(`ping ${n}`, { type: "ping", n });
    return performance.now() - begun;
  }

  /** Close the connection; the server cancels the jobs that are left. */
  close() {
    this.#socket.close(1000);
    return this.closed;
  }

  // --- the socket ------------------------------------------------------------------------------

  #open() {
    const { signal, WebSocket: Socket = globalThis.WebSocket } = this.#options;
    if (signal?.aborted) {
      this.#fail(signal.reason);
      return;
    }
    try {
      this.#socket = new Socket(this.url, [SUBPROTOCOL]);
    } catch (error) {
      this.#fail(new ConnectFailed(`cannot connect to ${this.url}: ${error.message}`));
      return;
    }
    const abort = () => {
      this.#opening.reject(signal.reason);
      this.#socket.close(1000);
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#socket.addEventListener("message", (event) => this.#take(event.data));
    this.#socket.addEventListener("error", () => {}); // the close event that follows says more
    this.#socket.addEventListener("close", (event) => {
      signal?.removeEventListener("abort", abort);
      this.#fail(new ConnectionLost(event.code, event.reason));
    });
  }

  #send(frame) {
    if (this.#lost) throw again(this.#lost);
    this.#socket.send(JSON.stringify(frame));
    this.#options.onSend?.(frame);
  }

  #ask(kind, frame) {
    const answer = deferred();
    const waiting = this.#replies.get(kind) ?? [];
    try {
      this.#send(frame);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#replies.set(kind, [...waiting, answer]);
    return answer.promise;
  }

  #newId() {
    for (;;) {
      const id = `js-${this.#nextId++}`;
      if (!this.#jobs.has(id) && !this.#submits.has(id)) return id;
    }
  }

  // --- what comes in ---------------------------------------------------------------------------

  #take(text) {
    if (this.#lost) return;
    this.#listen();
    try {
      const frame = JSON.parse(text);
      this.#options.onFrame?.(frame, text);
      this.#route(frame);
    } catch (error) {
      const broken = error instanceof WsprocError ? error : new ProtocolError(String(error));
      this.#fail(broken);
      this.#socket.close(4000, "protocol error");
    }
  }

  #route(frame) {
    switch (frame.type) {
      case "welcome":
        return this.#greet(frame);
      case "accepted":
        return this.#accept(frame);
      case "rejected":
        return this.#reject(frame.id, frame.error);
      case "status":
      case "token":
      case "done":
        return this.#handOn(frame);
      case "reply":
        return this.#answer(frame.op === "cancel" ? `cancel ${frame.id}` : frame.op, frame);
      case "pong":
        return this.#answer(`ping ${frame.n}`, frame);
      case "error":
        return this.#reject(frame.re?.id, frame.error);
      case "goaway":
        this.goaway = frame;
        return undefined;
      default: // heartbeats; and what later servers may add
        return undefined;
    }
  }

  #greet(frame) {
    if (frame.auth) {
      throw new ConnectFailed("the server asks for a token, which this client cannot give");
    }
    this.welcome = frame;
    this.#listen();
    this.#opening.resolve(this);
  }

  #accept(frame) {
    const submit = this.#submits.get(frame.id);
    if (!submit) return;
    this.#submits.delete(frame.id);
    const job = new Job(frame, submit.type, submit.fields, () => this.cancel(frame.id));
    this.#jobs.set(frame.id, job);
    submit.answer.resolve(job);
  }

  #reject(id, error) {
    const submit = this.#submits.get(id);
    if (!submit) return;
    this.#submits.delete(id);
    submit.answer.reject(new JobRejected(id, error));
  }

  #handOn(frame) {
    const job = this.#jobs.get(frame.id);
    if (!job) return;
    job.receive(frame);
    if (frame.type === "done") this.#jobs.delete(frame.id);
  }

  #answer(kind, frame) {
    const [first, ...rest] = this.#replies.get(kind) ?? [];
    if (rest.length) this.#replies.set(kind, rest);
    else this.#replies.delete(kind);
    first?.resolve(frame);
  }

  #fail(error) {
    if (this.#lost) return;
    this.#lost = error;
    clearTimeout(this.#quiet);
    const opening =
      error instanceof ConnectionLost
        ? new ConnectFailed(`cannot connect to ${this.url}: ${said(error)}`, error.closeCode)
        : error;
    this.#opening.reject(opening);
    this.#opening.promise.catch(() => {});
    for (const { answer } of this.#submits.values()) answer.reject(again(error));
    for (const answer of [...this.#replies.values()].flat()) answer.reject(again(error));
    for (const job of this.#jobs.values()) job.lose(error);
    this.#submits.clear();
    this.#replies.clear();
    this.#jobs.clear();
    this.#closing.resolve(error);
  }

  /**
   * Notice a dead link, which a browser does not: two heartbeats missing ask for a pong, two more
   * end the connection. A computer that slept gets its chance to read what waits.
   */
  #listen(asked = false) {
    clearTimeout(this.#quiet);
    if (!this.welcome?.heartbeat_s) return;
    this.#quiet = setTimeout(() => {
      if (asked) {
        this.#fail(new ConnectionLost(4504, "nothing was heard of the server"));
        this.#socket.close(4504, "heartbeat lost");
      } else {
        this.#listen(true);
        this.#send({ type: "ping" });
      }
    }, this.welcome.heartbeat_s * 2000);
    this.#quiet.unref?.();
  }
}

/**
 * An accepted job: an async iterable of its events, the terminal one last, for one reader.
 *
 * Events wait until they are read, 1000 of them; over that waiting tokens are joined and otherwise
 * the oldest event is dropped and counted in `dropped`; the terminal one always has room. The result
 * is whole in any case.
 */
export class Job {
  #cancel;
  #events = [];
  #wake = null;
  #lost = null;
  #over = false;
  #result = deferred();
  #done = deferred();
  #toUtf16;

  /** Made by the client. */
  constructor(accepted, type, fields, cancel) {
    this.id = accepted.id;
    this.type = type;
    this.accepted = accepted;
    this.lastSeq = accepted.seq;
    this.dropped = 0;
    /** Resolves to the result; rejects with JobCancelled, JobFailed, JobLost. */
    this.result = this.#result.promise;
    /** Resolves to the terminal frame, whichever it is; rejects with JobLost. */
    this.done = this.#done.promise;
    this.#cancel = cancel;
    this.#toUtf16 = converter(fields);
    this.result.catch(() => {}); // nobody has to wait for it
    this.done.catch(() => {});
  }

  /** Ask the server to stop this job; resolves to its reply, the end follows in `done`. */
  cancel() {
    return this.#cancel();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#events.length) yield this.#events.shift();
      if (this.#over) return;
      if (this.#lost) throw this.#lost;
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  /** Yield the text of a `generate` job piece by piece; throws what `result` rejects with. */
  async *tokens() {
    for await (const event of this) if (event.type === "token") yield event.text;
    await this.result;
  }

  /** For the client: take the next frame. */
  receive(frame) {
    if (frame.seq !== this.lastSeq + 1) {
      const due = this.lastSeq + 1;
      throw new ProtocolError(`job ${this.id}: frame ${due} was due, frame ${frame.seq} came`);
    }
    this.lastSeq = frame.seq;
    const event = this.#toUtf16(frame);
    this.#keep(event);
    if (event.type === "done") this.#end(event);
    this.#rouse();
  }

  /** For the client: the connection is gone. */
  lose(error) {
    this.#lost = error instanceof ConnectionLost ? new JobLost(this.id, error) : again(error);
    this.#result.reject(this.#lost);
    this.#done.reject(this.#lost);
    this.#rouse();
  }

  #end(frame) {
    this.#over = true;
    this.#done.resolve(frame);
    if (frame.status === "completed") this.#result.resolve(frame.result);
    else if (frame.status === "cancelled") this.#result.reject(new JobCancelled(frame));
    else this.#result.reject(new JobFailed(frame));
  }

  #keep(frame) {
    const last = this.#events.at(-1);
    if (this.#events.length < EVENTS_KEPT || frame.type === "done") {
      this.#events.push(frame);
    } else if (frame.type === "token" && last.type === "token") {
      this.#events[this.#events.length - 1] = { ...frame, text: last.text + frame.text };
    } else {
      this.#events.shift();
      this.dropped += 1;
      this.#events.push(frame);
    }
  }

  #rouse() {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** Return a function that brings the offsets in a job's frames from code points to UTF-16. */
function converter(fields) {
  const texts = fields.texts ?? [fields.text];
  const offsets = texts.map((text) => (typeof text === "string" ? utf16Offsets(text) : null));
  const place = (of, span) => of && { ...span, start: of(span.start), end: of(span.end) };
  const spans = (of, list) => list?.map((span) => place(of, span) ?? span);

  const ofResult = (of, result) => {
    if (!result) return result;
    const { sentiment, entities } = result;
    return {
      ...result,
      ...(sentiment && {
        sentiment: { ...sentiment, chunk_sentiments: spans(of, sentiment.chunk_sentiments) },
      }),
      ...(entities && { entities: { ...entities, entities: spans(of, entities.entities) } }),
    };
  };
  const ofDone = (result) =>
    Array.isArray(result?.results)
      ? { ...result, results: result.results.map((one, index) => ofResult(offsets[index], one)) }
      : ofResult(offsets[0], result);

  return (frame) => {
    const of = offsets[0];
    switch (frame.status) {
      case "sentiment_progress":
        return { ...frame, chunk_result: place(of, frame.chunk_result) ?? frame.chunk_result };
      case "sentiment_complete":
        return { ...frame, chunk_sentiments: spans(of, frame.chunk_sentiments) };
      case "entities_complete":
        return { ...frame, entities: spans(of, frame.entities) };
      case "completed":
        return { ...frame, result: ofDone(frame.result) };
      case "cancelled":
      case "failed":
        return frame.partial_result
          ? { ...frame, partial_result: ofDone(frame.partial_result) }
          : frame;
      default:
        return frame;
    }
  };
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Return a fresh error of the same meaning, with the stack of whoever is told it. */
function again(error) {
  if (error instanceof ConnectionLost) return new ConnectionLost(error.closeCode, error.reason);
  return error instanceof ProtocolError ? new ProtocolError(error.message) : error;
}

function said(lost) {
  if (lost.reason) return `${lost.reason} (${lost.closeCode})`;
  return lost.closeCode === 1006 ? "nobody answers there" : `closed with ${lost.closeCode}`;
}
