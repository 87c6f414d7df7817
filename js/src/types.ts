/** What users name: the frames of the schema, put together by what they are for. */

import type {
  Accepted,
  Append,
  Auth,
  Batch,
  Cancel,
  Cancelled,
  CancelReply,
  Chunked,
  Chunking,
  Completed,
  CustomStatus,
  EntitiesComplete,
  EntitiesProcessing,
  Failed,
  Generate,
  GenerateResult,
  GenerationStarted,
  InputReply,
  Jobs,
  JobsReply,
  OpenBatch,
  OpenProcess,
  Ping,
  Process,
  ProcessResult,
  Resume,
  ResumeReply,
  Revise,
  SentimentComplete,
  SentimentProcessing,
  SentimentProgress,
  Snapshot,
  StageError,
  Started,
  SummarizationComplete,
  SummarizationProcessing,
  SummarizationProgress,
  Token,
} from "./frames.js";

/** A submit of any task, as it is sent. */
export interface Submit {
  readonly type: string;
  readonly id: string;
  readonly [field: string]: unknown;
}

/** A frame about something that runs, or about the connection. */
export type Control = Append | Revise | Cancel | Jobs | Resume | Auth | Ping;

/** A submit as its caller gives it: `type` is added, and `id` where it is left out. */
export type Fields<S> = S extends unknown ? Omit<S, "type"> : never;

export type ProcessFields = Fields<Process>;
export type BatchFields = Fields<Batch>;
export type GenerateFields = Fields<Generate>;

/** The same where the input goes on; the text may be left out at first. */
export type OpenProcessFields = Fields<OpenProcess>;
export type OpenBatchFields = Fields<OpenBatch>;

/** An answer to a control frame. */
export type Reply = CancelReply | JobsReply | ResumeReply | InputReply;

/** A status that `process` sends. */
export type ProcessStatus =
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
export type JobStatus = ProcessStatus | GenerationStarted | Snapshot | CustomStatus;

/** The terminal frame of a job whose result is an R. */
export type Ended<R = Record<string, unknown>> =
  | (Omit<Completed, "result"> & { result: R })
  | Cancelled
  | Failed;

/** What a job's iteration yields, by task. */
export type ProcessEvent = ProcessStatus | Snapshot | Ended<ProcessResult>;
export type BatchEvent<R> = Snapshot | Ended<R>;
export type GenerateEvent = GenerationStarted | Snapshot | Token | Ended<GenerateResult>;
export type JobEvent<R = Record<string, unknown>> = JobStatus | Token | Ended<R>;

/** A frame of one job as it comes in. */
export type JobFrame = Accepted | JobStatus | Token | Completed | Cancelled | Failed;
