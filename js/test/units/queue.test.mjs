/** Events that wait to be read. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventQueue } from "../../build/queue.js";

const token = (text) => ({ type: "token", text });
const status = (n) => ({ type: "status", n });
const DONE = { type: "done" };

async function all(queue) {
  const events = [];
  for await (const event of queue) events.push(event);
  return events;
}

test("events come in order, whether they are awaited or wait", async () => {
  const queue = new EventQueue();
  const reading = all(queue);
  queue.put(status(1));
  await Promise.resolve();
  queue.put(status(2));
  queue.end(DONE);
  assert.deepEqual(await reading, [status(1), status(2), DONE]);
  assert.deepEqual(await all(queue), [], "a second reader waits for nothing");
});

test("two readers share the events, and both end", async () => {
  const queue = new EventQueue();
  const reading = Promise.all([all(queue), all(queue)]);
  queue.put(status(1));
  queue.put(status(2));
  queue.end(DONE);
  const events = (await reading).flat();
  assert.equal(events.length, 3);
});

test("over the limit neighbouring tokens are joined", async () => {
  const queue = new EventQueue(3);
  for (const text of "abcdef") queue.put(token(text));
  queue.end(DONE);
  const events = await all(queue);
  assert.equal(events.length, 4);
  assert.equal(events.map((event) => event.text ?? "").join(""), "abcdef");
  assert.equal(queue.dropped, 0);
});

test("where no tokens are neighbours the oldest status gives way, and the last has room", async () => {
  const queue = new EventQueue(3);
  for (let n = 1; n <= 5; n++) queue.put(status(n));
  queue.end(DONE);
  assert.deepEqual(await all(queue), [status(3), status(4), status(5), DONE]);
  assert.equal(queue.dropped, 2);
});

test("whatever is mixed, no text is lost and the memory is bounded", async () => {
  let random = 1;
  const draw = () => {
    random = (random * 48271) % 2147483647; // the same numbers in every run
    return random / 2147483647;
  };
  for (let round = 0; round < 200; round++) {
    const limit = 2 + Math.floor(draw() * 4);
    const queue = new EventQueue(limit);
    let text = "";
    let statuses = 0;
    for (let n = 0; n < 40; n++) {
      if (draw() < 0.5) {
        text += `${n},`;
        queue.put(token(`${n},`));
      } else {
        statuses += 1;
        queue.put(status(n));
      }
    }
    queue.end(DONE);
    const events = await all(queue);
    assert.equal(events.map((event) => event.text ?? "").join(""), text);
    assert.ok(events.length <= limit + 1);
    const kept = events.filter((event) => event.type === "status").length;
    assert.equal(kept + queue.dropped, statuses);
    assert.equal(events.at(-1), DONE);
  }
});

test("an error comes after what waits, or in its place", async () => {
  const later = new EventQueue();
  later.put(status(1));
  later.fail(new Error("gone"));
  const seen = [];
  await assert.rejects(async () => {
    for await (const event of later) seen.push(event);
  }, /gone/);
  assert.deepEqual(seen, [status(1)]);

  const now = new EventQueue();
  now.put(status(1));
  now.fail(new Error("stop"), { now: true });
  await assert.rejects(all(now), /stop/);
  now.put(status(2));
  now.end(DONE);
  await assert.rejects(all(now), /stop/, "what comes later is not for those who gave up");
});
