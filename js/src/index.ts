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

export type { ReconnectOptions } from "./backoff.js";
export { Client, type ClientEventMap, connect } from "./client.js";
export * from "./errors.js";
export type * from "./frames.js";
export { Job, type JobEventMap } from "./job.js";
export type { TokenSource } from "./link.js";
export { utf16Offsets } from "./offsets.js";
export type { ConnectionState, ConnectOptions, SubmitOptions } from "./options.js";
export type {
  BatchEvent,
  BatchFields,
  Ended,
  GenerateEvent,
  GenerateFields,
  JobEvent,
  JobStatus,
  OpenBatchFields,
  OpenProcessFields,
  ProcessEvent,
  ProcessFields,
  ProcessStatus,
} from "./types.js";
