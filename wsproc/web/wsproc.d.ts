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
 * When a lost connection is made again, and how long to wait before each try. Pure: the time and the
 * random number come in.
 *
 * The wait is drawn between nothing and a bound that doubles (full jitter), so that the clients of a
 * server that restarts do not all come back in the same moment.
 */
/** How a client comes back after a loss. */
interface ReconnectOptions {
  /** Give up after so many failed tries in a row. Any number by default. */
  maxTries?: number;
  /** Give up so long after the loss. 120 s by default. */
  maxTimeMs?: number;
  /** The bound of the first wait. 500 ms by default. */
  firstDelayMs?: number;
  /** The bound of any wait. 10 s by default. */
  maxDelayMs?: number;
}

/** An EventTarget that knows its events. */
/** M maps the names of the events to their types. */
interface TypedEventTarget<M> extends EventTarget {
  addEventListener<K extends keyof M & string>(
    type: K,
    listener: (event: M[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
declare const TypedEventTarget: new <M>() => TypedEventTarget<M>;

/** Every frame of wsproc.v1, made from docs/schema.json by scripts/build.mjs. */
/**
 * Every `error.code` of the protocol, grouped by the frame that carries it.
 */
type ErrorCode =
  | "bad_json"
  | "bad_frame"
  | "unknown_type"
  | "rate_limited"
  | "unauthorized"
  | "invalid_field"
  | "missing_field"
  | "input_too_large"
  | "unsupported_task"
  | "id_conflict"
  | "queue_full"
  | "too_many_jobs"
  | "model_unavailable"
  | "forbidden"
  | "draining"
  | "deadline_exceeded"
  | "out_of_memory"
  | "engine_error"
  | "input_timeout"
  | "output_overflow"
  | "lost"
  | "internal";
type ClientFrame =
  | Process
  | Batch
  | Generate
  | OpenProcess
  | OpenBatch
  | Append
  | Revise
  | Cancel
  | Jobs
  | Resume
  | Auth
  | Ping;
/**
 * A `process` job whose text goes on after the submit, which may have little or none of it.
 */
type OpenProcess = OpenProcess1 & OpenProcess2;
type OpenProcess1 =
  | {
      open: true;
    }
  | {
      live: true;
    };
/**
 * A `batch` job whose one text goes on after the submit.
 */
type OpenBatch = OpenBatch1 & OpenBatch2;
type OpenBatch1 =
  | {
      open: true;
    }
  | {
      live: true;
    };
type ServerFrame =
  | Welcome
  | AuthRequired
  | Accepted
  | Rejected
  | Started
  | GenerationStarted
  | Chunking
  | Chunked
  | SentimentProcessing
  | SentimentProgress
  | SentimentComplete
  | SummarizationProcessing
  | SummarizationProgress
  | SummarizationComplete
  | EntitiesProcessing
  | EntitiesComplete
  | StageError
  | Snapshot
  | CustomStatus
  | Token
  | Completed
  | Cancelled
  | Failed
  | CancelReply
  | JobsReply
  | ResumeReply
  | InputReply
  | ErrorFrame
  | Goaway
  | Pong
  | Heartbeat;
/**
 * The job is registered; `position` jobs start before it.
 */
interface Accepted {
  type: "accepted";
  id: string;
  seq?: number;
  replay?: boolean;
  position: number;
  eta_ms: number | null;
  meta?: unknown;
  duplicate?: boolean;
  last_seq?: number | null;
}
/**
 * More input for a job that was submitted with `open` or `live`; `final` ends its input.
 */
interface Append {
  type: "append";
  id: string;
  text?: string | null;
  final?: boolean;
}
/**
 * The token, for clients that cannot set a header.
 */
interface Auth {
  type: "auth";
  token: string;
}
/**
 * The first frame while a token is awaited; `welcome` proper follows it.
 */
interface AuthRequired {
  type: "welcome";
  auth: "required";
}
/**
 * One text or a list of texts, answered by one `done` with the whole result.
 */
interface Batch {
  type: "batch";
  id?: string | null;
  timeout_ms?: number | null;
  priority?: number;
  on_disconnect?: "cancel" | "keep";
  meta?: unknown;
  open?: boolean;
  live?: boolean;
  include_sentiment?: boolean;
  include_summary?: boolean;
  include_entities?: boolean;
  chunk_size?: number;
  split?: "fixed" | "sentence";
  summary_min_length?: number | null;
  summary_max_length?: number | null;
  text?: string | null;
  texts?: string[] | null;
}
/**
 * The result of `batch` for `texts`, in their order.
 */
interface BatchResult {
  results: ProcessResult[];
  total_texts: number;
}
/**
 * The result of `process`, and of `batch` for one `text`. A stage that was not asked for, had
 * nothing to do or failed is null; `failed_stages` and `errors` tell which failed and why.
 * `revision` is that of the text of a live job.
 */
interface ProcessResult {
  text_length: number;
  chunks: number;
  sentiment: SentimentResult | null;
  summary: SummaryResult | null;
  entities: EntitiesResult | null;
  failed_stages: ("sentiment" | "summary" | "entities")[];
  errors: {
    [k: string]: ErrorInfo;
  };
  revision?: number | null;
}
/**
 * The sentiment of a whole text; its three counts add up to its chunks.
 */
interface SentimentResult {
  overall_sentiment: "NEGATIVE" | "NEUTRAL" | "POSITIVE";
  chunk_sentiments: ChunkResult[];
  positive_chunks: number;
  negative_chunks: number;
  neutral_chunks: number;
}
/**
 * One chunk, counted from 1; `start` and `end` are code points of the submitted text.
 */
interface ChunkResult {
  chunk: number;
  start: number;
  end: number;
  sentiment: "NEGATIVE" | "NEUTRAL" | "POSITIVE";
  confidence: number;
}
/**
 * `compression_ratio` is the summary's characters over the text's; `truncated` where the model
 * had to leave a part of the input or of a sentence out; `windows` is how many parts of the text
 * were summarised on their own.
 */
interface SummaryResult {
  summary: string;
  compression_ratio: number;
  truncated?: boolean;
  windows?: number;
}
/**
 * The entities in text order, and their texts by label.
 */
interface EntitiesResult {
  entities: Entity[];
  entity_types: {
    [k: string]: string[];
  };
  total_entities: number;
}
/**
 * A named entity; `text` is the submitted text from `start` to `end`, in code points.
 */
interface Entity {
  text: string;
  label: string;
  description: string;
  start: number;
  end: number;
}
/**
 * What went wrong, in words, and whether sending it again can help.
 *
 * `path` names the field, `texts[3]` style for lists; `retry_after_ms` is a hint, in milliseconds.
 */
interface ErrorInfo {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retry_after_ms?: number | null;
  path?: string | null;
}
/**
 * Stop one job, or with `*` every job of this session.
 */
interface Cancel {
  type: "cancel";
  id: string | "*";
}
/**
 * `status` is the final one where the job had ended; `ids` are those that `*` reached.
 */
interface CancelReply {
  type: "reply";
  op: "cancel";
  id: string;
  outcome: "cancelling" | "done" | "unknown";
  status?: ("completed" | "cancelled" | "failed") | null;
  ids?: string[] | null;
}
/**
 * The job was stopped, and the engine has left it.
 */
interface Cancelled {
  type: "done";
  id: string;
  seq: number;
  replay?: boolean;
  usage: {
    [k: string]: number;
  };
  timing_ms: Timing;
  meta?: unknown;
  status: "cancelled";
  reason: "client" | "disconnect" | "shutdown";
  partial_result?: {
    [k: string]: unknown;
  } | null;
}
/**
 * Milliseconds. `queued`: from acceptance to the first work on a device; `run`: from there to
 * the end; `stop`: from the cancel's arrival at the engine to the device being free of the job.
 */
interface Timing {
  queued: number;
  run: number;
  stop?: number | null;
}
/**
 * The text was split into `chunks` chunks.
 */
interface Chunked {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "chunked";
  revision?: number | null;
  message: string;
  chunks: number;
}
/**
 * The text is being split.
 */
interface Chunking {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "chunking";
  revision?: number | null;
  message: string;
}
/**
 * One text, its results streamed as they come.
 */
interface Process {
  type: "process";
  id?: string | null;
  timeout_ms?: number | null;
  priority?: number;
  on_disconnect?: "cancel" | "keep";
  meta?: unknown;
  open?: boolean;
  live?: boolean;
  include_sentiment?: boolean;
  include_summary?: boolean;
  include_entities?: boolean;
  chunk_size?: number;
  split?: "fixed" | "sentence";
  summary_min_length?: number | null;
  summary_max_length?: number | null;
  text: string;
}
/**
 * A prompt, continued token by token. What is left out is the model's own default.
 */
interface Generate {
  type: "generate";
  id?: string | null;
  timeout_ms?: number | null;
  priority?: number;
  on_disconnect?: "cancel" | "keep";
  meta?: unknown;
  open?: boolean;
  live?: boolean;
  prompt: string;
  max_tokens?: number;
  temperature?: number | null;
  top_p?: number | null;
  top_k?: number | null;
  seed?: number | null;
  stop?: string[] | null;
}
interface OpenProcess2 {
  type: "process";
  id?: string | null;
  timeout_ms?: number | null;
  priority?: number;
  on_disconnect?: "cancel" | "keep";
  meta?: unknown;
  open?: boolean;
  live?: boolean;
  include_sentiment?: boolean;
  include_summary?: boolean;
  include_entities?: boolean;
  chunk_size?: number;
  split?: "fixed" | "sentence";
  summary_min_length?: number | null;
  summary_max_length?: number | null;
  text?: string;
}
interface OpenBatch2 {
  type: "batch";
  id?: string | null;
  timeout_ms?: number | null;
  priority?: number;
  on_disconnect?: "cancel" | "keep";
  meta?: unknown;
  open?: boolean;
  live?: boolean;
  include_sentiment?: boolean;
  include_summary?: boolean;
  include_entities?: boolean;
  chunk_size?: number;
  split?: "fixed" | "sentence";
  summary_min_length?: number | null;
  summary_max_length?: number | null;
  text?: string | null;
  texts?: string[] | null;
}
/**
 * The new full text of a job that was submitted with `live`.
 */
interface Revise {
  type: "revise";
  id: string;
  text: string;
}
/**
 * Ask for a snapshot of this session's jobs, or of one.
 */
interface Jobs {
  type: "jobs";
  id?: string | null;
}
/**
 * Take up an earlier session; `after` maps a job's id to the last seq that was seen of it.
 */
interface Resume {
  type: "resume";
  session: string;
  after?: {
    [k: string]: number;
  };
}
/**
 * Browsers cannot send WebSocket pings; this is theirs.
 */
interface Ping {
  type: "ping";
  n?: number | null;
}
/**
 * The job ran to its end; `result` holds everything, the streamed parts included.
 */
interface Completed {
  type: "done";
  id: string;
  seq: number;
  replay?: boolean;
  usage: {
    [k: string]: number;
  };
  timing_ms: Timing;
  meta?: unknown;
  status: "completed";
  message: string;
  total_processing_time: number;
  timestamp: string;
  result: {
    [k: string]: unknown;
  };
}
/**
 * A status of a task that a deployment added; its fields are that task's own.
 */
interface CustomStatus {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: string;
  revision?: number | null;
  [k: string]: unknown;
}
/**
 * All entities are there.
 */
interface EntitiesComplete {
  entities: Entity[];
  entity_types: {
    [k: string]: string[];
  };
  total_entities: number;
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "entities_complete";
  revision?: number | null;
}
/**
 * Named entities are being looked for.
 */
interface EntitiesProcessing {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "entities_processing";
  revision?: number | null;
  message: string;
}
/**
 * About the connection or one bad frame; never ends a job.
 */
interface ErrorFrame {
  type: "error";
  error: ErrorInfo;
  re?: Regarding | null;
}
/**
 * The frame that an `error` is about, as far as it could be read.
 */
interface Regarding {
  type?: string | null;
  id?: string | null;
}
/**
 * The job could not be finished.
 */
interface Failed {
  type: "done";
  id: string;
  seq: number;
  replay?: boolean;
  usage: {
    [k: string]: number;
  };
  timing_ms: Timing;
  meta?: unknown;
  status: "failed";
  error: ErrorInfo;
  partial_result?: {
    [k: string]: unknown;
  } | null;
}
/**
 * The result of `generate`. `text` is the tokens' texts joined; `finish_reason` says whether a
 * stop string, the model's own end or `max_tokens` ended it.
 */
interface GenerateResult {
  text: string;
  finish_reason: "stop" | "eos" | "length";
  prompt_truncated?: boolean;
  prompt_tokens: number;
  completion_tokens: number;
}
/**
 * Generation began. (`started` of `process` has `text_length`, this one `prompt_length`.)
 */
interface GenerationStarted {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "started";
  revision?: number | null;
  message: string;
  timestamp: string;
  prompt_length: number;
}
/**
 * Before a planned close; `grace_ms` is how long running jobs still have.
 */
interface Goaway {
  type: "goaway";
  code: number;
  reason: string;
  grace_ms: number;
  reconnect: boolean;
}
/**
 * Only when idle, only for clients that negotiated the subprotocol; `t` in Unix seconds.
 */
interface Heartbeat {
  type: "heartbeat";
  t: number;
}
/**
 * The answer to `append` and `revise`.
 *
 * `text_length` is what the text has come to with it, `revision` the number of that text in a live
 * job; `error` says why it was refused, `status` is the final one where the job had ended.
 */
interface InputReply {
  type: "reply";
  op: "append" | "revise";
  id: string;
  outcome: "ok" | "unknown" | "done" | "refused";
  text_length?: number | null;
  revision?: number | null;
  error?: ErrorInfo | null;
  status?: ("completed" | "cancelled" | "failed") | null;
}
/**
 * One job in a snapshot. `position` counts the jobs that are to start before a queued one;
 * `text_length` and `revision` are those of a job whose input goes on, `final` where it has ended.
 */
interface JobInfo {
  id: string;
  task: string;
  state: "queued" | "running" | "cancelling" | "done";
  last_seq: number;
  position?: number | null;
  status?: ("completed" | "cancelled" | "failed") | null;
  text_length?: number | null;
  revision?: number | null;
  final?: boolean | null;
}
/**
 * A snapshot of this session's jobs, oldest first.
 */
interface JobsReply {
  type: "reply";
  op: "jobs";
  id?: string | null;
  outcome: "ok" | "unknown";
  jobs: JobInfo[];
}
/**
 * What this server admits; sizes in bytes, characters or counts as the names say.
 *
 * `max_batch_chars` is for all texts of one job, `max_messages_per_s` is 0 where there is none;
 * `input_timeout_s` is how long an open job waits for its next `append`.
 */
interface Limits {
  max_frame_bytes: number;
  max_text_chars: number;
  max_texts: number;
  max_jobs: number;
  max_tokens: number;
  max_batch_chars?: number;
  max_messages_per_s?: number;
  input_timeout_s?: number;
}
/**
 * The answer to `ping`, with its `n`.
 */
interface Pong {
  type: "pong";
  n?: number | null;
}
/**
 * What a resumed session still knows of one job. Where some of its missed frames are not kept
 * any more, `recovered` is false and one frame comes in their place.
 */
interface Recovered {
  last_seq: number;
  recovered: boolean;
}
/**
 * The job was not run at all and may be sent again.
 */
interface Rejected {
  type: "rejected";
  id?: string | null;
  error: ErrorInfo;
}
/**
 * The answer to `resume`; the missed frames follow it. `session` is the one that is taken up,
 * `jobs` are all that it still knows.
 */
interface ResumeReply {
  type: "reply";
  op: "resume";
  outcome: "ok" | "unknown_session" | "epoch_changed";
  session?: string | null;
  jobs?: {
    [k: string]: Recovered;
  };
}
/**
 * All chunks have their sentiment.
 */
interface SentimentComplete {
  overall_sentiment: "NEGATIVE" | "NEUTRAL" | "POSITIVE";
  chunk_sentiments: ChunkResult[];
  positive_chunks: number;
  negative_chunks: number;
  neutral_chunks: number;
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "sentiment_complete";
  revision?: number | null;
}
/**
 * The sentiment of the chunks is being computed.
 */
interface SentimentProcessing {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "sentiment_processing";
  revision?: number | null;
  message: string;
}
/**
 * The next chunk's sentiment, in chunk order.
 */
interface SentimentProgress {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "sentiment_progress";
  revision?: number | null;
  progress: number;
  current_item: number;
  total_items: number;
  chunk_result: ChunkResult;
}
/**
 * The first frame of a connection.
 */
interface Welcome {
  type: "welcome";
  protocol: "wsproc.v1";
  server: string;
  session: string;
  epoch: string;
  tasks: string[];
  limits: Limits;
  resume_s: number;
  heartbeat_s: number;
}
/**
 * The job began to run.
 */
interface Started {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "started";
  revision?: number | null;
  message: string;
  timestamp: string;
  text_length: number;
}
/**
 * The summary is being made.
 */
interface SummarizationProcessing {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "summarization_processing";
  revision?: number | null;
  message: string;
}
/**
 * The summary so far, where the model can give it.
 */
interface SummarizationProgress {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "summarization_progress";
  revision?: number | null;
  partial_summary: string;
}
/**
 * The summary is there.
 */
interface SummarizationComplete {
  summary: string;
  compression_ratio: number;
  truncated?: boolean;
  windows?: number;
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "summarization_complete";
  revision?: number | null;
}
/**
 * One stage failed; the others go on.
 */
interface StageError {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "sentiment_error" | "summarization_error" | "entities_error";
  revision?: number | null;
  error: ErrorInfo;
}
/**
 * Where a live job stands, for a client that comes back when the frames it missed are not kept
 * any more. It stands for every frame up to its own `seq`.
 */
interface Snapshot {
  type: "status";
  id: string;
  seq: number;
  replay?: boolean;
  status: "snapshot";
  revision?: number | null;
  state: "queued" | "running" | "cancelling";
  partial_result: {
    [k: string]: unknown;
  };
}
/**
 * Generated text; the tokens of a job joined are its whole text.
 */
interface Token {
  type: "token";
  id: string;
  seq: number;
  replay?: boolean;
  text: string;
}

/** What users name: the frames of the schema, put together by what they are for. */

/** A submit as its caller gives it: `type` is added, and `id` where it is left out. */
type Fields<S> = S extends unknown ? Omit<S, "type"> : never;
type ProcessFields = Fields<Process>;
type BatchFields = Fields<Batch>;
type GenerateFields = Fields<Generate>;
/** The same where the input goes on; the text may be left out at first. */
type OpenProcessFields = Fields<OpenProcess>;
type OpenBatchFields = Fields<OpenBatch>;
/** A status that `process` sends. */
type ProcessStatus =
  | Started
  | Chunking
  | Chunked
  | SentimentProcessing
  | SentimentProgress
  | SentimentComplete
  | SummarizationProcessing
  | SummarizationProgress
  | SummarizationComplete
  | EntitiesProcessing
  | EntitiesComplete
  | StageError;
/** Any status frame, those of a deployment's own tasks included. */
type JobStatus = ProcessStatus | GenerationStarted | Snapshot | CustomStatus;
/** The terminal frame of a job whose result is an R. */
type Ended<R = Record<string, unknown>> =
  | (Omit<Completed, "result"> & {
      result: R;
    })
  | Cancelled
  | Failed;
/** What a job's iteration yields, by task. */
type ProcessEvent = ProcessStatus | Snapshot | Ended<ProcessResult>;
type BatchEvent<R> = Snapshot | Ended<R>;
type GenerateEvent = GenerationStarted | Snapshot | Token | Ended<GenerateResult>;
type JobEvent<R = Record<string, unknown>> = JobStatus | Token | Ended<R>;

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

/** Base of what this client throws. */
declare class WsprocError extends Error {
  /** What happened, as a stable word: the server's own code where it gave one. */
  readonly code: string;
}
/**
 * There is no connection. `code` is `unauthorized` where the token is at fault, else
 * `connect_failed`.
 */
declare class ConnectFailed extends WsprocError {
  /** The close code where the server opened a connection only to close it, else null. */
  readonly closeCode: number | null;
  /** Whether the same try may succeed later, with nothing changed on this side. */
  readonly retryable: boolean;
}
/** The server does not know the `session` that was to be taken up; `code` is `session_lost`. */
declare class SessionLost extends ConnectFailed {}
/**
 * The connection is gone, and was not or could not be made again. `code` is `unauthorized` where the
 * token is at fault, else `connection_lost`.
 */
declare class ConnectionLost extends WsprocError {
  /** 1006 where no close frame came, 1000 after `close()`; 44xx: trying again does not help. */
  readonly closeCode: number;
  /** The server's words, or "". */
  readonly reason: string;
}
/** The job's end will not come. `cause` is the loss itself, where a connection was lost. */
declare class JobLost extends ConnectionLost {
  readonly code = "lost";
  readonly jobId: string;
}
/** The server sent what the protocol does not allow; the connection is closed. */
declare class ProtocolError extends WsprocError {}
/** The job was not run at all; `code` is the server's, such as `input_too_large`. */
declare class JobRejected extends WsprocError {
  readonly jobId: string;
  /** The field at fault, such as `texts[3]`, or null. */
  readonly path: string | null;
  /** Whether the same job may be taken later. */
  readonly retryable: boolean;
  /** When it may be worth sending again, in milliseconds, or null. */
  readonly retryAfterMs: number | null;
}
/**
 * A job took no more text. `code` is the server's, such as `input_too_large`; where it gave none, the
 * outcome: `unknown`, or `done` where the job has ended. The job goes on with what it has.
 */
declare class InputRefused extends WsprocError {
  readonly jobId: string;
}
/** The job was stopped; `code` is `cancelled`. */
declare class JobCancelled extends WsprocError {
  readonly jobId: string;
  /** Who stopped it: `client`, `disconnect` or `shutdown`. */
  readonly reason: Cancelled["reason"];
  /** What was finished before the stop, or null. */
  readonly partialResult: Record<string, unknown> | null;
  /** The terminal frame. */
  readonly done: Cancelled;
}
/** The job could not be finished; `code` is the server's, such as `deadline_exceeded`. */
declare class JobFailed extends WsprocError {
  readonly jobId: string;
  /** What was finished before the failure, or null. */
  readonly partialResult: Record<string, unknown> | null;
  /** The terminal frame. */
  readonly done: Failed;
}

/** One job as its user sees it: an async iterable of its events, its result, and its stop. */

/** The events of a job for `addEventListener`; `detail` is the frame. */
interface JobEventMap<R> {
  token: CustomEvent<Token>;
  status: CustomEvent<JobStatus>;
  done: CustomEvent<Ended<R>>;
  /** Instead of `done`, where the job was rejected or its end will not come. */
  error: CustomEvent<unknown>;
}
/**
 * A job, made by `Client.process` and its sisters: an async iterable of its events, each given to one
 * reader, the terminal one last. It throws what `result` rejects with only where the end did not
 * come: JobRejected, JobLost, ProtocolError.
 *
 * Events wait until they are read, 1000 of them; over that waiting tokens are joined, and else the
 * oldest status is dropped and counted in `dropped`. The result is whole in any case. Breaking out of
 * `for await` stops nothing, since the result may still be wanted.
 */
declare class Job<R = Record<string, unknown>, E = JobEvent<R>> extends TypedEventTarget<
  JobEventMap<R>
> {
  #private;
  readonly id: string;
  /** Resolves once the server took the job; rejects with JobRejected, JobLost. */
  readonly accepted: Promise<Accepted>;
  /** Resolves to the result; rejects with JobRejected, JobCancelled, JobFailed, JobLost. */
  readonly result: Promise<R>;
  /** Resolves to the terminal frame, whichever it is; rejects with JobRejected, JobLost. */
  readonly done: Promise<Ended<R>>;
  /** The task: `process`, `batch`, `generate` or one that the deployment added. */
  get task(): string;
  /** The number of the last frame that came. */
  get lastSeq(): number;
  /** How often the job was submitted again because its server or its session was gone. */
  get restarts(): number;
  /** How many events were dropped because nobody read them. */
  get dropped(): number;
  [Symbol.asyncIterator](): AsyncGenerator<E, void, void>;
  /**
   * Yield the text of a `generate` job piece by piece, whole also where a part of the frames was
   * missed; throw what `result` rejects with.
   */
  tokens(): AsyncGenerator<string, void, void>;
  /** Ask the server to stop this job; resolves to its reply, the end follows in `done`. */
  cancel(): Promise<CancelReply>;
  /**
   * Send more text of a job that was submitted with `open: true`; `final` ends its input. Pieces go
   * one after the other, and each once, also over a lost connection. Rejects with InputRefused where
   * the job takes no more, and with ConnectionLost. A piece must not end inside of a surrogate pair.
   */
  append(
    text: string | undefined,
    {
      final,
    }?: {
      final?: boolean | undefined;
    },
  ): Promise<InputReply>;
  /** Send the new full text of a job that was submitted with `live: true`. Rejects with InputRefused. */
  revise(text: string): Promise<InputReply>;
}

/** One WebSocket, from dialling to its end; nothing in here knows of jobs or of a next connection. */

/** A token, or a function that is asked for one before each connection. */
type TokenSource = string | (() => string | Promise<string>);

/** What users give to `connect` and to a submit, and what they are told of a connection. */

/** What `connect` takes beside the address. */
interface ConnectOptions {
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
interface SubmitOptions {
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
interface ConnectionState {
  readonly phase: "connecting" | "open" | "draining" | "reconnecting" | "closed";
  readonly tries: number;
  readonly delayMs: number | null;
  readonly resumed: boolean | null;
  readonly cause: unknown;
}

/** What a user holds: a client, which submits jobs and asks questions. */

/** The events of a client for `addEventListener`. */
interface ClientEventMap {
  state: CustomEvent<ConnectionState>;
}
/**
 * A client of one server; made by `connect`. Many jobs may run on it at once.
 *
 * When its connection is lost it comes back by itself and goes on where it was: jobs, questions and
 * submits outlive the connection. Once it is closed, by `close()` or because coming back failed or
 * does not help, what still waits rejects, and a new client is needed.
 */
declare class Client extends TypedEventTarget<ClientEventMap> {
  #private;
  /** The server's address. */
  readonly url: string;
  /** Resolves, once it is over, to the error that ended it; ConnectionLost 1000 after `close()`. */
  readonly closed: Promise<unknown>;
  /** Where the connection stands; each change is a `state` event, with this as its `detail`. */
  get state(): ConnectionState;
  /** What the server told of itself on the present connection: tasks, limits, version. */
  get welcome(): Welcome;
  /** The server's announcement that it will close the present connection, or null. */
  get goaway(): Goaway | null;
  /** The secret by which the session is found again, see `connect`; as good as a password. */
  get session(): string;
  /** The jobs that were there when a `session` was taken up, by their ids. */
  get adopted(): ReadonlyMap<string, Job>;
  /** Submit a text whose results are streamed. */
  process(
    fields: ProcessFields | OpenProcessFields,
    options?: SubmitOptions,
  ): Job<ProcessResult, ProcessEvent>;
  /** Submit `texts`, or one `text`, answered by one result. */
  batch(
    fields: BatchFields & {
      texts: string[];
    },
    options?: SubmitOptions,
  ): Job<BatchResult, BatchEvent<BatchResult>>;
  batch(
    fields:
      | (BatchFields & {
          text: string;
        })
      | OpenBatchFields,
    options?: SubmitOptions,
  ): Job<ProcessResult, BatchEvent<ProcessResult>>;
  /** Submit a `prompt` to be continued; see `Job.tokens`. */
  generate(fields: GenerateFields, options?: SubmitOptions): Job<GenerateResult, GenerateEvent>;
  /**
   * Submit a job of any task that the server has, and return it at once: whether it is taken tell
   * `job.accepted`, `job.result` and the iteration. While the connection is being made again the
   * submit waits for it. Throws TypeError for fields that are no JSON.
   */
  submit<R = Record<string, unknown>, E = JobEvent<R>>(
    task: string,
    fields?: object,
    { signal }?: SubmitOptions,
  ): Job<R, E>;
  /** Ask the server to stop a job by its id, or with "*" all of this session. */
  cancel(id: string): Promise<CancelReply>;
  /** Ask the server to stop every job of this session; the reply's `ids` names them. */
  cancelAll(): Promise<CancelReply>;
  /** Resolves to the server's list of this session's jobs. */
  jobs(): Promise<JobInfo[]>;
  /** Resolves to the milliseconds of a round trip. */
  ping(): Promise<number>;
  /** Close the connection for good; the server stops the jobs that are left. Safe to repeat. */
  close(): Promise<unknown>;
  /** While the client waits to connect again: do it now, as on a button or when a network is back. */
  readonly retryNow: () => void;
}
/**
 * Open a connection and wait for the server's welcome.
 *
 * @param url `ws://HOST:PORT`, or `http://...`; a page's own server by default.
 * @returns The client. Rejects with ConnectFailed, or with the signal's reason.
 */
declare function connect(url?: string | URL, options?: ConnectOptions): Promise<Client>;

/**
 * Offsets: the wire counts Unicode code points, JavaScript strings count UTF-16 units. Pure.
 *
 * Both are the same up to the first character beyond U+FFFF, such as an emoji: each of those takes
 * two units. So a text is known by where these are.
 */
/** From an offset in code points to the one in UTF-16 units. */
type ToUtf16 = (offset: number) => number;
/** Return a function from code point offsets in `text` to UTF-16 offsets, for `text.slice`. */
declare function utf16Offsets(text: string): ToUtf16;

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
export type {
  Accepted,
  Append,
  Auth,
  AuthRequired,
  Batch,
  BatchEvent,
  BatchFields,
  BatchResult,
  Cancel,
  CancelReply,
  Cancelled,
  ChunkResult,
  Chunked,
  Chunking,
  ClientEventMap,
  ClientFrame,
  Completed,
  ConnectOptions,
  ConnectionState,
  CustomStatus,
  Ended,
  EntitiesComplete,
  EntitiesProcessing,
  EntitiesResult,
  Entity,
  ErrorCode,
  ErrorFrame,
  ErrorInfo,
  Failed,
  Generate,
  GenerateEvent,
  GenerateFields,
  GenerateResult,
  GenerationStarted,
  Goaway,
  Heartbeat,
  InputReply,
  JobEvent,
  JobEventMap,
  JobInfo,
  JobStatus,
  Jobs,
  JobsReply,
  Limits,
  OpenBatch,
  OpenBatch1,
  OpenBatch2,
  OpenBatchFields,
  OpenProcess,
  OpenProcess1,
  OpenProcess2,
  OpenProcessFields,
  Ping,
  Pong,
  Process,
  ProcessEvent,
  ProcessFields,
  ProcessResult,
  ProcessStatus,
  ReconnectOptions,
  Recovered,
  Regarding,
  Rejected,
  Resume,
  ResumeReply,
  Revise,
  SentimentComplete,
  SentimentProcessing,
  SentimentProgress,
  SentimentResult,
  ServerFrame,
  Snapshot,
  StageError,
  Started,
  SubmitOptions,
  SummarizationComplete,
  SummarizationProcessing,
  SummarizationProgress,
  SummaryResult,
  Timing,
  Token,
  TokenSource,
  Welcome,
};
