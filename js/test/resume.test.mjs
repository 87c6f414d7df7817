/** A lost connection: what is resumed, what is sent again, what is lost. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionLost, JobCancelled, JobLost, JobRejected } from "../../wsproc/web/wsproc.js";
import {
  accepted,
  cancelled,
  completed,
  FakeServer,
  known,
  replayed,
  resumed,
  status,
  token,
} from "./fake-server.mjs";
import { all, details, open, scripted } from "./helpers.mjs";

const PROMPT = { prompt: "Once", seed: 1 };
const text = (events) => events.map((event) => event.text ?? "").join("");

/** Take the next connection, and its `resume`. */
async function takeUp(server, welcome = {}) {
  const peer = await server.peer();
  peer.welcome({ session: "another", ...welcome });
  return [peer, await peer.frame()];
}

/** Begin a generation of which two tokens came: frames 1 to 4. */
async function begun({ client, peer }, fields = {}, options = {}) {
  const job = client.generate({ ...PROMPT, ...fields }, options);
  await peer.frame();
  const { id } = job;
  peer.send(
    accepted(id),
    status(id, 2, "started", { message: "", timestamp: "", prompt_length: 4 }),
    token(id, 3, "a"),
    token(id, 4, "b"),
  );
  while (job.lastSeq < 4)
    await new Promise((resolve) => job.addEventListener("token", resolve, { once: true }));
  return job;
}

// --- the session goes on -------------------------------------------------------------------------

test("a job goes on after the last frame that came, and no event comes twice", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.drop();
    const [again, resume] = await takeUp(server);
    assert.deepEqual(resume, { type: "resume", session: "first", after: { [job.id]: 4 } });
    again.send(
      resumed({ [job.id]: known(6) }),
      replayed(token(job.id, 4, "b")), // more than was asked for does no harm
      replayed(token(job.id, 5, "c")),
      replayed(token(job.id, 6, "d")),
      token(job.id, 7, "e"),
      completed(job.id, 8, { text: "abcde" }),
    );
    const events = await all(job);
    assert.deepEqual(
      events.map((event) => event.seq),
      [2, 3, 4, 5, 6, 7, 8],
    );
    assert.equal(text(events), "abcde");
    assert.deepEqual(await job.result, { text: "abcde" });
    assert.equal(job.restarts, 0);
  }));

test("three losses in a row, one of them in the middle of a replay", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.drop();
    const [second] = await takeUp(server);
    second.send(resumed({ [job.id]: known(6) }), replayed(token(job.id, 5, "c")));
    await new Promise((resolve) => job.addEventListener("token", resolve, { once: true }));
    second.drop();
    const [third, resume] = await takeUp(server);
    assert.deepEqual(resume.after, { [job.id]: 5 });
    assert.equal(resume.session, "first");
    third.drop();
    const [fourth, last] = await takeUp(server);
    assert.deepEqual(last, resume);
    fourth.send(resumed({ [job.id]: known(6) }), replayed(token(job.id, 6, "d")));
    fourth.send(completed(job.id, 7, { text: "abcd" }));
    assert.equal((await all(job.tokens())).join(""), "abcd");
  }));

test("a gap in what is replayed is a protocol error", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({ [job.id]: known(7) }), replayed(token(job.id, 6, "d")));
    await assert.rejects(job.result, { code: "protocol_error" });
  }));

test("a snapshot stands for what is not kept any more, and tokens() is whole all the same", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    const told = all(job.tokens());
    peer.drop();
    const [again] = await takeUp(server);
    const snapshot = { state: "running", partial_result: { text: "abcd" } };
    again.send(
      resumed({ [job.id]: known(40, false) }),
      replayed(status(job.id, 40, "snapshot", snapshot)),
      token(job.id, 41, "e"),
      completed(job.id, 42, { text: "abcde" }),
    );
    assert.deepEqual(await told, ["a", "b", "cd", "e"]);
  }));

test("of an ended job its end alone may come", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    const told = all(job.tokens());
    peer.drop();
    const [again] = await takeUp(server);
    const end = completed(job.id, 50, { text: "abcdef" });
    again.send(resumed({ [job.id]: known(50, false) }), replayed(end));
    assert.deepEqual(await told, ["a", "b", "cdef"]);
  }));

test("what has ended is named in resume, so that it is not replayed", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.send(completed(job.id, 5, { text: "ab" }));
    await job.result;
    const running = await begun({ client, peer });
    peer.drop();
    const [, resume] = await takeUp(server);
    assert.deepEqual(resume.after, { [running.id]: 4, [job.id]: 5 });
  }));

