/** The browser client in Node, against a real server at WSPROC_URL and against scripted ones. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";

import {
  ConnectFailed,
  ConnectionLost,
  connect,
  JobCancelled,
  JobFailed,
  JobLost,
  JobRejected,
  ProtocolError,
  utf16Offsets,
} from "../../wsproc/web/wsproc.js";

const URL = process.env.WSPROC_URL;
const TEXT = "Ada had a lovely 🙂 day. Grace 🙃 found it slow and awful, and Zoë said nothing at all.";

/** Run `body` with a client, and close it. */
async function withClient(body, options = {}, url = URL) {
  const client = await connect(url, { WebSocket, ...options });
  try {
    return await body(client);
  } finally {
    await client.close();
  }
}

async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

// --- a job ---------------------------------------------------------------------------------------

test("events come in order without a hole, the terminal one last", async () => {
  await withClient(async (client) => {
    assert.deepEqual(client.welcome.tasks, ["process", "batch", "generate"]);
    const job = await client.process({ text: TEXT, include_entities: true });
    const events = await all(job);
    assert.equal(events[0].status, "started");
    assert.equal(events.at(-1).type, "done");
    assert.deepEqual(
      events.map((event) => event.seq),
      events.map((_, index) => index + 2),
    );
    assert.deepEqual(await all(job), [], "a second reader waits for nothing");
  });
});

