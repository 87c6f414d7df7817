/** How fast a client may send. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "../../build/pace.js";

test("as many at once as a second has, then one for each token that comes", () => {
  const pace = new Pace(10);
  for (let n = 0; n < 10; n++) assert.equal(pace.take(100, 5000), 0);
  assert.equal(Math.round(pace.take(100, 5000)), 100);
  assert.equal(Math.round(pace.take(100, 5060)), 40);
  assert.equal(pace.take(100, 5100), 0);
  assert.ok(pace.take(100, 5100) > 0);
});

test("a large message costs a token for each 2 KiB, and a huge one passes a full bucket", () => {
  const pace = new Pace(4);
  assert.equal(pace.take(6 * 1024, 0), 0);
  assert.equal(pace.take(2 * 1024, 0), 0);
  assert.equal(Math.round(pace.take(1e9, 0)), 1000);
  assert.equal(pace.take(1e9, 1000), 0);
});

test("a clock that goes back gives nothing, and 0 is no limit", () => {
  const pace = new Pace(1);
  assert.equal(pace.take(1, 5000), 0);
  assert.ok(pace.take(1, 1000) > 0);
  const free = new Pace(0);
  for (let n = 0; n < 1000; n++) assert.equal(free.take(1e6, 0), 0);
});