test("any id is a plain name, __proto__ too", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer }, { id: "__proto__" });
    peer.drop();
    const [again, resume] = await takeUp(server);
    assert.deepEqual(Object.entries(resume.after), [["__proto__", 4]]);
    again.send(
      `{"type":"reply","op":"resume","outcome":"ok","jobs":{"__proto__":{"last_seq":4,"recovered":true}}}`,
    );
    again.send(completed("__proto__", 5, { text: "ab" }));
    assert.deepEqual(await job.result, { text: "ab" });
  }));

// --- submits and questions -----------------------------------------------------------------------

test("a submit without an answer is sent again under its id, unless the server has it", () =>
  scripted(async ({ server, client, peer }) => {
    const jobs = ["one", "two"].map((prompt) => client.generate({ prompt }));
    const sent = [await peer.frame(), await peer.frame()];
    peer.drop();
    const [again, resume] = await takeUp(server);
    assert.deepEqual(resume.after, {});
    again.send(resumed({ "js-1": known(1) }), replayed(accepted("js-1")));
    assert.deepEqual(await again.frame(), sent[1]);
    again.send(accepted("js-2", { seq: undefined, duplicate: true, last_seq: 3 }));
    again.send(completed("js-1", 2, { text: "1" }), completed("js-2", 4, { text: "2" }));
    assert.deepEqual(await Promise.all(jobs.map((job) => job.result)), [
      { text: "1" },
      { text: "2" },
    ]);
    assert.equal((await jobs[1].accepted).duplicate, true);
  }));

test("the answer to a repeated submit of an ended job is its end", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate({ ...PROMPT, id: "mine" });
    peer.send(accepted("mine", { seq: undefined, duplicate: true, last_seq: 7 }));
    peer.send(replayed(completed("mine", 7, { text: "ab" })));
    assert.deepEqual(await all(job.tokens()), ["ab"]);
  }));

test("what is asked while there is no connection waits for it", () =>
  scripted(async ({ server, client, peer }) => {
    peer.drop();
    await new Promise((resolve) => client.addEventListener("state", resolve, { once: true }));
    const job = client.generate(PROMPT);
    const cancel = job.cancel();
    const ping = client.ping();
    const [again] = await takeUp(server);
    again.send(resumed({}));
    assert.equal((await again.frame()).type, "generate");
    assert.deepEqual(await again.frame(), { type: "cancel", id: job.id });
    assert.equal((await again.frame()).type, "ping");
    again.send(accepted(job.id), {
      type: "reply",
      op: "cancel",
      id: job.id,
      outcome: "cancelling",
    });
    again.send(cancelled(job.id, 2), { type: "pong", n: 1 });
    assert.equal((await cancel).outcome, "cancelling");
    assert.ok((await ping) >= 0);
    await assert.rejects(job.result, JobCancelled);
  }));

test("a question in flight is asked again", () =>
  scripted(async ({ server, client, peer }) => {
    const asked = client.jobs();
    await peer.frame();
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}));
    assert.deepEqual(await again.frame(), { type: "jobs" });
    again.send({ type: "reply", op: "jobs", outcome: "ok", jobs: [] });
    assert.deepEqual(await asked, []);
  }));

// --- input that goes on --------------------------------------------------------------------------

const OPEN = { text: "🙂 first. ", open: true };

/** Begin an open job whose append is lost with the connection, and take up the session. */
async function appended({ server, client, peer }) {
  const job = client.process(OPEN);
  peer.send(accepted(job.id));
  await peer.frame();
  const append = job.append("🙂 second.", { final: true });
  const sent = { type: "append", id: job.id, text: "🙂 second.", final: true };
  assert.deepEqual(await peer.frame(), sent);
  peer.drop();
  const [again] = await takeUp(server);
  again.send(resumed({ [job.id]: known(1) }));
  assert.deepEqual(await again.frame(), { type: "jobs", id: job.id });
  return { job, append, again, sent };
}

const info = (id, more) => {
  const jobs = [{ id, task: "process", state: "running", last_seq: 1, ...more }];
  return { type: "reply", op: "jobs", id, outcome: "ok", jobs };
};

