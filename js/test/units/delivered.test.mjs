/** A second run of a job: only what is new is handed out. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Delivered, Diverged } from "../../build/delivered.js";
import { completed, status, token } from "../fake-server.mjs";

/** Hand out a first run, rewind, and return what is handed out of a second one. */
function secondRun(first, second) {
  const delivered = new Delivered();
  for (const frame of first) assert.equal(delivered.fresh(frame), frame);
  delivered.rewind();
  return second.map((frame) => delivered.fresh(frame)).filter((frame) => frame !== null);
}

const chunk = (seq, n) => status("a", seq, "sentiment_progress", { current_item: n });
const started = (seq, timestamp) => status("a", seq, "started", { timestamp });

test("statuses are told apart by what they say, not by number, time or order", () => {
  const fresh = secondRun(
    [started(2, "10:00"), chunk(3, 1)],
    [chunk(2, 1), started(3, "10:01"), chunk(4, 2)],
  );
  assert.deepEqual(fresh, [chunk(4, 2)]);
});

test("a status that a task sends twice comes twice", () => {
  const beat = (seq) => status("a", seq, "beat");
  assert.deepEqual(secondRun([beat(2)], [beat(2), beat(3)]), [beat(3)]);
});

test("text goes on where it was, however it is cut", () => {
  const texts = (first, second) =>
    secondRun(
      first.map((text, n) => token("a", n + 2, text)),
      second.map((text, n) => token("a", n + 2, text)),
    ).map((frame) => frame.text);
  assert.deepEqual(texts(["ab", "c"], ["a", "bcd", "e"]), ["d", "e"]);
  assert.deepEqual(texts(["abc"], ["abc"]), []);
  assert.deepEqual(texts([], ["abc"]), ["abc"]);
  assert.throws(() => texts(["abc"], ["abX"]), Diverged);
});

test("a third run skips what both runs before handed out", () => {
  const delivered = new Delivered();
  const texts = (...cuts) =>
    cuts.map((text, n) => delivered.fresh(token("a", n + 2, text))?.text).filter(Boolean);
  assert.deepEqual(texts("a", "b"), ["a", "b"]);
  delivered.rewind();
  assert.deepEqual(texts("abc"), ["c"]);
  delivered.rewind();
  assert.deepEqual(texts("ab", "cd"), ["d"]);
});

test("a result, or a snapshot, must go on from the text that was handed out", () => {
  const told = [token("a", 2, "once upon")];
  assert.equal(secondRun(told, [completed("a", 9, { text: "once upon a time" })]).length, 1);
  assert.throws(() => secondRun(told, [completed("a", 9, { text: "twice" })]), Diverged);
  const snapshot = (text) => status("a", 9, "snapshot", { partial_result: { text } });
  assert.throws(() => secondRun(told, [snapshot("twice")]), Diverged);
  const after = secondRun(told, [snapshot("once upon a"), token("a", 10, " time")]);
  assert.equal(after.at(-1).text, " time");
});

test("a summary so far is new where it is longer", () => {
  const summary = (seq, partial_summary) =>
    status("a", seq, "summarization_progress", { partial_summary });
  assert.deepEqual(
    secondRun(
      [summary(2, "one."), summary(3, "one. two.")],
      [summary(2, "one."), summary(3, "one. two. three.")],
    ),
    [summary(3, "one. two. three.")],
  );
});
