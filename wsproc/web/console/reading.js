/** A text as it was read: coloured by its chunks, entities marked in place, a strip and a legend. */

import { make } from "./dom.js";

const MARKS = { POSITIVE: "+", NEUTRAL: "·", NEGATIVE: "−" };
const HUES = 8;

/** Say in words what a chunk is. */
export function aboutChunk(chunk) {
  const sure = Math.round(chunk.confidence * 100);
  return `chunk ${chunk.chunk}: ${chunk.sentiment.toLowerCase()}, ${sure} % sure`;
}

/** Return the text as nodes, cut wherever a chunk or an entity begins or ends. */
export function textNodes(text, chunks, entities, hidden) {
  const shown = entities.filter((entity) => !hidden.has(entity.label));
  const labels = [...new Set(entities.map((entity) => entity.label))];
  const cuts = new Set([0, text.length]);
  for (const { start, end } of [...chunks, ...shown]) cuts.add(start).add(end);
  const places = [...cuts].sort((a, b) => a - b);
  const next = { chunk: 0, entity: 0 };
  return places.slice(1).map((end, index) => {
    const start = places[index];
    const chunk = covering(chunks, next, "chunk", start, end);
    const entity = covering(shown, next, "entity", start, end);
    const piece = make("span", {}, text.slice(start, end));
    if (chunk) {
      piece.className = `chunk ${chunk.sentiment.toLowerCase()}`;
      piece.dataset.chunk = chunk.chunk;
      piece.title = aboutChunk(chunk);
    }
    if (!entity) return piece;
    const mark = make("mark", { title: `${entity.label}: ${entity.description}` }, piece);
    mark.dataset.hue = labels.indexOf(entity.label) % HUES;
    if (end === entity.end) mark.dataset.label = entity.label;
    piece.title = mark.title;
    return mark;
  });
}

/** Return the span that covers a piece; spans are in order, so the search goes on where it was. */
function covering(spans, next, kind, start, end) {
  while (next[kind] < spans.length && spans[next[kind]].end <= start) next[kind] += 1;
  const span = spans[next[kind]];
  return span && span.start <= start && end <= span.end ? span : undefined;
}

/**
 * Return the cells of the strip, a button a chunk, and empty ones for those that are to come.
 *
 * One of them at a time is reached by Tab; the arrow keys go on from there.
 */
export function stripNodes(chunks, total, tell) {
  const cells = chunks.map((chunk, index) => {
    const cell = make(
      "button",
      {
        type: "button",
        className: chunk.sentiment.toLowerCase(),
        tabIndex: index === 0 ? 0 : -1,
        "aria-label": aboutChunk(chunk),
        title: aboutChunk(chunk),
      },
      MARKS[chunk.sentiment],
    );
    cell.addEventListener("focus", () => tell(chunk));
    cell.addEventListener("mouseenter", () => tell(chunk));
    cell.addEventListener("keydown", (event) => step(event, cells, index));
    return cell;
  });
  const waiting = Array.from({ length: Math.max(0, total - chunks.length) }, () => make("span"));
  return [...cells, ...waiting];
}

function step(event, cells, index) {
  const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: cells.length - 1 }[event.key];
  if (to === undefined || !cells[to]) return;
  event.preventDefault();
  cells[index].tabIndex = -1;
  cells[to].tabIndex = 0;
  cells[to].focus();
}

/** Return the legend of the entities: a button a label, which shows and hides its marks. */
export function legendNodes(entities, hidden, redraw) {
  const byLabel = new Map();
  for (const entity of entities) {
    if (!byLabel.has(entity.label))
      byLabel.set(entity.label, { description: entity.description, names: new Set() });
    byLabel.get(entity.label).names.add(entity.text);
  }
  return [...byLabel].map(([label, { description, names }], index) => {
    const button = make(
      "button",
      { type: "button", title: description, "aria-pressed": String(!hidden.has(label)) },
      make("strong", {}, label),
      ` ${[...names].join(", ")}`,
      make("span", { className: "dim" }, description),
    );
    button.dataset.hue = index % HUES;
    button.addEventListener("click", () => {
      if (!hidden.delete(label)) hidden.add(label);
      redraw();
    });
    return make("li", {}, button);
  });
}
