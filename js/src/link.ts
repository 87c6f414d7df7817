/** One WebSocket, from dialling to its end; nothing in here knows of jobs or of a next connection. */

import { mayReturn } from "./backoff.js";
import { ConnectFailed, ConnectionLost, ProtocolError } from "./errors.js";
import type { ServerFrame, Welcome } from "./frames.js";
import { Pace } from "./pace.js";
import type { Control, Submit } from "./types.js";

const SUBPROTOCOL = "wsproc.v1";
const BEARER = "wsproc.bearer.";

/** A token, or a function that is asked for one before each connection. */
export type TokenSource = string | (() => string | Promise<string>);

/** How a server is reached. */
export interface Dialer {
  readonly url: string;
  readonly token: TokenSource | undefined;
  /** How the token is given: offered as a subprotocol, or sent once the server asks for it. */
  readonly auth: "subprotocol" | "frame";
  readonly WebSocket: typeof WebSocket;
  readonly openTimeoutMs: number;
  readonly onFrame: ((frame: ServerFrame, text: string) => void) | undefined;
  readonly onSend: ((frame: object) => void) | undefined;
}

/** Who is told, at once, of what happens. A ProtocolError that `frame` throws ends the link. */
export interface LinkListener {
  welcome(frame: Welcome): void;
  frame(frame: ServerFrame): void;
  end(end: LinkEnd): void;
}

/** How a connection ended. */
export interface LinkEnd {
  readonly error: ConnectFailed | ConnectionLost | ProtocolError;
  /** Whether it is worth making another one by itself. */
  readonly returns: boolean;
}

/** How long a peer may take to answer a close before its socket is given up, where that is possible. */
const CLOSE_PATIENCE_MS = 2000;

export class Link {
  readonly #dialer: Dialer;
  readonly #listener: LinkListener;
  #socket: WebSocket | null = null;
  #token: string | undefined;
  #welcomed = false;
  #over = false;
  #words = "";
  #pace = new Pace(0);
  #outbox: (Submit | Control)[] = [];
  #outTimer: ReturnType<typeof setTimeout> | undefined;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #quietTimer: ReturnType<typeof setTimeout> | undefined;
  #heardAt = 0;

  /** Begin to dial; what comes of it is told to the listener. */
  constructor(dialer: Dialer, listener: LinkListener) {
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
  send(frame: Submit | Control): void {
    if (this.#over) return;
    this.#outbox.push(frame);
    if (this.#outbox.length === 1) this.#sendOn();
  }

  /** Close the connection; its end is told once the server agrees, or after two seconds. */
  close(code = 1000, reason = ""): void {
    if (this.#over) return;
    if (!this.#socket || this.#socket.readyState === 0) {
      this.#end(new ConnectionLost(code, reason), false);
    } else {
      const patience = setTimeout(() => {
        this.#end(new ConnectionLost(code, reason), false);
      }, CLOSE_PATIENCE_MS);
      (patience as { unref?(): void }).unref?.();
    }
    this.#hangUp(code, reason);
  }

  /** End the connection for a reason of this side's. */
  fail(error: LinkEnd["error"], returns: boolean): void {
    this.#end(error, returns);
    this.#hangUp(1000, "");
  }

  #sendOn(): void {
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

  async #dial(): Promise<void> {
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
      this.#words = (event as { message?: string }).message ?? "";
    });
  }

  #authorize(): void {
    if (this.#token === undefined) {
      const message = `${this.#dialer.url} asks for a token; give one as the option token`;
      this.fail(new ConnectFailed(message, { code: "unauthorized" }), false);
    } else {
      this.send({ type: "auth", token: this.#token });
    }
  }

  // --- what comes in -----------------------------------------------------------------------------

  #take(data: unknown): void {
    if (this.#over) return;
    this.#heardAt = performance.now();
    try {
      if (typeof data !== "string") throw new ProtocolError("a binary message came");
      const frame = JSON.parse(data) as ServerFrame;
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

  #route(frame: ServerFrame): void {
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
  #watch(patienceMs: number, askedAt = 0): void {
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

  #later(delayMs: number, then: () => void): void {
    this.#quietTimer = setTimeout(then, delayMs);
    (this.#quietTimer as { unref?(): void }).unref?.(); // the socket keeps a process alive, not this
  }

  // --- the end -----------------------------------------------------------------------------------

  #closed(code: number, reason: string): void {
    if (this.#welcomed) {
      return this.#end(new ConnectionLost(code, reason), mayReturn(code));
    }
    const refused = /\b(4\d\d)\b/.exec(this.#words)?.[1]; // an HTTP status, from a library's words
    const why = reason || this.#words || (code === 1006 ? "nobody answers there" : "it was closed");
    const message = `cannot connect to ${this.#dialer.url}: ${why} (${refused ?? code})`;
    const returns = mayReturn(code) && !refused;
    const token = refused === "401" ? ({ code: "unauthorized" } as const) : {};
    const failed = { closeCode: code, retryable: returns, ...token };
    this.#end(new ConnectFailed(message, failed), returns);
  }

  #end(error: LinkEnd["error"], returns: boolean): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#openTimer);
    clearTimeout(this.#quietTimer);
    clearTimeout(this.#outTimer);
    this.#listener.end({ error, returns });
  }

  /** Close the socket; where a library can, cut it if the peer does not answer. */
  #hangUp(code: number, reason: string): void {
    const socket = this.#socket as (WebSocket & { terminate?(): void }) | null;
    socket?.close(code, reason);
    if (!socket?.terminate) return;
    const patience = setTimeout(() => socket.terminate?.(), CLOSE_PATIENCE_MS);
    (patience as { unref?(): void }).unref?.();
  }
}

/** Call the user's own function; what it throws is reported as uncaught, and harms nothing here. */
function tell(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function withoutToken(frame: Submit | Control): object {
  return frame.type === "auth" ? { ...frame, token: "(hidden)" } : frame;
}

/** Return how many bytes a text takes. */
export function sizeOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Return a text as base64url without padding, of its UTF-8. */
function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
