/**
 * The client against a real server, at WSPROC_URL, whose engine is played by tests/fakes.py: words
 * decide the sentiment, capitals the entities, and an `unending` prompt waits to be cancelled.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect, JobCancelled, JobFailed, JobRejected } from "../../wsproc/web/wsproc.js";
import { all, details, open } from "./helpers.mjs";
import { Network } from "./network.mjs";

const { WSPROC_URL } = process.env;
const TEXT =
  "Ada had a lovely 🙂 day. Grace 🙃 found it slow and awful, and Zoë 👩‍🚀 said nothing at all.";

let client;
before(async () => {
  client = await open(WSPROC_URL);
});
after(() => client.close());

// --- a job ---------------------------------------------------------------------------------------

test("events come in order without a hole, the terminal one last", async () => {
  const job = client.process({ text: TEXT, include_entities: true });
  const events = await all(job);
  assert.equal(events[0].status, "started");
  assert.equal(events.at(-1).type, "done");
  assert.deepEqual(
    events.map((event) => event.seq),
    events.map((_, index) => index + 2),
  );
});

test("offsets are those of JavaScript strings, in events and in the result", async () => {
  const job = client.process({ text: TEXT, include_entities: true, chunk_size: 50 });
  const events = await all(job);
  const names = ({ entities }) => entities.map((one) => TEXT.slice(one.start, one.end));
  const complete = events.find((event) => event.status === "entities_complete");
  assert.deepEqual(names(complete), ["Ada", "Grace", "Zoë"]);
  const result = await job.result;
  assert.deepEqual(names(result.entities), ["Ada", "Grace", "Zoë"]);
  const chunks = events
    .filter((event) => event.status === "sentiment_progress")
    .map((event) => event.chunk_result);
  assert.deepEqual(chunks, result.sentiment.chunk_sentiments);
  assert.equal(chunks.map((one) => TEXT.slice(one.start, one.end)).join(""), TEXT);
});

test("each text of a batch has offsets of its own", async () => {
  const texts = ["🙂🙂🙂 Ada smiles at you", "Plain old Grace was here"];
  const { results } = await client.batch({ texts, include_entities: true }).result;
  const found = results.map((one, index) =>
    one.entities.entities.map((entity) => texts[index].slice(entity.start, entity.end)),
  );
  assert.deepEqual(found, [["Ada"], ["Grace"]]);
});

test("many jobs share a connection, and tokens joined are each one's result", async () => {
  const jobs = Array.from({ length: 30 }, (_, n) =>
    client.generate({ prompt: "Hi", max_tokens: 1 + (n % 5) }),
  );
  const texts = await Promise.all(jobs.map(async (job) => (await all(job.tokens())).join("")));
  const results = await Promise.all(jobs.map((job) => job.result));
  results.forEach((result, n) => {
    assert.equal(result.completion_tokens, 1 + (n % 5));
    assert.equal(result.text, texts[n]);
  });
  assert.ok((await client.ping()) > 0);
});

test("a WebSocket of the platform does as well as a library's", {
  skip: globalThis.WebSocket === undefined && "this Node has none",
}, async () => {
  const plain = await connect(WSPROC_URL);
  assert.ok(await plain.generate({ prompt: "Hi" }).result);
  await plain.close();
});

// --- what is refused -----------------------------------------------------------------------------

test("a refused job names code and field, and the connection lives on", async () => {
  await assert.rejects(client.process({ text: "short" }).result, (error) => {
    assert.ok(error instanceof JobRejected);
    assert.deepEqual([error.code, error.path, error.retryable], ["invalid_field", "text", false]);
    return true;
  });
  await assert.rejects(client.submit("proces", { text: TEXT }).result, { code: "unknown_type" });
  await assert.rejects(client.process({ text: TEXT, chunk: 3 }).result, /chunk_size/);
  assert.ok(await client.generate({ prompt: "Hi" }).result);
});

// --- stopping ------------------------------------------------------------------------------------

test("cancel ends the job with what was finished", async () => {
  const job = client.generate({ prompt: "unending" });
  let tokens = 0;
  for await (const event of job) {
    tokens += event.type === "token" ? 1 : 0;
    if (tokens === 3) break;
  }
  assert.equal((await job.cancel()).outcome, "cancelling");
  await assert.rejects(job.result, (error) => {
    assert.ok(error instanceof JobCancelled);
    assert.equal(error.reason, "client");
    assert.deepEqual(error.partialResult, { text: " one two three" });
    return true;
  });
  assert.equal((await job.cancel()).status, "cancelled");
});

test("cancelAll reaches every job", async () => {
  const jobs = Array.from({ length: 3 }, () => client.generate({ prompt: "unending" }));
  await Promise.all(jobs.map((job) => job.accepted));
  const { ids } = await client.cancelAll();
  assert.deepEqual(
    ids,
    jobs.map((job) => job.id),
  );
  const ends = await Promise.all(jobs.map((job) => job.done));
  assert.deepEqual(
    ends.map((end) => end.status),
    ["cancelled", "cancelled", "cancelled"],
  );
});

test("an abort reaches the engine, and its neighbour goes on", async () => {
  const controller = new AbortController();
  const neighbour = client.generate({ prompt: "unending" });
  const job = client.generate({ prompt: "unending" }, { signal: controller.signal });
  await job.accepted;
  controller.abort();
  await assert.rejects(job.result, { name: "AbortError" });
  assert.equal((await job.done).reason, "client");
  await neighbour.cancel();
  assert.deepEqual((await neighbour.done).partial_result, { text: " one two three" });
});

test("a deadline fails the job", async () => {
  const job = client.generate({ prompt: "unending", timeout_ms: 20 });
  await assert.rejects(job.result, (error) => {
    assert.ok(error instanceof JobFailed);
    assert.equal(error.code, "deadline_exceeded");
    return true;
  });
});

// --- the network ---------------------------------------------------------------------------------

test("a cut network: the job goes on where it was, whole and without a doubled event", async (t) => {
  const network = await Network.to(new URL(WSPROC_URL).port);
  t.after(() => network.close());
  const far = await open(network.url);
  t.after(() => far.close());
  const states = details(far, "state");
  const job = far.generate({ prompt: "unending" });
  let told = "";
  for await (const event of job) {
    told += event.text ?? "";
    if (told === " one two three") break;
  }
  network.cut();
  const late = far.generate({ prompt: "Hi", max_tokens: 3 });
  network.mend();
  assert.equal((await all(late.tokens())).join(""), " word0 word1 word2");
  assert.deepEqual(states.at(-1).resumed, true);
  await job.cancel();
  const rest = await all(job);
  assert.deepEqual(
    rest.map((event) => event.type),
    ["done"],
    "nothing is replayed that was seen",
  );
  assert.deepEqual((await job.done).partial_result, { text: told });
  assert.equal(job.restarts, 0);
});