test("an append that was taken before the loss is not sent again", () =>
  scripted(async (all) => {
    const { job, append, again } = await appended(all);
    again.send(info(job.id, { text_length: 18, final: true }));
    assert.equal((await append).outcome, "ok");
    const chunk_result = { start: 11, end: 18 };
    again.send(status(job.id, 2, "sentiment_progress", { chunk_result }));
    for await (const event of job) {
      assert.deepEqual(event.chunk_result, { start: 13, end: 20 });
      break;
    }
  }));

test("an append that never arrived is sent again", () =>
  scripted(async (all) => {
    const { job, append, again, sent } = await appended(all);
    again.send(info(job.id, { text_length: 9, final: false }));
    assert.deepEqual(await again.frame(), sent);
    again.send({ type: "reply", op: "append", id: job.id, outcome: "ok" });
    assert.equal((await append).outcome, "ok");
  }));

for (const [name, state, code] of [
  ["ended meanwhile", { state: "done" }, "done"],
  ["has a text that nobody here knows", { text_length: 12 }, "connection_lost"],
]) {
  test(`an append to a job that ${name} is told so`, () =>
    scripted(async (all) => {
      const { job, append, again } = await appended(all);
      again.send(info(job.id, state));
      await assert.rejects(append, { code });
    }));
}

test("pieces go one after the other", () =>
  scripted(async ({ client, peer }) => {
    const job = client.process(OPEN);
    peer.send(accepted(job.id));
    await peer.frame();
    const pieces = [job.append("one "), job.append("two ", { final: true })];
    assert.equal((await peer.frame()).text, "one ");
    client.ping();
    assert.equal((await peer.frame()).type, "ping", "the second waits for the first's answer");
    const ok = { type: "reply", op: "append", id: job.id, outcome: "ok" };
    peer.send(ok);
    assert.equal((await peer.frame()).text, "two ");
    peer.send(ok);
    await Promise.all(pieces);
  }));

test("an open job runs again with the text that it was given", () =>
  scripted(async ({ server, client, peer }) => {
    const job = client.process(OPEN);
    peer.send(accepted(job.id));
    await peer.frame();
    const append = job.append("second.", { final: true });
    await peer.frame();
    peer.send({ type: "reply", op: "append", id: job.id, outcome: "ok" });
    await append;
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    const { open, text } = await again.frame();
    assert.deepEqual([open, text], [false, "🙂 first. second."]);
  }));

test("a live job does not run again: its revisions would be counted anew", () =>
  scripted(async ({ server, client, peer }) => {
    const job = client.process({ text: "long enough", live: true });
    peer.send(accepted(job.id));
    await job.accepted;
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    await assert.rejects(job.result, JobLost);
  }));

// --- the session is gone -------------------------------------------------------------------------

for (const outcome of ["unknown_session", "epoch_changed", "error"]) {
  test(`a forgotten session (${outcome}): the job runs again, seen as one`, () =>
    scripted(async ({ server, client, peer }) => {
      const states = details(client, "state");
      const job = await begun({ client, peer }, { timeout_ms: 60_000 });
      peer.drop();
      const [again] = await takeUp(server);
      if (outcome === "error") {
        const error = { code: "bad_frame", message: "not offered", retryable: false };
        again.send({ type: "error", error, re: { type: "resume" } });
      } else {
        again.send(resumed({}, outcome));
      }
      const repeated = await again.frame();
      assert.ok(repeated.timeout_ms <= 60_000 && repeated.timeout_ms > 30_000);
      assert.deepEqual(
        { ...repeated, timeout_ms: 0 },
        {
          type: "generate",
          ...PROMPT,
          id: job.id,
          timeout_ms: 0,
        },
      );
      again.send(
        accepted(job.id),
        status(job.id, 2, "started", { message: "", timestamp: "later", prompt_length: 4 }),
        token(job.id, 3, "abc"),
        completed(job.id, 4, { text: "abc" }),
      );
      const events = await all(job);
      assert.equal(text(events), "abc");
      assert.equal(events.filter((event) => event.status === "started").length, 1);
      assert.equal(job.restarts, 1);
      assert.deepEqual(
        states.map(({ phase, resumed }) => [phase, resumed]),
        [
          ["reconnecting", null],
          ["open", false],
        ],
      );

      again.drop();
      const [, resume] = await takeUp(server, { session: "third" });
      assert.deepEqual(resume, { type: "resume", session: "another", after: { [job.id]: 4 } });
    }));
}

