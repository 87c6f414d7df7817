/** Every frame of wsproc.v1, made from docs/schema.json by scripts/build.mjs. */

/**
 * Every `error.code` of the protocol, grouped by the frame that carries it.
 */
export type ErrorCode =
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
export type ClientFrame =
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
export type OpenProcess = OpenProcess1 & OpenProcess2;
export type OpenProcess1 =
  | {
      open: true;
    }
  | {
      live: true;
    };
/**
 * A `batch` job whose one text goes on after the submit.
 */
export type OpenBatch = OpenBatch1 & OpenBatch2;
export type OpenBatch1 =
  | {
      open: true;
    }
  | {
      live: true;
    };
export type ServerFrame =
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
export interface Accepted {
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
export interface Append {
  type: "append";
  id: string;
  text?: string | null;
  final?: boolean;
}
/**
 * The token, for clients that cannot set a header.
 */
export interface Auth {
  type: "auth";
  token: string;
}
/**
 * The first frame while a token is awaited; `welcome` proper follows it.
 */
export interface AuthRequired {
  type: "welcome";
  auth: "required";
}
/**
 * One text or a list of texts, answered by one `done` with the whole result.
 */
export interface Batch {
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
export interface BatchResult {
  results: ProcessResult[];
  total_texts: number;
}
/**
 * The result of `process`, and of `batch` for one `text`. A stage that was not asked for, had
 * nothing to do or failed is null; `failed_stages` and `errors` tell which failed and why.
 * `revision` is that of the text of a live job.
 */
export interface ProcessResult {
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
export interface SentimentResult {
  overall_sentiment: "NEGATIVE" | "NEUTRAL" | "POSITIVE";
  chunk_sentiments: ChunkResult[];
  positive_chunks: number;
  negative_chunks: number;
  neutral_chunks: number;
}
/**
 * One chunk, counted from 1; `start` and `end` are code points of the submitted text.
 */
export interface ChunkResult {
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
export interface SummaryResult {
  summary: string;
  compression_ratio: number;
  truncated?: boolean;
  windows?: number;
}
/**
 * The entities in text order, and their texts by label.
 */
export interface EntitiesResult {
  entities: Entity[];
  entity_types: {
    [k: string]: string[];
  };
  total_entities: number;
}
/**
 * A named entity; `text` is the submitted text from `start` to `end`, in code points.
 */
export interface Entity {
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
export interface ErrorInfo {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retry_after_ms?: number | null;
  path?: string | null;
}
/**
 * Stop one job, or with `*` every job of this session.
 */
export interface Cancel {
  type: "cancel";
  id: string | "*";
}
/**
 * `status` is the final one where the job had ended; `ids` are those that `*` reached.
 */
export interface CancelReply {
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
export interface Cancelled {
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
export interface Timing {
  queued: number;
  run: number;
  stop?: number | null;
}
/**
 * The text was split into `chunks` chunks.
 */
export interface Chunked {
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
export interface Chunking {
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
export interface Process {
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
export interface Generate {
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
export interface OpenProcess2 {
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
export interface OpenBatch2 {
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
export interface Revise {
  type: "revise";
  id: string;
  text: string;
}
/**
 * Ask for a snapshot of this session's jobs, or of one.
 */
export interface Jobs {
  type: "jobs";
  id?: string | null;
}
/**
 * Take up an earlier session; `after` maps a job's id to the last seq that was seen of it.
 */
export interface Resume {
  type: "resume";
  session: string;
  after?: {
    [k: string]: number;
  };
}
/**
 * Browsers cannot send WebSocket pings; this is theirs.
 */
export interface Ping {
  type: "ping";
  n?: number | null;
}
/**
 * The job ran to its end; `result` holds everything, the streamed parts included.
 */
export interface Completed {
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
export interface CustomStatus {
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
export interface EntitiesComplete {
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
export interface EntitiesProcessing {
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
export interface ErrorFrame {
  type: "error";
  error: ErrorInfo;
  re?: Regarding | null;
}
/**
 * The frame that an `error` is about, as far as it could be read.
 */
export interface Regarding {
  type?: string | null;
  id?: string | null;
}
/**
 * The job could not be finished.
 */
export interface Failed {
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
export interface GenerateResult {
  text: string;
  finish_reason: "stop" | "eos" | "length";
  prompt_truncated?: boolean;
  prompt_tokens: number;
  completion_tokens: number;
}
/**
 * Generation began. (`started` of `process` has `text_length`, this one `prompt_length`.)
 */
export interface GenerationStarted {
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
export interface Goaway {
  type: "goaway";
  code: number;
  reason: string;
  grace_ms: number;
  reconnect: boolean;
}
/**
 * Only when idle, only for clients that negotiated the subprotocol; `t` in Unix seconds.
 */
export interface Heartbeat {
  type: "heartbeat";
  t: number;
}
/**
 * The answer to `append` and `revise`.
 *
 * `text_length` is what the text has come to with it, `revision` the number of that text in a live
 * job; `error` says why it was refused, `status` is the final one where the job had ended.
 */
export interface InputReply {
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
export interface JobInfo {
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
export interface JobsReply {
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
export interface Limits {
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
export interface Pong {
  type: "pong";
  n?: number | null;
}
/**
 * What a resumed session still knows of one job. Where some of its missed frames are not kept
 * any more, `recovered` is false and one frame comes in their place.
 */
export interface Recovered {
  last_seq: number;
  recovered: boolean;
}
/**
 * The job was not run at all and may be sent again.
 */
export interface Rejected {
  type: "rejected";
  id?: string | null;
  error: ErrorInfo;
}
/**
 * The answer to `resume`; the missed frames follow it. `session` is the one that is taken up,
 * `jobs` are all that it still knows.
 */
export interface ResumeReply {
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
export interface SentimentComplete {
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
export interface SentimentProcessing {
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
export interface SentimentProgress {
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
export interface Welcome {
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
export interface Started {
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
export interface SummarizationProcessing {
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
export interface SummarizationProgress {
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
export interface SummarizationComplete {
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
export interface StageError {
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
export interface Snapshot {
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
export interface Token {
  type: "token";
  id: string;
  seq: number;
  replay?: boolean;
  text: string;
}
