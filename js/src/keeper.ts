/** Keeps a client connected: one link after the other, and the session over all of them. */

import { Backoff, type ReconnectOptions } from "./backoff.js";
import { deferred } from "./deferred.js";
import type { AnyJob } from "./entry.js";
import { ConnectFailed, ConnectionLost, SessionLost } from "./errors.js";
import type { Goaway, ResumeReply, ServerFrame, Welcome } from "./frames.js";
import type { Ledger, Outgoing } from "./ledger.js";
import { type Dialer, Link, type LinkEnd } from "./link.js";
import type { ConnectionState } from "./options.js";
import type { Control, Submit } from "./types.js";

/** The most that one job takes in a `resume`: an id of 64 characters, a number, the quotes. */
const BYTES_OF_AN_ID = 90;

const NOTHING_MORE = { tries: 0, delayMs: null, resumed: null, cause: null };

/** The session of another client that is to be taken up, and how its jobs are made. */
export interface Adoption {
  readonly session: string;
  readonly make: (id: string) => AnyJob;
}

/** One client's connection, over any number of links. */
export class Keeper {
  welcome: Welcome | null = null;
  goaway: Goaway | null = null;
  state: ConnectionState = { phase: "connecting", ...NOTHING_MORE };
  /** Why there is and will be no connection any more. */
  over: { error: unknown } | null = null;

  readonly #dialer: Dialer;
  readonly #ledger: Ledger;
  readonly #backoff: Backoff | null;
  readonly #adoption: Adoption | null;
  readonly #tell: (state: ConnectionState) => void;
  readonly #opened = deferred<void>();
  readonly #closed = deferred<unknown>();
  #link: Link | null = null;
  /** The secret by which the session is found again; empty before there is one. */
  session = "";
  /** The jobs that were there when another client's session was taken up. */
  adopted: ReadonlyMap<string, AnyJob> = new Map();
  #ready = false;
  #closing = false;
  #refreshed = false;
  #lost: ConnectionLost | null = null;
  #resumeTimer: ReturnType<typeof setTimeout> | undefined;
  #hurry = () => {};

  constructor(
    dialer: Dialer,
    ledger: Ledger,
    reconnect: ReconnectOptions | null,
    adoption: Adoption | null,
    tell: (state: ConnectionState) => void,
  ) {
    this.#dialer = dialer;
    this.#ledger = ledger;
    this.#backoff = reconnect && new Backoff(reconnect);
    this.#adoption = adoption;
    this.#tell = tell;
  }

  /** Resolves after the first welcome. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves to what ended it. */
  get closed(): Promise<unknown> {
    return this.#closed.promise;
  }

  /** Make one connection after the other, until one ends for good. */
  async run(): Promise<void> {
    while (!this.over) {
      const end = await this.#connection();
      const delayMs = this.#delayAfter(end);
      if (delayMs === null) return this.finish(this.#lossOf(end));
      this.#become("reconnecting", { tries: this.#backoff?.tries ?? 0, delayMs, cause: end.error });
      await this.#pause(delayMs);
    }
  }

  /** Send what the ledger holds, if there is a connection; otherwise the next one sends it. */
  send(frame: Control): void {
    if (this.#ready) this.#link?.send(frame);
  }

  /** Send a submit, but not on a connection that is about to end. */
  submit(frame: Submit): void {
    if (this.#ready && !this.#ledger.draining) this.#link?.send(frame);
  }

  /** Close the connection for good. */
  close(): void {
    this.#closing = true;
    if (this.#ready) this.#link?.close();
    else this.finish(new ConnectionLost(1000, "", "the client was closed"));
  }

  /** Do not wait any longer before the next try. */
  hurry(): void {
    this.#hurry();
  }

  /** End it, and leave nobody waiting. */
  finish(error: unknown): void {
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
  #connection(): Promise<LinkEnd> {
    const ended = deferred<LinkEnd>();
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
  #delayAfter(end: LinkEnd): number | null {
    if (this.over || this.#closing || !this.#backoff || !this.session) return null;
    return this.#comesBack(end) ? this.#backoff.next(performance.now(), Math.random()) : null;
  }

  #comesBack({ error, returns }: LinkEnd): boolean {
    if (error.code === "unauthorized") {
      const another = typeof this.#dialer.token === "function" && !this.#refreshed;
      this.#refreshed = true; // a token that was had just now and is refused ends it
      return another;
    }
    const invited = this.goaway?.reconnect;
    if (invited === undefined || !(error instanceof ConnectionLost)) return returns;
    return invited && !isFinal(error.closeCode);
  }

  #lossOf({ error }: LinkEnd): unknown {
    if (!(error instanceof ConnectFailed) || !this.#lost) return error;
    const { closeCode, reason, message } = this.#lost;
    const words = `${message}; it could not be made again: ${error.message}`;
    return new ConnectionLost(error.closeCode ?? closeCode, reason, words, { cause: error });
  }

  #pause(delayMs: number): Promise<void> {
    const pause = deferred<void>();
    const timer = setTimeout(pause.resolve, delayMs);
    this.#hurry = () => {
      clearTimeout(timer);
      pause.resolve();
    };
    return pause.promise;
  }

  // --- what comes in -----------------------------------------------------------------------------

  #welcomed(frame: Welcome): void {
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

  #take(frame: ServerFrame): void {
    if (frame.type === "goaway") return this.#announce(frame);
    if (this.#ready) return this.#carryOut(this.#ledger.receive(frame, performance.now()));
    // Before the session is taken up nothing is awaited but the answer to `resume`; a server that
    // refuses it knows no such session.
    if (frame.type === "reply" && frame.op === "resume") return this.#resumed(frame);
    if (frame.type === "error" && frame.re?.type === "resume") return this.#resumed(null);
  }

  #resumed(reply: ResumeReply | null): void {
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

  #adopt(reply: ResumeReply | null): void {
    const { session, make } = this.#adoption as Adoption;
    if (reply?.outcome !== "ok") {
      return this.#link?.fail(new SessionLost(reply?.outcome ?? "unknown_session"), false);
    }
    this.session = session;
    this.adopted = this.#ledger.adopt(reply.jobs ?? {}, make);
    this.#stand(true);
    this.#opened.resolve();
  }

  #stand(resumed: boolean | null): void {
    this.#ready = true;
    this.#refreshed = false;
    this.#backoff?.opened(performance.now());
    this.#become("open", { resumed });
  }

  #announce(goaway: Goaway): void {
    this.goaway = goaway;
    this.#ledger.draining = goaway.reconnect && this.#backoff !== null;
    this.#become("draining", {});
  }

  #carryOut({ send, later }: Outgoing): void {
    const link = this.#link;
    for (const frame of send) link?.send(frame);
    for (const { again, delayMs } of later) {
      const send = () => {
        if (link === this.#link) for (const frame of again()) link?.send(frame);
      };
      setTimeout(send, delayMs * (1 + Math.random() / 2));
    }
  }

  #become(phase: ConnectionState["phase"], more: Partial<ConnectionState>): void {
    this.state = { phase, ...NOTHING_MORE, ...more };
    this.#tell(this.state);
  }
}

/** Whether a close code says that connecting again does not help. */
function isFinal(closeCode: number): boolean {
  return closeCode >= 4400 && closeCode < 4500;
}