test("with resubmit: false it is lost instead", () =>
  scripted(
    async ({ server, client, peer }) => {
      const job = await begun({ client, peer });
      const failed = details(job, "error");
      const waiting = client.generate({ prompt: "not answered yet" });
      await peer.frame();
      peer.drop();
      const [again] = await takeUp(server);
      again.send(resumed({}, "epoch_changed"));
      assert.equal((await again.frame()).id, waiting.id, "never accepted: sent again in any case");
      await assert.rejects(job.result, (error) => {
        assert.ok(error instanceof JobLost);
        assert.match(error.message, /forgotten the session/);
        return true;
      });
      assert.equal(failed[0], await job.result.catch((error) => error));
      await assert.rejects(all(job), JobLost);
      assert.equal(client.state.phase, "open");
    },
    { resubmit: false },
  ));

test("a text that comes out differently the second time is not stitched together", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    await again.frame();
    again.send(accepted(job.id), token(job.id, 2, "aX"));
    assert.deepEqual(await again.frame(), { type: "cancel", id: job.id });
    await assert.rejects(job.result, /came out differently/);
  }));

test("a job whose stop was asked for does not run again", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    const cancel = job.cancel();
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    assert.deepEqual(await again.frame(), { type: "cancel", id: job.id });
    again.send({ type: "reply", op: "cancel", id: job.id, outcome: "unknown" });
    assert.equal((await cancel).outcome, "unknown");
    await assert.rejects(job.result, JobLost);
  }));

test("a generation gets a seed, so that it comes out the same", () =>
  scripted(async ({ server, client, peer }) => {
    const job = client.generate({ prompt: "Once" });
    const { seed } = await peer.frame();
    assert.ok(Number.isSafeInteger(seed) && seed >= 0);
    peer.send(accepted(job.id));
    await job.accepted;
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    assert.equal((await again.frame()).seed, seed);
  }));

test("the same generation under the same id is the same submit", () =>
  scripted(async ({ client, peer }) => {
    const seeds = new Set();
    for (let time = 0; time < 2; time++) {
      const job = client.generate({ id: "tale", prompt: "Once" });
      const { seed } = await peer.frame();
      seeds.add(seed);
      peer.send(accepted("tale"));
      peer.send({ type: "done", id: "tale", seq: 2, status: "cancelled", reason: "client" });
      await job.done;
    }
    assert.equal(seeds.size, 1);
  }));

test("resubmit: true is every task", () =>
  scripted(
    async ({ server, client, peer }) => {
      const job = client.submit("order", { what: "tea" });
      await peer.frame();
      peer.send(accepted(job.id));
      await job.accepted;
      peer.drop();
      const [again] = await takeUp(server);
      again.send(resumed({}, "epoch_changed"));
      assert.deepEqual(await again.frame(), { type: "order", id: job.id, what: "tea" });
    },
    { resubmit: true },
  ));

test("a job of a task that is not known to be repeatable does not run again", () =>
  scripted(async ({ server, client, peer }) => {
    const job = client.submit("order", { what: "tea" });
    await peer.frame();
    peer.send(accepted(job.id));
    await job.accepted;
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    await assert.rejects(job.result, JobLost);
  }));

test("a busy server is asked again to take a job back", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.drop();
    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    const repeated = await again.frame();
    const error = { code: "queue_full", message: "", retryable: true, retry_after_ms: 1 };
    again.send({ type: "rejected", id: job.id, error });
    assert.deepEqual(await again.frame(), repeated);
    again.send({ type: "rejected", id: job.id, error: { ...error, retryable: false } });
    await assert.rejects(job.result, /not taken back/);
  }));

// --- the session of another client -----------------------------------------------------------------

/** Run `body` with the opening of a client that wants another's session, and its `resume`. */
async function adopting(body, options = {}) {
  const server = await FakeServer.listen();
  try {
    const opening = open(server.url, { session: "old secret", ...options });
    const [peer, resume] = await takeUp(server);
    assert.deepEqual(resume, { type: "resume", session: "old secret", after: {} });
    await body({ server, opening, peer });
  } finally {
    await server.close();
  }
}

