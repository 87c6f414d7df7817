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

import type { Cancelled, ErrorInfo, Failed, InputReply } from "./frames.js";

/** The close codes that are about a token. */
const UNAUTHORIZED = new Set([4401, 4408]);

/** Base of what this client throws. */
export class WsprocError extends Error {
  static {
    WsprocError.prototype.name = "WsprocError";
  }

  /** What happened, as a stable word: the server's own code where it gave one. */
  readonly code: string;

  /** @internal */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * There is no connection. `code` is `unauthorized` where the token is at fault, else
 * `connect_failed`.
 */
export class ConnectFailed extends WsprocError {
  static {
    ConnectFailed.prototype.name = "ConnectFailed";
  }

  /** The close code where the server opened a connection only to close it, else null. */
  readonly closeCode: number | null;
  /** Whether the same try may succeed later, with nothing changed on this side. */
  readonly retryable: boolean;

  /** @internal */
  constructor(
    message: string,
    { closeCode = null, retryable = false, code, ...options }: FailedOptions = {},
  ) {
    const isForToken = closeCode !== null && UNAUTHORIZED.has(closeCode);
    super(code ?? (isForToken ? "unauthorized" : "connect_failed"), message, options);
    this.closeCode = closeCode;
    this.retryable = retryable;
  }
}

interface FailedOptions extends ErrorOptions {
  closeCode?: number | null;
  retryable?: boolean;
  code?: "unauthorized" | "session_lost" | undefined;
}

/** The server does not know the `session` that was to be taken up; `code` is `session_lost`. */
export class SessionLost extends ConnectFailed {
  static {
    SessionLost.prototype.name = "SessionLost";
  }

  /** @internal */
  constructor(outcome: string) {
    const why =
      outcome === "epoch_changed" ? "was restarted meanwhile" : "does not know it (any more)";
    super(`the session cannot be taken up: the server ${why}`, { code: "session_lost" });
  }
}

/**
 * The connection is gone, and was not or could not be made again. `code` is `unauthorized` where the
 * token is at fault, else `connection_lost`.
 */
export class ConnectionLost extends WsprocError {
  static {
    ConnectionLost.prototype.name = "ConnectionLost";
  }

  /** 1006 where no close frame came, 1000 after `close()`; 44xx: trying again does not help. */
  readonly closeCode: number;
  /** The server's words, or "". */
  readonly reason: string;

  /** @internal */
  constructor(closeCode: number, reason = "", message?: string, options?: ErrorOptions) {
    const words = message ?? `the connection ended (${closeCode})${reason && `: ${reason}`}`;
    super(UNAUTHORIZED.has(closeCode) ? "unauthorized" : "connection_lost", words, options);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** The job's end will not come. `cause` is the loss itself, where a connection was lost. */
export class JobLost extends ConnectionLost {
  static {
    JobLost.prototype.name = "JobLost";
  }

  override readonly code = "lost";
  readonly jobId: string;

  /** @internal */
  constructor(jobId: string, lost: ConnectionLost, why: string = lost.message) {
    super(lost.closeCode, lost.reason, `job ${jobId} is lost: ${why}`, { cause: lost });
    this.jobId = jobId;
  }
}

/** The server sent what the protocol does not allow; the connection is closed. */
export class ProtocolError extends WsprocError {
  static {
    ProtocolError.prototype.name = "ProtocolError";
  }

  /** @internal */
  constructor(message: string, options?: ErrorOptions) {
    super("protocol_error", message, options);
  }
}

/** The job was not run at all; `code` is the server's, such as `input_too_large`. */
export class JobRejected extends WsprocError {
  static {
    JobRejected.prototype.name = "JobRejected";
  }

  readonly jobId: string;
  /** The field at fault, such as `texts[3]`, or null. */
  readonly path: string | null;
  /** Whether the same job may be taken later. */
  readonly retryable: boolean;
  /** When it may be worth sending again, in milliseconds, or null. */
  readonly retryAfterMs: number | null;

  /** @internal */
  constructor(jobId: string, error: ErrorInfo) {
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
export class InputRefused extends WsprocError {
  static {
    InputRefused.prototype.name = "InputRefused";
  }

  readonly jobId: string;

  /** @internal */
  constructor({ op, id, outcome, error }: InputReply) {
    const why = outcome === "done" ? "it has ended" : "the server knows no such job";
    super(error?.code ?? outcome, `${op} to job ${id}: ${error?.message ?? why}`);
    this.jobId = id;
  }
}

/** The job was stopped; `code` is `cancelled`. */
export class JobCancelled extends WsprocError {
  static {
    JobCancelled.prototype.name = "JobCancelled";
  }

  readonly jobId: string;
  /** Who stopped it: `client`, `disconnect` or `shutdown`. */
  readonly reason: Cancelled["reason"];
  /** What was finished before the stop, or null. */
  readonly partialResult: Record<string, unknown> | null;
  /** The terminal frame. */
  readonly done: Cancelled;

  /** @internal */
  constructor(done: Cancelled) {
    super("cancelled", `job ${done.id} was cancelled (${done.reason})`);
    this.jobId = done.id;
    this.reason = done.reason;
    this.partialResult = done.partial_result ?? null;
    this.done = done;
  }
}

/** The job could not be finished; `code` is the server's, such as `deadline_exceeded`. */
export class JobFailed extends WsprocError {
  static {
    JobFailed.prototype.name = "JobFailed";
  }

  readonly jobId: string;
  /** What was finished before the failure, or null. */
  readonly partialResult: Record<string, unknown> | null;
  /** The terminal frame. */
  readonly done: Failed;

  /** @internal */
  constructor(done: Failed) {
    super(done.error.code, `${done.error.code}: ${done.error.message}`);
    this.jobId = done.id;
    this.partialResult = done.partial_result ?? null;
    this.done = done;
  }
}
