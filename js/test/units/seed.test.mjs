/** The seed of a generation whose caller gives none. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { seedOf } from "../../build/seed.js";

test("the seed is that of the session and the job, as the Python client derives it", () => {
  assert.equal(seedOf("secret", "js-1"), 207003921611131);
  assert.equal(seedOf("secret", "js-2"), 207003904833915);
  assert.equal(seedOf("another", "js-1"), 137607856383379);
});
