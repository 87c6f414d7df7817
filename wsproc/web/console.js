/**
 * The console page: forms that submit jobs, a card for each job, and every frame on request.
 *
 * Whatever comes from a person or the server reaches the page as text nodes alone.
 */

import { connect, ConnectionLost, JobRejected } from "./wsproc.js";

const SAMPLE = `The new library in Harbour Street is wonderful, and I love its bright reading room. \
Helen Ashworth, who designed it for the city of Westmoor, wept with joy at the opening on Saturday.

The building cost 14.5 million pounds. It was paid for by Calder & Finch and the Ministry of Culture.

The café, however, is a terrible disappointment: the coffee was cold, the staff were rude, and I hated \
every minute of the queue. Mayor Priya Raman promised on Monday that it will close for repairs until June.`;

const FRAMES_SHOWN = 400;
const MARKS = { POSITIVE: "+", NEUTRAL: "·", NEGATIVE: "−" };

const byId = (id) => document.getElementById(id);
const cards = new Set();
let client = null;

// --- the connection ------------------------------------------------------------------------------

async function open() {
  tell("connecting", "connecting");
  byId("reconnect").hidden = true;
  try {
    client = await connect(location.origin, {
      reconnect: false, // the page has a button for that
      onFrame: (frame, text) => log("←", text),
      onSend: (frame) => log("→", JSON.stringify(frame)),
    });
  } catch (error) {
    lost(error.message);
    return;
  }
  const { server, limits, tasks } = client.welcome;
  tell("open", `connected to ${server}`);
  byId("text").dataset.most = limits.max_text_chars;
  byId("max-tokens").max = limits.max_tokens;
  byId("generate").hidden = !tasks.includes("generate");
  count();
  lost((await client.closed).message);
}

function lost(message) {
  client = null;
  tell("lost", message);
  byId("reconnect").hidden = false;
}

function tell(state, words) {
  const pill = byId("connection");
  pill.dataset.state = state;
  pill.textContent = words;
  for (const button of document.querySelectorAll(".primary, #cancel-all")) {
    button.disabled = state !== "open";
  }
}

// --- jobs ----------------------------------------------------------------------------------------

/** One job on the page. */
class Card {
  constructor(task, text) {
    const template = byId("job-template").content.cloneNode(true);
    this.element = template.querySelector(".job");
    this.text = text;
    this.chunks = [];
    this.entities = [];
    this.written = "";
    this.part("task").textContent = task;
    this.part("cancel").addEventListener("click", () => this.cancel());
    byId("jobs").prepend(this.element);
    cards.add(this);
    byId("empty").hidden = true;
    this.state("queued");
  }

  part(name) {
    return this.element.querySelector(`.job-${name}`);
  }

  get running() {
    return ["queued", "running", "cancelling"].includes(this.element.dataset.state);
  }

  state(state) {
    this.element.dataset.state = state;
    this.part("state").textContent = state;
    this.part("cancel").disabled = !this.running || state === "cancelling";
  }

  cancel() {
    if (!this.job || !this.running) return;
    this.state("cancelling");
    this.job.cancel().catch(() => {}); // the job's own end says the same
  }

  /** Submit the job and follow it to its end, whatever that is. */
  async run(submit) {
    try {
      this.job = await submit();
      this.part("id").textContent = this.job.id;
      for await (const event of this.job) this.see(event);
    } catch (error) {
      this.fail(error);
    }
  }

  see(event) {
    if (event.type === "token") {
      this.written += event.text;
      this.draw();
      return;
    }
    if (event.type === "done") {
      this.end(event);
      return;
    }
    switch (event.status) {
      case "started":
        this.state("running");
        break;
      case "chunked":
        this.total = event.chunks;
        break;
      case "sentiment_progress":
        this.part("progress").value = event.progress;
        this.chunks.push(event.chunk_result);
        break;
      case "summarization_progress":
        this.summarize(event.partial_summary, "…");
        break;
      case "summarization_complete":
        this.summarize(event.summary);
        break;
      case "entities_complete":
        this.entities = event.entities;
        this.list(event);
        break;
      default:
        if (event.status.endsWith("_error")) this.complain(`${event.status}: ${event.error.message}`);
    }
    this.draw();
  }

  end(event) {
    this.state(event.status);
    const { queued, run, stop } = event.timing_ms;
    const stopped = stop === undefined ? "" : `, the device was free ${Math.round(stop)} ms after the stop`;
    this.part("timing").textContent = `queued ${Math.round(queued)} ms, ran ${Math.round(run)} ms${stopped}`;
    if (event.status === "failed") this.complain(`${event.error.code}: ${event.error.message}`);
    this.draw();
  }

  fail(error) {
    this.state(error instanceof JobRejected ? "rejected" : "lost");
    const place = error.path ? ` (${error.path})` : "";
    this.complain(error instanceof ConnectionLost ? `lost: ${error.message}` : error.message + place);
  }

