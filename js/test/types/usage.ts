/** What a user may write, and what must not compile: each line under @ts-expect-error is an error. */

import {
  type Client,
  ConnectFailed,
  type ConnectionState,
  connect,
  type GenerateEvent,
  type Job,
  JobCancelled,
  JobRejected,
  type ProcessResult,
  utf16Offsets,
  WsprocError,
} from "../../../wsproc/web/wsproc.js";

export async function opening(signal: AbortSignal): Promise<Client> {
  await connect();
  await connect(new URL("ws://127.0.0.1:8765"), { token: async () => "secret", auth: "frame" });
  // @ts-expect-error: a misspelt option
  await connect("ws://127.0.0.1:8765", { tokn: "secret" });
  // @ts-expect-error: there is no such way to give a token
  await connect("ws://127.0.0.1:8765", { token: "secret", auth: "query" });
  // @ts-expect-error: milliseconds are numbers
  await connect("ws://127.0.0.1:8765", { reconnect: { maxTimeMs: "1s" } });
  return connect("ws://127.0.0.1:8765", {
    signal,
    reconnect: { maxTries: 3 },
    resubmit: ["process", "mine"],
    onFrame: (frame) => console.log(frame.type),
  });
}

export async function processing(client: Client, text: string): Promise<string> {
  const job = client.process({ text, chunk_size: 100, split: "sentence" });
  for await (const event of job) {
    if (event.type === "done") {
      if (event.status === "completed") console.log(event.result.chunks);
      else if (event.status === "failed") console.log(event.error.code);
      else console.log(event.reason);
    } else if (event.status === "sentiment_progress") {
      const { start, end, sentiment } = event.chunk_result;
      const known: "NEGATIVE" | "NEUTRAL" | "POSITIVE" = sentiment;
      console.log(text.slice(start, end), known);
    } else if (event.status === "entities_complete") {
      console.log(event.entities.map((entity) => entity.label));
    }
    // @ts-expect-error: a text job has no tokens
    if (event.type === "token") console.log(event);
  }
  const result: ProcessResult = await job.result;
  // @ts-expect-error: the sentiment may be missing
  console.log(result.sentiment.overall_sentiment);
  return result.summary?.summary ?? "";
}

export function submits(client: Client, signal: AbortSignal): void {
  // @ts-expect-error: a text is needed
  client.process({});
  // @ts-expect-error: a misspelt field
  client.process({ text: "long enough", chunk_sise: 100 });
  // @ts-expect-error: no such way to split
  client.process({ text: "long enough", split: "words" });
  // @ts-expect-error: one of text and texts is needed
  client.batch({ include_summary: false });
  // @ts-expect-error: a prompt is no text
  client.generate({ text: "Once" });
  // @ts-expect-error: a whole job needs its text
  client.process({ split: "sentence", open: false });
  client.process({ open: true, split: "sentence" });
  client.process({ live: true, text: "" });
  client.batch({ open: true });
  client.generate({ prompt: "Once", stop: ["\n"], on_disconnect: "keep" }, { signal });
}

export async function results(client: Client): Promise<void> {
  const many = await client.batch({ texts: ["one text", "two texts"] }).result;
  console.log(many.results[0]?.text_length, many.total_texts);
  const one = await client.batch({ text: "just one text" }).result;
  console.log(one.text_length);
  // @ts-expect-error: one text has one result
  console.log(one.results);

  const job: Job<{ loud: string }> = client.submit("shout", { text: "hear, hear" });
  console.log((await job.result).loud);
}

export async function generating(client: Client): Promise<void> {
  const job = client.generate({ prompt: "Once", max_tokens: 5 });
  for await (const text of job.tokens()) console.log(text.toUpperCase());
  const events: AsyncIterable<GenerateEvent> = job;
  for await (const event of events) if (event.type === "token") console.log(event.text);
  const reason: "stop" | "eos" | "length" = (await job.result).finish_reason;
  const reply = await job.cancel();
  console.log(reason, reply.outcome, (await job.accepted).position, job.lastSeq, job.dropped);
  await job.append("more", { final: true });
  await job.revise("all new");
  // @ts-expect-error: it is the server that counts
  job.lastSeq = 4;
}

export function listening(client: Client): void {
  const job = client.generate({ prompt: "Once" });
  job.addEventListener("token", ({ detail }) => console.log(detail.text));
  job.addEventListener("status", ({ detail }) => console.log(detail.status));
  job.addEventListener("done", ({ detail }) => {
    if (detail.status === "completed") console.log(detail.result.finish_reason);
  });
  // @ts-expect-error: a token has no such field
  job.addEventListener("token", ({ detail }) => console.log(detail.words));
  client.addEventListener("state", ({ detail }) => show(detail), { once: true });
  client.retryNow();
  sessionStorage.setItem("wsproc", client.session);
  for (const [id, kept] of client.adopted) kept.done.then(({ status }) => console.log(id, status));
}

function show({ phase, tries, delayMs, resumed }: ConnectionState): void {
  const words: Record<ConnectionState["phase"], string> = {
    connecting: "…",
    open: resumed === false ? "a new session" : "open",
    draining: "the server is about to restart",
    reconnecting: `try ${tries} in ${delayMs} ms`,
    closed: "closed",
  };
  console.log(words[phase]);
}

export function errors(error: unknown): string | null {
  if (error instanceof JobRejected) return error.path;
  if (error instanceof JobCancelled) return error.reason;
  if (error instanceof ConnectFailed) return error.retryable ? "later" : error.message;
  if (error instanceof WsprocError) return error.code;
  return String(utf16Offsets("🙂")(1));
}