test("offsets are those of JavaScript strings, in events and in the result", async () => {
  await withClient(async (client) => {
    const job = await client.process({ text: TEXT, include_entities: true, chunk_size: 50 });
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
});

test("each text of a batch has offsets of its own", async () => {
  await withClient(async (client) => {
    const texts = ["🙂🙂🙂 Ada smiles at you", "Plain old Grace was here"];
    const job = await client.batch({ texts, include_entities: true });
    const { results } = await job.result;
    const found = results.map((one, index) =>
      one.entities.entities.map((entity) => texts[index].slice(entity.start, entity.end)),
    );
    assert.deepEqual(found, [["Ada"], ["Grace"]]);
  });
});

test("frames are shown as they came, offsets in code points", async () => {
  const frames = [];
  const onFrame = (frame, text) => frames.push([frame, JSON.parse(text)]);
  await withClient(
    async (client) => (await client.process({ text: TEXT, include_entities: true })).result,
    { onFrame },
  );
  for (const [frame, sent] of frames) assert.deepEqual(frame, sent);
  const done = frames.at(-1)[0];
  const grace = done.result.entities.entities[1];
  assert.equal([...TEXT].slice(grace.start, grace.end).join(""), "Grace");
});

test("tokens joined are the result's text", async () => {
  await withClient(async (client) => {
    const job = await client.generate({ prompt: "Hello", max_tokens: 4 });
    assert.equal((await all(job.tokens())).join(""), (await job.result).text);
  });
});

test("many jobs share a connection", async () => {
  await withClient(async (client) => {
    const jobs = await Promise.all(
      Array.from({ length: 30 }, (_, n) => client.generate({ prompt: "Hi", max_tokens: 1 + (n % 5) })),
    );
    const results = await Promise.all(jobs.map((job) => job.result));
    results.forEach((result, n) => assert.equal(result.completion_tokens, 1 + (n % 5)));
    assert.deepEqual(await client.jobs(), []);
    assert.ok((await client.ping()) > 0);
  });
});

// --- what is refused -----------------------------------------------------------------------------

test("a refused job names code and field, and the connection lives on", async () => {
  await withClient(async (client) => {
    await assert.rejects(client.process({ text: "short" }), (error) => {
      assert.ok(error instanceof JobRejected);
      assert.deepEqual([error.code, error.path, error.retryable], ["invalid_field", "text", false]);
      return true;
    });
    await assert.rejects(client.submit("proces", { text: TEXT }), { code: "unknown_type" });
    await assert.rejects(client.process({ text: TEXT, chunk: 3 }), /chunk_size/);
    assert.ok(await (await client.generate({ prompt: "Hi" })).result);
  });
});

test("a taken id is refused before it is sent", async () => {
  await withClient(async (client) => {
    await client.generate({ prompt: "unending", id: "one" });
    await assert.rejects(client.generate({ prompt: "more", id: "one" }), { code: "id_conflict" });
  });
});

// --- stopping ------------------------------------------------------------------------------------

test("cancel ends the job with what was finished", async () => {
  await withClient(async (client) => {
    const job = await client.generate({ prompt: "unending" });
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
    assert.equal((await job.done).status, "cancelled");
    assert.equal((await job.cancel()).status, "cancelled");
  });
});

test("cancelAll reaches every job", async () => {
  await withClient(async (client) => {
    const jobs = [];
    for (let n = 0; n < 3; n++) jobs.push(await client.generate({ prompt: "unending" }));
    assert.deepEqual((await client.cancelAll()).ids, jobs.map((job) => job.id));
    const ends = await Promise.all(jobs.map((job) => job.done));
    assert.deepEqual(ends.map((end) => end.status), ["cancelled", "cancelled", "cancelled"]);
  });
});

test("an AbortSignal cancels a running job and gives up a submit", async () => {
  await withClient(async (client) => {
    const running = new AbortController();
    const job = await client.generate({ prompt: "unending" }, { signal: running.signal });
    running.abort();
    assert.equal((await job.done).reason, "client");

    const submitting = new AbortController();
    const submit = client.generate({ prompt: "unending" }, { signal: submitting.signal });
    submitting.abort(new Error("never mind"));
    await assert.rejects(submit, /never mind/);
    await assert.rejects(client.generate({ prompt: "x" }, { signal: AbortSignal.abort() }));
    await client.cancelAll();
    assert.ok(await (await client.generate({ prompt: "Hi" })).result);
  });
});

test("a deadline fails the job", async () => {
  await withClient(async (client) => {
    const job = await client.generate({ prompt: "unending", timeout_ms: 20 });
    await assert.rejects(job.result, (error) => {
      assert.ok(error instanceof JobFailed);
      assert.equal(error.code, "deadline_exceeded");
      return true;
    });
  });
});

// --- connections ---------------------------------------------------------------------------------

test("closing loses what still runs", async () => {
  const client = await connect(URL, { WebSocket });
  const job = await client.generate({ prompt: "unending" });
  const lost = await client.close();
  assert.ok(lost instanceof ConnectionLost);
  assert.equal(lost.closeCode, 1000);
  await assert.rejects(job.result, JobLost);
  await assert.rejects(all(job), JobLost);
  await assert.rejects(client.ping(), ConnectionLost);
  await assert.rejects(client.generate({ prompt: "x" }), ConnectionLost);
});

test("nobody there, and an aborted connect", async () => {
  await assert.rejects(connect("ws://127.0.0.1:1", { WebSocket }), ConnectFailed);
  await assert.rejects(
    connect(URL, { WebSocket, signal: AbortSignal.abort(new Error("no")) }),
    /no/,
  );
  const later = new AbortController();
  const connecting = connect(URL, { WebSocket, signal: later.signal });
  later.abort(new Error("changed my mind"));
  await assert.rejects(connecting, /changed my mind/);
});

const WELCOME = { type: "welcome", server: "0", session: "s", tasks: [], limits: {}, heartbeat_s: 0 };
const ACCEPTED = { type: "accepted", id: "js-1", seq: 1, position: 0, eta_ms: null };
const token = (seq, text = "x") => ({ type: "token", id: "js-1", seq, text });
const DONE = { type: "done", id: "js-1", status: "completed", result: { text: "" } };

/** Run `body` with a client of a server that sends `frames` after the first message it gets. */
async function scripted(frames, body, welcome = WELCOME) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => {
    socket.send(JSON.stringify(welcome));
    socket.once("message", () => {
      for (const frame of frames) {
        socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
      }
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    return await withClient(body, {}, `ws://127.0.0.1:${server.address().port}`);
  } finally {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
}

for (const seq of [1, 2, 4]) {
  test(`frame ${seq} where 3 is due is a protocol error`, async () => {
    await scripted([ACCEPTED, token(2), token(seq)], async (client) => {
      const job = await client.generate({ prompt: "x" });
      await assert.rejects(job.result, ProtocolError);
      await assert.rejects(client.ping(), ProtocolError);
    });
  });
}

test("what is no JSON is a protocol error", async () => {
  await scripted(["{"], async (client) => {
    await assert.rejects(client.generate({ prompt: "x" }), ProtocolError);
  });
});

test("unknown types, fields and jobs are ignored", async () => {
  const strangers = [{ type: "weather" }, { ...token(9), id: "else" }, { type: "heartbeat", t: 1 }];
  await scripted([...strangers, { ...ACCEPTED, mood: 1 }, { ...DONE, seq: 2 }], async (client) => {
    assert.deepEqual(await (await client.generate({ prompt: "x" })).result, { text: "" });
  });
});

test("unread events are bounded and no text is lost", async () => {
  const tokens = Array.from({ length: 1200 }, (_, n) => token(n + 2));
  await scripted([ACCEPTED, ...tokens, { ...DONE, seq: 1202 }], async (client) => {
    const job = await client.generate({ prompt: "x" });
    await job.result;
    const events = await all(job);
    assert.equal(events.length, 1001);
    assert.equal(job.dropped, 0);
    assert.equal(events.map((event) => event.text ?? "").join("").length, 1200);
  });
});

test("a server that falls silent is given up", async () => {
  const welcome = { ...WELCOME, heartbeat_s: 0.02 };
  await scripted(
    [],
    async (client) => {
      const lost = await client.closed;
      assert.equal(lost.closeCode, 4504);
    },
    welcome,
  );
});

test("code point offsets become UTF-16 offsets", () => {
  const text = "a🙂b";
  assert.deepEqual([0, 1, 2, 3].map(utf16Offsets(text)), [0, 1, 3, 4]);
  assert.deepEqual([0, 1, 2].map(utf16Offsets("äß")), [0, 1, 2]);
});