test("another client's session is taken up, and its jobs are told from the start", () =>
  adopting(
    async ({ server, opening, peer }) => {
      peer.send(resumed({ kept: known(3), old: known(90, false) }));
      peer.send(replayed(accepted("kept", { position: 2 })));
      peer.send(replayed(status("kept", 2, "started")), replayed(token("kept", 3, "a")));
      const span = { start: 2, end: 5 };
      peer.send(replayed(status("old", 90, "snapshot", { partial_result: { span } })));
      assert.deepEqual(await peer.frame(), { type: "jobs" });
      const info = (id, task) => ({ id, task, state: "running", last_seq: 3 });
      const jobs = [info("kept", "generate"), info("old", "process")];
      peer.send({ type: "reply", op: "jobs", outcome: "ok", jobs });
      const client = await opening;
      assert.equal(client.session, "old secret");
      const [kept, old] = ["kept", "old"].map((id) => client.adopted.get(id));
      assert.deepEqual([kept.task, old.task], ["generate", "process"]);
      assert.equal((await kept.accepted).position, 2);
      assert.equal(client.generate(PROMPT).id, "js-1");

      peer.drop();
      const [again, resume] = await takeUp(server);
      assert.deepEqual(resume, {
        type: "resume",
        session: "old secret",
        after: { kept: 3, old: 90 },
      });
      again.send(resumed({ kept: known(4) }), replayed(completed("kept", 4, { text: "a" })));
      assert.deepEqual(await all(kept.tokens()), ["a"]);
      const events = [];
      await assert.rejects(async () => {
        for await (const event of old) events.push(event);
      }, JobLost);
      assert.deepEqual(events[0].partial_result.span, { start: 3, end: 6 });
      await client.close();
    },
    { texts: { old: "🙂 Ada" }, resubmit: true },
  ));

for (const [outcome, words] of [
  ["unknown_session", /does not know/],
  ["epoch_changed", /restarted/],
]) {
  test(`a session that cannot be taken up (${outcome}) is told so`, () =>
    adopting(async ({ opening, peer }) => {
      peer.send(resumed({}, outcome));
      await assert.rejects(opening, { name: "SessionLost", code: "session_lost", message: words });
    }));
}

// --- a server that leaves ------------------------------------------------------------------------

const GOAWAY = { type: "goaway", code: 1012, reason: "restart", grace_ms: 100, reconnect: true };

test("a restart: what is submitted meanwhile, refused or stopped by it runs on the next server", () =>
  scripted(async ({ server, client, peer }) => {
    const states = details(client, "state");
    const stopped = await begun({ client, peer });
    const refused = client.generate({ prompt: "crossed" });
    await peer.frame();
    const error = { code: "draining", message: "", retryable: true };
    peer.send(GOAWAY, { type: "rejected", id: refused.id, error });
    peer.send(cancelled(stopped.id, 5, "shutdown", { text: "ab" }));
    while (client.goaway === null)
      await new Promise((r) => client.addEventListener("state", r, { once: true }));
    const late = client.generate({ prompt: "late" });
    peer.close(1012, "restart");

    const [again] = await takeUp(server);
    again.send(resumed({}, "epoch_changed"));
    const sent = [await again.frame(), await again.frame(), await again.frame()];
    const names = sent.map((frame) => frame.id);
    assert.deepEqual(
      names.toSorted?.() ?? names.sort(),
      [`${stopped.id}.1`, refused.id, late.id].sort(),
    );
    again.send(
      accepted(`${stopped.id}.1`),
      token(`${stopped.id}.1`, 2, "abc"),
      completed(`${stopped.id}.1`, 3, { text: "abc" }),
    );
    const events = await all(stopped);
    assert.equal(text(events), "abc");
    assert.deepEqual([...new Set(events.map((event) => event.id))], [stopped.id]);
    assert.equal(events.at(-1).status, "completed");
    assert.deepEqual(
      states.map(({ phase }) => phase),
      ["draining", "reconnecting", "open"],
    );
    assert.equal(client.goaway, null);
  }));

test("a job that is named anew on the wire keeps its name here", () =>
  scripted(async ({ server, client, peer }) => {
    const job = await begun({ client, peer });
    peer.close(1001, "");
    const [again] = await takeUp(server);
    const end = replayed(cancelled(job.id, 5, "disconnect"));
    again.send(resumed({ [job.id]: known(5) }), end);
    assert.equal((await again.frame()).id, `${job.id}.1`);
    again.send(accepted(`${job.id}.1`));
    const cancel = client.cancel(job.id);
    const jobs = client.jobs();
    assert.deepEqual(await again.frame(), { type: "cancel", id: `${job.id}.1` });
    const info = { id: `${job.id}.1`, task: "generate", state: "cancelling", last_seq: 1 };
    again.send({ type: "reply", op: "cancel", id: `${job.id}.1`, outcome: "cancelling" });
    again.send({ type: "reply", op: "jobs", outcome: "ok", jobs: [info] });
    assert.equal((await cancel).id, job.id);
    assert.equal((await jobs)[0].id, job.id);
    again.send(cancelled(`${job.id}.1`, 2));
    assert.equal((await job.done).id, job.id);
    assert.equal((await job.done).reason, "client");
  }));