  complain(words) {
    const line = this.part("error");
    line.hidden = false;
    line.textContent = words;
  }

  summarize(text, more = "") {
    const section = this.part("summary");
    section.hidden = false;
    section.querySelector("p").textContent = text + more;
  }

  list({ entity_types: types, entities, total_entities: total }) {
    const section = this.part("entities");
    section.hidden = total === 0;
    const descriptions = new Map(entities.map((entity) => [entity.label, entity.description]));
    section.querySelector("dl").replaceChildren(
      ...Object.entries(types).flatMap(([label, names]) => {
        const term = element("dt", label);
        term.title = descriptions.get(label) ?? "";
        return [term, element("dd", [...new Set(names)].join(", "))];
      }),
    );
  }

  /** Draw at most once a frame, however many events come. */
  draw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      if (this.job?.task === "generate") this.drawWritten();
      else if (this.chunks.length || this.entities.length) this.drawRead();
    });
  }

  drawWritten() {
    const line = this.part("text");
    line.hidden = false;
    line.replaceChildren(element("span", this.text, "prompt"), this.written);
    line.scrollTop = line.scrollHeight;
  }

  drawRead() {
    const line = this.part("text");
    line.hidden = false;
    line.replaceChildren(...pieces(this.text, this.chunks, this.entities));
    const strip = this.part("strip");
    strip.hidden = !this.chunks.length;
    const waiting = Array.from({ length: (this.total ?? 0) - this.chunks.length }, () => element("span"));
    strip.replaceChildren(...this.chunks.map(cell), ...waiting);
  }
}

/** Return the text as nodes: coloured by chunk, entities marked, cut wherever either begins or ends. */
function pieces(text, chunks, entities) {
  const cuts = new Set([0, text.length]);
  for (const { start, end } of [...chunks, ...entities]) cuts.add(start).add(end);
  const places = [...cuts].sort((a, b) => a - b);
  return places.slice(1).map((end, index) => {
    const start = places[index];
    const within = (span) => span.start <= start && end <= span.end;
    const chunk = chunks.find(within);
    const entity = entities.find(within);
    const piece = element("span", text.slice(start, end));
    if (chunk) {
      piece.className = `chunk ${chunk.sentiment.toLowerCase()}`;
      piece.title = about(chunk);
    }
    if (!entity) return piece;
    const mark = element("mark");
    mark.title = `${entity.label}: ${entity.description}`;
    if (end === entity.end) mark.dataset.label = entity.label;
    mark.append(piece);
    return mark;
  });
}

function cell(chunk) {
  const made = element("span", MARKS[chunk.sentiment], chunk.sentiment.toLowerCase());
  made.title = about(chunk);
  return made;
}

function about(chunk) {
  return `chunk ${chunk.chunk}: ${chunk.sentiment.toLowerCase()}, ${Math.round(chunk.confidence * 100)} % sure`;
}

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// --- frames --------------------------------------------------------------------------------------

let frames = 0;
const begun = performance.now();

function log(direction, text) {
  frames += 1;
  byId("frame-count").textContent = frames;
  const box = byId("frames");
  const low = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const time = ((performance.now() - begun) / 1000).toFixed(3);
  box.append(`${time} ${direction} ${text}\n`);
  while (box.childNodes.length > FRAMES_SHOWN) box.firstChild.remove();
  if (low) box.scrollTop = box.scrollHeight;
}

// --- forms ---------------------------------------------------------------------------------------

function count() {
  const box = byId("text");
  const length = [...box.value].length;
  const most = box.dataset.most;
  byId("count").textContent = most ? `${length} of ${most} characters` : `${length} characters`;
}

byId("text").value = SAMPLE;
byId("text").addEventListener("input", count);

byId("process").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value;
  const fields = {
    text,
    include_sentiment: byId("sentiment").checked,
    include_summary: byId("summary").checked,
    include_entities: byId("entities").checked,
    chunk_size: byId("chunk-size").valueAsNumber,
    split: byId("split").value,
  };
  new Card("process", text).run(() => client.process(fields));
});

byId("generate").addEventListener("submit", (event) => {
  event.preventDefault();
  const prompt = byId("prompt").value;
  const fields = { prompt, max_tokens: byId("max-tokens").valueAsNumber };
  const temperature = byId("temperature").valueAsNumber;
  if (!Number.isNaN(temperature)) fields.temperature = temperature;
  new Card("generate", prompt).run(() => client.generate(fields));
});

byId("cancel-all").addEventListener("click", () => {
  for (const card of cards) if (card.running && card.job) card.state("cancelling");
  client.cancelAll().catch(() => {}); // each job's end says the same
});

byId("clear").addEventListener("click", () => {
  for (const card of cards) {
    if (card.running) continue;
    card.element.remove();
    cards.delete(card);
  }
  byId("empty").hidden = cards.size > 0;
});

byId("reconnect").addEventListener("click", open);

count();
open();
