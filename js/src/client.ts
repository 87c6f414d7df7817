/** What a user holds: a client, which submits jobs and asks questions. */

import { JobRejected } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import { type Ask, Feeder } from "./feeder.js";
import type {
  BatchResult,
  CancelReply,
  GenerateResult,
  Goaway,
  JobInfo,
  JobsReply,
  Pong,
  ProcessResult,
  Welcome,
} from "./frames.js";
import { type Desk, Job } from "./job.js";
import { type Adoption, Keeper } from "./keeper.js";
import { Ledger } from "./ledger.js";
import { type Dialer, sizeOf } from "./link.js";
import type { ConnectionState, ConnectOptions, SubmitOptions } from "./options.js";
import type { AskOptions } from "./replies.js";
import { seedOf } from "./seed.js";
import type {
  BatchEvent,
  BatchFields,
  Control,
  GenerateEvent,
  GenerateFields,
  JobEvent,
  OpenBatchFields,
  OpenProcessFields,
  ProcessEvent,
  ProcessFields,
  Reply,
  Submit,
} from "./types.js";

/** The events of a client for `addEventListener`. */
export interface ClientEventMap {
  state: CustomEvent<ConnectionState>;
}

/** The page that this runs in; in Node it has no events. */
const page = globalThis as Partial<Pick<Window, "addEventListener" | "removeEventListener">>;
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
export class Client extends TypedEventTarget<ClientEventMap> {
  /** The server's address. */
  readonly url: string;
  /** Resolves, once it is over, to the error that ended it; ConnectionLost 1000 after `close()`. */
  readonly closed: Promise<unknown>;

  readonly #ledger: Ledger;
  readonly #keeper: Keeper;
  readonly #feeder: Feeder;
  #nextPing = 1;

