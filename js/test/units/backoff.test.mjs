/** When a client comes back, and when it gives up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, mayReturn } from "../../build/backoff.js";

test("45xx and a few of the standard codes invite to return, 44xx and a plain close do not", () => {
  for (const code of [1001, 1006, 1011, 1012, 1013, 4500, 4503, 4504, 4508, 4599]) {
    assert.ok(mayReturn(code), code);
  }
  for (const code of [1000, 1002, 1005, 1008, 1009, 4000, 4400, 4401, 4403, 4409, 4429, 4600]) {
    assert.ok(!mayReturn(code), code);
  }
});

test("the bound of the wait doubles up to its limit, and the wait is a random part of it", () => {
  const backoff = new Backoff({ firstDelayMs: 100, maxDelayMs: 1000 });
  const waits = [1, 1, 1, 1, 1, 1].map((draw) => backoff.next(0, draw));
  assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(backoff.next(0, 0), 0);
  assert.equal(backoff.next(0, 0.5), 500);
});

test("it gives up after so many tries, or so long after the loss", () => {
  const few = new Backoff({ maxTries: 2 });
  assert.deepEqual([few.next(0, 0), few.next(0, 0), few.next(0, 0)], [0, 0, null]);
  const short = new Backoff({ maxTimeMs: 1000 });
  assert.deepEqual([short.next(5000, 0), short.next(5999, 0), short.next(6000, 0)], [0, 0, null]);
});

test("a connection that held ends the count, one that broke at once does not", () => {
  const backoff = new Backoff({ firstDelayMs: 100, maxDelayMs: 1000, maxTimeMs: 3000 });
  assert.equal(backoff.next(0, 1), 100);
  backoff.opened(100);
  assert.equal(backoff.next(200, 1), 200);
  backoff.opened(300);
  assert.equal(backoff.next(1300, 1), 100);
  assert.equal(backoff.tries, 1);
  assert.equal(backoff.next(4200, 1), 200, "the time counts from the later loss");
});

test("settings that cannot be are refused by name", () => {
  assert.throws(() => new Backoff({ maxTries: 0 }), /reconnect\.maxTries: above 0, this is 0/);
  assert.throws(() => new Backoff({ maxDelayMs: Number.NaN }), RangeError);
});
