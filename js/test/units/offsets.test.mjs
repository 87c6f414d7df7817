/** Offsets: code points on the wire, UTF-16 units here. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { JobTexts, utf16Offsets } from "../../build/offsets.js";

const TEXTS = {
  plain: "Ada met Grace.",
  accents: "Zoë Ærø ß",
  combining: "e\u0301tude",
  emoji: "a🙂b🙃🙃c",
  family: "x👨‍👩‍👧‍👦y",
  flag: "🇩🇪!",
  "skin tone": "👍🏽 good",
  "an emoji first and last": "🙂mid🙂",
  "lone surrogates": "a\ud83d b\ude42 c🙂d",
  empty: "",
};

for (const [name, text] of Object.entries(TEXTS)) {
  test(`every offset of a text with ${name} leads to the same character`, () => {
    const points = [...text];
    const of = utf16Offsets(text);
    for (let offset = 0; offset <= points.length; offset++) {
      assert.equal(of(offset), points.slice(0, offset).join("").length);
    }
  });
}

test("spans are converted wherever they are, and meta is left alone", () => {
  const texts = new JobTexts(["🙂 Ada"]);
  const meta = { start: 2, end: 5 };
  const frame = {
    chunk_result: { start: 0, end: 5, confidence: 0.5 },
    result: { entities: { entities: [{ start: 2, end: 5 }] }, none: null },
    meta,
    start: "monday",
    end: 5,
  };
  assert.deepEqual(texts.convert(frame), {
    chunk_result: { start: 0, end: 6, confidence: 0.5 },
    result: { entities: { entities: [{ start: 3, end: 6 }] }, none: null },
    meta,
    start: "monday",
    end: 5,
  });
  assert.equal(frame.chunk_result.end, 5, "the frame itself is not touched");
});

test("each of several results speaks of the text of its place", () => {
  const texts = new JobTexts(["🙂🙂a", "b", "🙂c"]);
  const span = { start: 1, end: 2 };
  assert.deepEqual(texts.convert({ partial_result: { results: [span, span, span] } }), {
    partial_result: { results: [{ start: 2, end: 4 }, span, { start: 2, end: 3 }] },
  });
});

test("a job of plain texts, or of none, costs nothing", () => {
  const frame = { start: 1, end: 2 };
  assert.equal(new JobTexts(["plain"]).convert(frame), frame);
  assert.equal(new JobTexts([]).convert(frame), frame);
});

test("a text that is added to is known whole", () => {
  const texts = new JobTexts(["🙂 a"]);
  texts.revise("🙂 a🙂b", 0);
  assert.deepEqual(texts.convert({ start: 4, end: 5 }), { start: 6, end: 7 });
});

test("a frame speaks of the revision that it names, or of the latest", () => {
  const texts = new JobTexts(["🙂🙂a"]);
  texts.revise("🙂a", 1);
  texts.revise("🙂a🙂b", 2);
  const a = (revision, start) => ({ revision, chunk: { start, end: start + 1 } });
  assert.deepEqual(texts.convert(a(0, 2)).chunk, { start: 4, end: 5 });
  assert.deepEqual(texts.convert(a(1, 1)).chunk, { start: 2, end: 3 });
  assert.deepEqual(texts.convert({ result: a(2, 3) }).result.chunk, { start: 5, end: 6 });
  assert.deepEqual(texts.convert(a(undefined, 3)).chunk, { start: 5, end: 6 });
});
