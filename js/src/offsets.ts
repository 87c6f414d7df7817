/**
 * Offsets: the wire counts Unicode code points, JavaScript strings count UTF-16 units. Pure.
 *
 * Both are the same up to the first character beyond U+FFFF, such as an emoji: each of those takes
 * two units. So a text is known by where these are.
 */

/** From an offset in code points to the one in UTF-16 units. */
export type ToUtf16 = (offset: number) => number;

const WIDE = /[\ud800-\udbff][\udc00-\udfff]/;

/** Return a function from code point offsets in `text` to UTF-16 offsets, for `text.slice`. */
export function utf16Offsets(text: string): ToUtf16 {
  const wide = wideCharacters(text);
  if (!wide.length) return (offset) => offset;
  return (offset) => offset + countBelow(wide, offset);
}

/** Return the code point offsets of the characters that take two units, in order. */
function wideCharacters(text: string): number[] {
  const found: number[] = [];
  // Each match is one pair; the pairs before it made its unit offset that much larger.
  for (const pair of text.matchAll(new RegExp(WIDE, "g"))) {
    found.push(pair.index - found.length);
  }
  return found;
}

/** Count the numbers of a sorted list that are below a limit. */
function countBelow(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A frame with its offsets in UTF-16. */
type Converter = <F extends object>(frame: F) => F;

/**
 * The texts that a job's offsets speak of. There is one, or a list, or, where input goes on, one that
 * changes: each frame then says which `revision` it is about, or it is about the latest.
 */
export class JobTexts {
  #latest = 0;
  #converters = new Map<number, Converter>();

  constructor(texts: readonly string[]) {
    this.#converters.set(0, spanConverter(texts));
  }

  /** Note the whole text that the job has now; in a live job it has another number. */
  revise(text: string, revision: number): void {
    this.#latest = revision;
    this.#converters.set(revision, spanConverter([text]));
  }

  /** Return a frame with its offsets in UTF-16. */
  convert<F extends object>(frame: F): F {
    const revision = revisionOf(frame) ?? this.#latest;
    for (const older of this.#converters.keys()) {
      if (older >= revision) break;
      this.#converters.delete(older); // revisions are not gone back to
    }
    return this.#converters.get(revision)?.(frame) ?? frame;
  }
}

interface OfRevision {
  revision?: number;
  result?: OfRevision;
  partial_result?: OfRevision;
}

function revisionOf(frame: object): number | undefined {
  const { revision, result, partial_result } = frame as OfRevision;
  return revision ?? result?.revision ?? partial_result?.revision;
}

/**
 * Return a function that brings all offsets in a frame to UTF-16.
 *
 * A span is any object with whole numbers `start` and `end`, wherever it is in the frame, so that
 * partial results and what later servers add are covered; only `meta`, which is the user's own, is
 * left alone. In a list called `results` each element speaks of the text of its place.
 */
function spanConverter(texts: readonly string[]): Converter {
  const converters = texts.map(utf16Offsets);
  const [first] = converters;
  if (!first || !texts.some((text) => WIDE.test(text))) return (frame) => frame;

  const walk = (value: unknown, of: ToUtf16): unknown => {
    if (Array.isArray(value)) return value.map((item) => walk(item, of));
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value).map(([key, child]) => {
      if (key === "meta") return [key, child];
      if (key === "results" && Array.isArray(child)) {
        return [key, child.map((item, index) => walk(item, converters[index] ?? first))];
      }
      return [key, walk(child, of)];
    });
    const copy = Object.fromEntries(entries);
    if (Number.isInteger(copy.start) && Number.isInteger(copy.end)) {
      copy.start = of(copy.start);
      copy.end = of(copy.end);
    }
    return copy;
  };
  return (frame) => walk(frame, first) as typeof frame;
}
