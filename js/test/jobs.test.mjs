/** Jobs: how they are submitted, read, stopped and refused, with a server played by the test. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { InputRefused, JobCancelled, JobFailed, JobRejected } from "../../wsproc/web/wsproc.js";
import { accepted, cancelled, completed, LIMITS, status, token } from "./fake-server.mjs";
import { all, details, scripted } from "./helpers.mjs";

const PROMPT = { prompt: "Once", seed: 1 };

// --- submitting ----------------------------------------------------------------------------------

test("a job is there at once, and its frame is what was given, with a type and an id", () =>
  scripted(async ({ client, peer }) => {
    const job = client.process({ text: "long enough", chunk_size: 50, meta: [1] });
    assert.deepEqual([job.id, job.task], ["js-1", "process"]);
    const sent = { type: "process", id: "js-1", text: "long enough", chunk_size: 50, meta: [1] };
    assert.deepEqual(await peer.frame(), sent);
    peer.send(accepted("js-1", { position: 3, eta_ms: 20, meta: [1] }));
    const { position, meta } = await job.accepted;
    assert.deepEqual([position, meta], [3, [1]]);
    assert.equal(await job, job, "awaiting the job itself does no harm");
  }));

test("an id of one's own is kept", () =>
  scripted(async ({ client, peer }) => {
    assert.equal(client.generate({ ...PROMPT, id: "mine" }).id, "mine");
    assert.equal((await peer.frame()).id, "mine");
  }));

test("a rejection is told by whatever is awaited, with code, path and when to come again", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    const failed = details(job, "error");
    const error = {
      code: "queue_full",
      message: "full",
      retryable: true,
      retry_after_ms: 9,
      path: "x",
    };
    peer.send({ type: "rejected", id: job.id, error });
    for (const told of [job.accepted, job.result, job.done, all(job), all(job.tokens())]) {
      await assert.rejects(told, (rejected) => {
        assert.ok(rejected instanceof JobRejected);
        const { code, path, retryable, retryAfterMs, jobId, name } = rejected;
        assert.deepEqual([code, path, retryable, retryAfterMs], ["queue_full", "x", true, 9]);
        assert.deepEqual([jobId, name], [job.id, "JobRejected"]);
        return true;
      });
    }
    assert.equal(failed.length, 1);
  }));

test("an error about the submit is a rejection too", () =>
  scripted(async ({ client, peer }) => {
    const job = client.submit("proces", { text: "long enough" });
    const error = { code: "unknown_type", message: "did you mean 'process'?", retryable: false };
    peer.send({ type: "error", error, re: { type: "proces", id: job.id } });
    await assert.rejects(job.result, { code: "unknown_type" });
  }));

test("what would confuse or end the connection is refused before it is sent", () =>
  scripted(async ({ client, peer }) => {
    const first = client.generate({ ...PROMPT, id: "one" });
    const refusal = async (fields) => {
      const { code, path } = await client.generate(fields).result.catch((error) => error);
      return [code, path];
    };
    assert.deepEqual(await refusal({ ...PROMPT, id: "one" }), ["id_conflict", "id"]);
    assert.deepEqual(await refusal({ ...PROMPT, id: "a b" }), ["invalid_field", "id"]);
    assert.deepEqual(await refusal({ prompt: "ä".repeat(131072) }), ["input_too_large", null]);
    assert.throws(() => client.generate({ prompt: 1n }), TypeError);
    client.ping();
    assert.deepEqual((await peer.frame()).id, first.id);
    assert.equal((await peer.frame()).type, "ping", "nothing else was sent");
  }));

test("what came too fast for the server is sent again, submits and questions alike", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    const jobs = client.jobs();
    const sent = [await peer.frame(), await peer.frame()];
    const error = { code: "rate_limited", message: "", retryable: true, retry_after_ms: 1 };
    const late = (re) => peer.send({ type: "error", error, re });
    late({ type: "generate", id: job.id });
    assert.deepEqual(await peer.frame(), sent[0]);
    late({ type: "jobs" });
    assert.deepEqual(await peer.frame(), sent[1]);
    late(undefined); // too large to be read twice: it was a submit that has no answer
    assert.deepEqual(await peer.frame(), sent[0]);
    late({ type: "generate", id: job.id });
    peer.send(accepted(job.id), completed(job.id, 2, { text: "" }));
    peer.send({ type: "reply", op: "jobs", outcome: "ok", jobs: [] });
    await Promise.all([job.result, jobs]);
    client.ping();
    assert.equal((await peer.frame()).type, "ping", "an answered one is not sent again");
  }));

test("no more is sent than the server takes", () =>
  scripted(
    async ({ client, peer }) => {
      const begun = performance.now();
      for (let n = 0; n < 60; n++) client.generate(PROMPT);
      const ids = [];
      for (let n = 0; n < 60; n++) ids.push((await peer.frame()).id);
      assert.deepEqual(
        ids,
        Array.from({ length: 60 }, (_, n) => `js-${n + 1}`),
      );
      assert.ok(performance.now() - begun > 150, "50 at once, and then 50 a second");
    },
    { welcome: { limits: { ...LIMITS, max_messages_per_s: 50 } } },
  ));

// --- reading -------------------------------------------------------------------------------------

test("unknown types, fields and jobs are ignored", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    peer.send({ type: "weather" }, token("else", 9, "x"), { type: "heartbeat", t: 1 });
    peer.send(accepted(job.id, { mood: 1 }), { ...status(job.id, 2, "musing"), depth: 3 });
    peer.send(completed(job.id, 3, { text: "", more: 1 }));
    assert.deepEqual(await job.result, { text: "", more: 1 });
    assert.deepEqual(
      (await all(job)).map((event) => event.status),
      ["musing", "completed"],
    );
  }));

test("listeners get each event as its detail, readers get the same", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    const seen = {
      token: details(job, "token"),
      status: details(job, "status"),
      done: details(job, "done"),
    };
    peer.send(
      accepted(job.id),
      status(job.id, 2, "started"),
      token(job.id, 3, "a"),
      token(job.id, 4, "b"),
    );
    peer.send(completed(job.id, 5, { text: "ab" }));
    const events = await all(job);
    assert.deepEqual([...seen.status, ...seen.token, ...seen.done], events);
    assert.equal(seen.done[0], await job.done);
  }));

test("unread events are bounded, no text is lost, and the result is whole", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    peer.send(accepted(job.id));
    for (let n = 0; n < 1200; n++) peer.send(token(job.id, n + 2, "x"));
    peer.send(completed(job.id, 1202, { text: "x".repeat(1200) }));
    await job.result;
    const events = await all(job);
    assert.equal(events.length, 1001);
    assert.equal(job.dropped, 0);
    assert.equal(events.map((event) => event.text ?? "").join("").length, 1200);
  }));

test("breaking out stops nothing, and reading goes on from there", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    peer.send(accepted(job.id), token(job.id, 2, "a"), token(job.id, 3, "b"));
    for await (const event of job) if (event.type === "token") break;
    peer.send(completed(job.id, 4, { text: "abc" }));
    assert.deepEqual(await all(job.tokens()), ["b", "c"]);
  }));

test("a failure throws behind the last token, the error events carry it not", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    const error = { code: "deadline_exceeded", message: "too late", retryable: false };
    peer.send(accepted(job.id), token(job.id, 2, "a"));
    peer.send({ ...completed(job.id, 3), status: "failed", error, partial_result: { text: "a" } });
    const pieces = [];
    await assert.rejects(
      async () => {
        for await (const piece of job.tokens()) pieces.push(piece);
      },
      (failed) => {
        assert.ok(failed instanceof JobFailed);
        assert.deepEqual([failed.code, failed.partialResult], ["deadline_exceeded", { text: "a" }]);
        return true;
      },
    );
    assert.deepEqual(pieces, ["a"]);
    assert.equal((await job.done).status, "failed");
  }));

test("offsets count UTF-16 units in events, results and partial results", () =>
  scripted(async ({ client, peer }) => {
    const text = "👨‍👩‍👧 Ada and 🙂 Zoë";
    const place = (name) => {
      const start = [...text.slice(0, text.indexOf(name))].length;
      return { text: name, start, end: start + [...name].length };
    };
    const entities = { entities: ["Ada", "Zoë"].map(place), total_entities: 2 };
    const names = ({ entities }) => entities.map((one) => text.slice(one.start, one.end));
    const job = client.process({ text, meta: { start: 1, end: 2 } });
    const meta = { start: 1, end: 2 };
    peer.send(accepted(job.id, { meta }), status(job.id, 2, "entities_complete", entities));
    peer.send({ ...completed(job.id, 3, { entities }), meta });
    const [event, done] = await all(job);
    assert.deepEqual(
      [names(event), names(done.result.entities)],
      [
        ["Ada", "Zoë"],
        ["Ada", "Zoë"],
      ],
    );
    assert.deepEqual(done.meta, meta);

    const stopped = client.batch({ texts: ["plain", text] });
    const partial = { results: [{ entities: { entities: [{ start: 1, end: 2 }] } }, { entities }] };
    peer.send(accepted(stopped.id), cancelled(stopped.id, 2, "client", partial));
    const { partialResult } = await stopped.result.catch((error) => error);
    assert.deepEqual(names(partialResult.results[1].entities), ["Ada", "Zoë"]);
    assert.deepEqual(partialResult.results[0].entities.entities, [{ start: 1, end: 2 }]);
  }));

// --- stopping ------------------------------------------------------------------------------------

test("cancel is answered by the reply, the end comes when the engine has left", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate(PROMPT);
    peer.send(accepted(job.id));
    const reply = job.cancel();
    await peer.frame();
    assert.deepEqual(await peer.frame(), { type: "cancel", id: job.id });
    peer.send({ type: "reply", op: "cancel", id: job.id, outcome: "cancelling" });
    assert.equal((await reply).outcome, "cancelling");
    peer.send(cancelled(job.id, 2, "client", { text: "a" }));
    await assert.rejects(job.result, (error) => {
      assert.ok(error instanceof JobCancelled);
      assert.deepEqual([error.code, error.reason], ["cancelled", "client"]);
      assert.deepEqual(error.partialResult, { text: "a" });
      return true;
    });
  }));

test("several cancels of one job get one answer each", () =>
  scripted(async ({ client, peer }) => {
    const replies = [
      client.cancel("x"),
      client.cancel("y"),
      client.cancel("x"),
      client.cancelAll(),
    ];
    const reply = (id, outcome) => ({ type: "reply", op: "cancel", id, outcome });
    peer.send(
      reply("x", "unknown"),
      reply("y", "done"),
      reply("x", "cancelling"),
      reply("*", "done"),
    );
    const outcomes = (await Promise.all(replies)).map((one) => one.outcome);
    assert.deepEqual(outcomes, ["unknown", "done", "cancelling", "done"]);
  }));

test("an abort tells everyone who waits the signal's reason at once, done tells the end", () =>
  scripted(async ({ client, peer }) => {
    const controller = new AbortController();
    const job = client.generate(PROMPT, { signal: controller.signal });
    peer.send(accepted(job.id), token(job.id, 2, "a"));
    const reading = all(job.tokens());
    await job.accepted;
    controller.abort();
    await assert.rejects(job.result, { name: "AbortError" });
    await assert.rejects(reading, { name: "AbortError" });
    await peer.frame();
    assert.deepEqual(await peer.frame(), { type: "cancel", id: job.id });
    peer.send({ type: "reply", op: "cancel", id: job.id, outcome: "cancelling" });
    peer.send(cancelled(job.id, 3));
    assert.equal((await job.done).reason, "client");
  }));

test("an abort before the answer gives up the submit; one before the submit sends nothing", () =>
  scripted(async ({ client, peer }) => {
    const controller = new AbortController();
    const job = client.generate(PROMPT, { signal: controller.signal });
    controller.abort(new Error("never mind"));
    await assert.rejects(job.accepted, /never mind/);
    assert.equal((await peer.frame()).type, "generate");
    assert.equal((await peer.frame()).type, "cancel");

    const aborted = client.generate(PROMPT, { signal: AbortSignal.abort(new Error("no")) });
    for (const told of [aborted.accepted, aborted.result, aborted.done, all(aborted)]) {
      await assert.rejects(told, /no/);
    }
    client.ping();
    assert.equal((await peer.frame()).type, "ping");
  }));

test("a signal that is aborted after the end changes nothing", () =>
  scripted(async ({ client, peer }) => {
    const controller = new AbortController();
    const job = client.generate(PROMPT, { signal: controller.signal });
    peer.send(accepted(job.id), completed(job.id, 2, { text: "" }));
    await job.result;
    controller.abort();
    await peer.frame();
    client.ping();
    assert.equal((await peer.frame()).type, "ping");
  }));

// --- more input ----------------------------------------------------------------------------------

test("append and revise resolve to the reply, or reject with what is the matter", () =>
  scripted(async ({ client, peer }) => {
    const job = client.process({ text: "long enough", open: true });
    peer.send(accepted(job.id));
    await peer.frame();
    const answered = (op, outcome) => peer.send({ type: "reply", op, id: job.id, outcome });

    const taken = job.append("more");
    assert.deepEqual(await peer.frame(), {
      type: "append",
      id: job.id,
      text: "more",
      final: false,
    });
    answered("append", "ok");
    assert.equal((await taken).outcome, "ok");

    const closing = job.append(undefined, { final: true });
    assert.deepEqual(await peer.frame(), { type: "append", id: job.id, final: true });
    answered("append", "done");
    await assert.rejects(closing, (error) => {
      assert.ok(error instanceof InputRefused);
      assert.deepEqual([error.code, error.jobId], ["done", job.id]);
      return true;
    });

    const revised = job.revise("all new");
    assert.deepEqual(await peer.frame(), { type: "revise", id: job.id, text: "all new" });
    const error = { code: "input_too_large", message: "500 at most", retryable: false };
    peer.send({ type: "reply", op: "revise", id: job.id, outcome: "refused", error });
    await assert.rejects(revised, { code: "input_too_large", message: /500 at most/ });
  }));

test("offsets follow the text that goes on", () =>
  scripted(async ({ client, peer }) => {
    const job = client.process({ text: "🙂 Ada", live: true });
    const chunk = (seq, revision, start, end) =>
      status(job.id, seq, "sentiment_progress", { revision, chunk_result: { start, end } });
    const ok = (op, revision) => ({ type: "reply", op, id: job.id, outcome: "ok", revision });
    await peer.frame();
    peer.send(accepted(job.id), chunk(2, 0, 2, 5));
    const revised = job.revise("🙂🙂 Ada");
    await peer.frame();
    peer.send(ok("revise", 1), chunk(3, 1, 3, 6));
    await revised;
    const appended = job.append(" 🙂!", { final: true });
    await peer.frame();
    peer.send(ok("append", 2), chunk(4, 2, 7, 9));
    const result = { revision: 2, last: { start: 8, end: 9 } };
    peer.send(completed(job.id, 5, result));
    const events = await all(job);
    const places = events.slice(0, 3).map(({ chunk_result: { start, end } }) => [start, end]);
    assert.deepEqual(places, [
      [3, 6],
      [5, 8],
      [9, 12],
    ]);
    assert.deepEqual((await job.result).last, { start: 11, end: 12 });
    assert.deepEqual([(await revised).revision, (await appended).revision], [1, 2]);
  }));

test("a question that the server does not understand is answered by its error", () =>
  scripted(async ({ client, peer }) => {
    const job = client.process({ text: "long enough" });
    peer.send(accepted(job.id));
    const asked = job.append("more");
    const error = { code: "bad_frame", message: "append is not offered", retryable: false };
    peer.send({ type: "error", error, re: { type: "append", id: job.id } });
    await assert.rejects(asked, { code: "bad_frame" });
    peer.send(completed(job.id, 2, {}));
    await job.result;
  }));

// --- nobody waits --------------------------------------------------------------------------------

test("no rejection is unhandled when nobody awaits anything", async (t) => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  await scripted(async ({ client, peer }) => {
    const [rejected, failed, lost] = [1, 2, 3].map(() => client.generate(PROMPT));
    const error = { code: "internal", message: "", retryable: true };
    peer.send({ type: "rejected", id: rejected.id, error });
    peer.send(accepted(failed.id), { ...completed(failed.id, 2), status: "failed", error });
    peer.send(accepted(lost.id));
    lost.cancel();
    client.generate(PROMPT, { signal: AbortSignal.abort() });
    await lost.accepted;
    await client.close();
    lost.cancel();
    client.generate(PROMPT).cancel();
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});