test("without reconnect an end by the server is the end", () =>
  scripted(
    async ({ client, peer }) => {
      const job = await begun({ client, peer });
      peer.send(GOAWAY, cancelled(job.id, 5, "shutdown", { text: "ab" }));
      await assert.rejects(job.result, (error) => {
        assert.deepEqual([error.code, error.reason], ["cancelled", "shutdown"]);
        assert.deepEqual(error.partialResult, { text: "ab" });
        return true;
      });
      const late = client.generate(PROMPT);
      const error = { code: "draining", message: "", retryable: true };
      peer.send({ type: "rejected", id: late.id, error });
      await assert.rejects(late.result, JobRejected);
      peer.close(1012, "restart");
      assert.equal((await client.closed).closeCode, 1012);
    },
    { reconnect: false },
  ));

test("a goaway that invites nobody back is final", () =>
  scripted(async ({ client, peer }) => {
    peer.send({ ...GOAWAY, reconnect: false });
    peer.close(1012, "gone for good");
    assert.equal((await client.closed).closeCode, 1012);
  }));

// --- what is final -------------------------------------------------------------------------------

for (const code of [1000, 1009, 4400, 4401, 4403, 4409, 4429]) {
  test(`close ${code} is final`, () =>
    scripted(async ({ client, peer }) => {
      const job = await begun({ client, peer });
      peer.close(code, "words");
      const lost = await client.closed;
      assert.deepEqual([lost.closeCode, lost.reason], [code, "words"]);
      await assert.rejects(job.result, JobLost);
    }));
}

for (const code of [1001, 1011, 1012, 1013, 4500, 4503, 4504, 4508]) {
  test(`close ${code} is come back from`, () =>
    scripted(async ({ server, peer }) => {
      peer.close(code);
      assert.equal((await takeUp(server))[1].type, "resume");
    }));
}

test("a server that stays away is given up, with the first loss and the last try in the words", async () => {
  const server = await FakeServer.listen();
  const opening = open(server.url, { reconnect: { maxTries: 2, firstDelayMs: 1 } });
  const peer = await server.peer();
  peer.welcome();
  const client = await opening;
  const states = details(client, "state");
  const job = client.generate(PROMPT);
  await server.close();
  const lost = await client.closed;
  assert.ok(lost instanceof ConnectionLost);
  assert.match(
    lost.message,
    /ended \(1006\).*could not be made again.*nobody answers|ECONNREFUSED/,
  );
  await assert.rejects(job.result, JobLost);
  assert.deepEqual(
    states.map(({ phase, tries }) => [phase, tries]),
    [
      ["reconnecting", 1],
      ["reconnecting", 2],
      ["closed", 0],
    ],
  );
});

test("a server that does not answer resume is left for another try", () =>
  scripted(
    async ({ server, peer }) => {
      peer.drop();
      await takeUp(server);
      const [again] = await takeUp(server);
      again.send(resumed({}));
    },
    { openTimeoutMs: 100 },
  ));

test("a refusal on the way back ends the trying", () =>
  scripted(async ({ server, client, peer }) => {
    peer.drop();
    (await server.peer()).close(4403, "not any more");
    const lost = await client.closed;
    assert.equal(lost.closeCode, 4403);
    assert.match(lost.message, /not any more/);
  }));

test("close and abort work while the client waits to come back", async () => {
  const controller = new AbortController();
  for (const [end, options] of [
    [(client) => client.close(), {}],
    [() => controller.abort(new Error("enough")), { signal: controller.signal }],
  ]) {
    await scripted(
      async ({ client, peer }) => {
        const job = client.generate(PROMPT);
        peer.drop();
        await new Promise((resolve) => client.addEventListener("state", resolve, { once: true }));
        end(client);
        await client.closed;
        await assert.rejects(job.result);
      },
      { ...options, reconnect: { firstDelayMs: 1e6, maxDelayMs: 1e6 } },
    );
  }
});

test("retryNow does not wait for the delay", () =>
  scripted(
    async ({ server, client, peer }) => {
      peer.drop();
      await new Promise((resolve) => client.addEventListener("state", resolve, { once: true }));
      assert.ok(client.state.delayMs > 0);
      client.retryNow();
      assert.equal((await takeUp(server))[1].type, "resume");
    },
    { reconnect: { firstDelayMs: 1e6, maxDelayMs: 1e6 } },
  ));