  /** @internal Use `connect`. */
  constructor(url: string, options: ConnectOptions) {
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
  async opened(): Promise<void> {
    await this.#keeper.opened;
    if (!this.adopted.size) return;
    for (const { id, task } of await this.jobs()) {
      const job = this.adopted.get(id);
      if (job) job.task = task;
    }
  }

  /** Where the connection stands; each change is a `state` event, with this as its `detail`. */
  get state(): ConnectionState {
    return this.#keeper.state;
  }

  /** What the server told of itself on the present connection: tasks, limits, version. */
  get welcome(): Welcome {
    return this.#keeper.welcome as Welcome; // `connect` waits for the first one
  }

  /** The server's announcement that it will close the present connection, or null. */
  get goaway(): Goaway | null {
    return this.#keeper.goaway;
  }

  /** The secret by which the session is found again, see `connect`; as good as a password. */
  get session(): string {
    return this.#keeper.session;
  }

  /** The jobs that were there when a `session` was taken up, by their ids. */
  get adopted(): ReadonlyMap<string, Job> {
    return this.#keeper.adopted;
  }

  // --- jobs --------------------------------------------------------------------------------------

  /** Submit a text whose results are streamed. */
  process(
    fields: ProcessFields | OpenProcessFields,
    options?: SubmitOptions,
  ): Job<ProcessResult, ProcessEvent> {
    return this.submit("process", fields, options);
  }

  /** Submit `texts`, or one `text`, answered by one result. */
  batch(
    fields: BatchFields & { texts: string[] },
    options?: SubmitOptions,
  ): Job<BatchResult, BatchEvent<BatchResult>>;
  batch(
    fields: (BatchFields & { text: string }) | OpenBatchFields,
    options?: SubmitOptions,
  ): Job<ProcessResult, BatchEvent<ProcessResult>>;
  batch(fields: object, options?: SubmitOptions): never {
    return this.submit("batch", fields, options) as never;
  }

  /** Submit a `prompt` to be continued; see `Job.tokens`. */
  generate(fields: GenerateFields, options?: SubmitOptions): Job<GenerateResult, GenerateEvent> {
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
  submit<R = Record<string, unknown>, E = JobEvent<R>>(
    task: string,
    fields: object = {},
    { signal }: SubmitOptions = {},
  ): Job<R, E> {
    const given = fields as Record<string, unknown>;
    const id = String(given.id ?? this.#ledger.newId());
    const frame: Submit = { ...given, type: task, id };
    const text = JSON.stringify(frame);
    const job = new Job<R, E>(id, task, textsOf(given), this.#desk);
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
  cancel(id: string): Promise<CancelReply> {
    this.#ledger.giveUp(id);
    return this.#ask({ type: "cancel", id: id === "*" ? id : this.#ledger.wireId(id) });
  }

  /** Ask the server to stop every job of this session; the reply's `ids` names them. */
  cancelAll(): Promise<CancelReply> {
    return this.cancel("*");
  }

  /** Resolves to the server's list of this session's jobs. */
  jobs(): Promise<JobInfo[]> {
    return optional(this.#ask<JobsReply>({ type: "jobs" }).then(({ jobs }) => jobs));
  }

  /** Resolves to the milliseconds of a round trip. */
  ping(): Promise<number> {
    const begun = performance.now();
    const pong = this.#ask<Pong>({ type: "ping", n: this.#nextPing++ });
    return optional(pong.then(() => performance.now() - begun));
  }

  // --- the end -----------------------------------------------------------------------------------

  /** Close the connection for good; the server stops the jobs that are left. Safe to repeat. */
  close(): Promise<unknown> {
    this.#keeper.close();
    return this.closed;
  }

  /** While the client waits to connect again: do it now, as on a button or when a network is back. */
  readonly retryNow = (): void => this.#keeper.hurry();

  // --- inside ------------------------------------------------------------------------------------

  #adoption({ session, texts = {} }: ConnectOptions): Adoption | null {
    if (session === undefined) return null;
    const textsOf = (id: string) => (Object.hasOwn(texts, id) ? [texts[id] ?? []].flat() : []);
    return { session, make: (id) => new Job(id, "", textsOf(id), this.#desk) };
  }

  #begin(signal: AbortSignal | undefined): void {
    const abort = () => this.#keeper.finish(signal?.reason);
    signal?.addEventListener("abort", abort);
    page.addEventListener?.("online", this.retryNow);
    void this.closed.then(() => {
      signal?.removeEventListener("abort", abort);
      page.removeEventListener?.("online", this.retryNow);
    });
    void this.#keeper.run();
  }

  readonly #desk: Desk = {
    cancel: (id) => this.cancel(id),
    append: (id, piece) => this.#feeder.append(id, piece),
    revise: (id, text) => this.#feeder.revise(id, text),
  };

  readonly #ask: Ask = <A extends Reply | Pong>(frame: Control, options?: AskOptions<A>) => {
    const { over } = this.#keeper;
    if (over) return optional(takeTurn().then(() => Promise.reject<A>(over.error)));
    const answer = this.#ledger.replies.expect<A>(frame, options);
    this.#keeper.send(frame);
    return answer;
  };

  /** Refuse here what would confuse or end the connection. */
  #refusal(id: string, message: string): JobRejected | null {
    const refuse = (code: "invalid_field" | "id_conflict" | "input_too_large", words: string) =>
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
export async function connect(url?: string | URL, options: ConnectOptions = {}): Promise<Client> {
  const address = url ?? globalThis.location?.origin;
  if (address === undefined) throw new TypeError("connect needs an address: ws://HOST:PORT");
  const client = new Client(String(address), options);
  await client.opened();
  return client;
}

function dialerOf(url: string, options: ConnectOptions): Dialer {
  const { auth = "subprotocol", openTimeoutMs = 10_000, token, onFrame, onSend } = options;
  const Socket = (options.WebSocket ?? globalThis.WebSocket) as typeof WebSocket | undefined;
  if (!Socket) {
    throw new TypeError("there is no WebSocket here; give one as the option WebSocket");
  }
  return { url, auth, openTimeoutMs, token, onFrame, onSend, WebSocket: Socket };
}

function textsOf({ text, texts }: Record<string, unknown>): string[] {
  const given = Array.isArray(texts) ? texts : [text];
  return given.map((one) => (typeof one === "string" ? one : ""));
}

/**
 * Wait before something fails without a server's word. A loop that tries again and again would leave
 * its page no turn, not even for the timer or the click that is to end it.
 */
function takeTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Return a promise that nobody has to wait for. */
function optional<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
