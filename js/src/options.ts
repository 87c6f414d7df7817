/** What users give to `connect` and to a submit, and what they are told of a connection. */

import type { ReconnectOptions } from "./backoff.js";
import type { ServerFrame } from "./frames.js";
import type { TokenSource } from "./link.js";

/** What `connect` takes beside the address. */
export interface ConnectOptions {
  /** A token, or a function that is asked for one before each connection. */
  token?: TokenSource;
  /**
   * How the token is given: `subprotocol` (the default) offers it with the handshake, `frame` sends
   * it once the server asks for it. Either way it is not in the address.
   */
  auth?: "subprotocol" | "frame";
  /** Gives up the connecting, or closes the client later. */
  signal?: AbortSignal;
  /** How to come back after a loss; `false` not to. */
  reconnect?: boolean | ReconnectOptions;
  /**
   * The tasks whose jobs are submitted again where the server that ran them is gone. By default the
   * built-in ones, which do nothing but compute; `true` is every task, `false` none.
   */
  resubmit?: boolean | readonly string[];
  /**
   * Takes up the session of another client, which may have been another page's: what its
   * `Client.session` was. Its jobs, those submitted with `on_disconnect: "keep"` above all, are then
   * in `Client.adopted`.
   */
  session?: string;
  /**
   * The texts of that session's jobs by their ids, so that their offsets can be converted; those of
   * the others stay in code points.
   */
  texts?: Readonly<Record<string, string | readonly string[]>>;
  /** How long a connection may take until the welcome, 10 s by default. */
  openTimeoutMs?: number;
  /** The constructor to use where none is global, as in Node before 22. */
  WebSocket?: unknown;
  /** Sees every frame as it came, offsets in code points. */
  onFrame?: (frame: ServerFrame, text: string) => void;
  /** Sees every frame that goes out, without the token. */
  onSend?: (frame: object) => void;
}

/** What a submit takes beside its fields. */
export interface SubmitOptions {
  /** Stops the job: what waits for it rejects with the signal's reason, the server is told. */
  signal?: AbortSignal;
}

/**
 * Where a client's connection stands.
 *
 * - `connecting`: the first connection is being made.
 * - `open`: it stands. After a loss `resumed` says whether the session was taken up again (true) or
 *   is a new one (false).
 * - `draining`: the server announced that it will close; running jobs may still end.
 * - `reconnecting`: it was lost, `cause` says how; try number `tries` begins in `delayMs`.
 * - `closed`: it is over, for `cause`, or by `close()` where there is none.
 */
export interface ConnectionState {
  readonly phase: "connecting" | "open" | "draining" | "reconnecting" | "closed";
  readonly tries: number;
  readonly delayMs: number | null;
  readonly resumed: boolean | null;
  readonly cause: unknown;
}
