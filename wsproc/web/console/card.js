/** One job on the page: it is submitted, followed to its end, and drawn as it goes. */

import { JobRejected } from "../wsproc.js";
import { byId, inWords, make, oncePerFrame } from "./dom.js";
import { aboutChunk, legendNodes, stripNodes, textNodes } from "./reading.js";

const RUNNING = ["queued", "running", "cancelling"];

export class Card {
  /** `submit` returns the client's job; `remove` is called when the card has been taken away. */
  constructor(task, text, submit) {
    const part = byId("job-template").content.cloneNode(true);
    this.element = part.querySelector(".job");
    this.task = task;
    this.text = text;
    this.written = "";
    this.tokens = 0;
    this.chunks = [];
    this.total = 0;
    this.entities = [];
    this.hidden = new Set();
    this.begun = performance.now();
    this.draw = oncePerFrame(() => this.drawNow());
    this.part("task").textContent = task;
    this.part("cancel").addEventListener("click", () => this.cancel());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.running) this.cancel();
    });
    this.setState("queued");
    this.ended = this.follow(submit);
  }

  part(name) {
    return this.element.querySelector(`.job-${name}`);
  }

  get running() {
    return RUNNING.includes(this.element.dataset.state);
  }

  setState(state) {
    this.element.dataset.state = state;
    this.part("state").textContent = state;
    this.part("cancel").hidden = !this.running;
    this.part("cancel").disabled = state === "cancelling";
    if (state !== "queued") this.part("queue").textContent = "";
  }

  cancel() {
    if (!this.job || !this.running || this.element.dataset.state === "cancelling") return;
    this.setState("cancelling");
    this.job.cancel().catch(() => {}); // the job's own end says the same
  }

  async follow(submit) {
    try {
      this.job = submit();
      this.part("id").textContent = this.job.id;
      this.element.setAttribute("aria-label", `Job ${this.job.id}, ${this.task}`);
      this.job.accepted.then(
        (accepted) => this.queued(accepted),
        () => {},
      );
      for await (const event of this.job) this.see(event);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Tell where the job stands in the queue; `position` is that of the latest snapshot. */
  queued({ position, eta_ms: eta }) {
    if (this.element.dataset.state !== "queued") return;
    const ahead = position === 0 ? "next in the queue" : `${position} before it in the queue`;
    this.part("queue").textContent = eta == null ? ahead : `${ahead}, about ${inWords(eta)}`;
  }

  see(event) {
    if (event.type === "token") {
      this.tokens += 1;
      this.firstToken ??= performance.now();
      this.written += event.text;
    } else if (event.type === "done") {
      this.end(event);
    } else {
      this.status(event);
    }
    this.draw();
  }

  status(event) {
    switch (event.status) {
      case "started":
        this.setState("running");
        break;
      case "snapshot":
        this.takeUp(event.partial_result ?? {});
        break;
      case "chunked":
        this.total = event.chunks;
        break;
      case "sentiment_progress":
        this.part("progress").value = event.progress;
        this.total = event.total_items;
        if (event.revision === undefined) this.chunks.push(event.chunk_result);
        break;
      case "sentiment_complete":
        this.chunks = event.chunk_sentiments;
        this.total = this.chunks.length;
        this.overall = event;
        if (event.revision !== undefined) this.text = this.revisions?.get(event.revision) ?? this.text;
        break;
      case "summarization_progress":
        this.summary = `${event.partial_summary} …`;
        break;
      case "summarization_complete":
        this.summary = event.summary;
        this.compression = event.compression_ratio;
        break;
      case "entities_complete":
        this.entities = event.entities;
        break;
      default:
        if (event.status.endsWith("_error")) this.complain(`${event.status}: ${event.error.message}`);
    }
  }

  /** Go on from what was finished: the log of the job was cut while the connection was gone. */
  takeUp(partial) {
    this.written = partial.text ?? this.written;
    this.chunks = partial.sentiment?.chunk_sentiments ?? this.chunks;
    this.summary = partial.summary?.summary ?? this.summary;
    this.entities = partial.entities?.entities ?? this.entities;
  }

  end(event) {
    this.setState(event.status);
    const { queued, run, stop } = event.timing_ms;
    const words = [`queued ${inWords(queued)}`, `ran ${inWords(run)}`];
    if (stop !== undefined) words.push(`the device was free ${inWords(stop)} after the stop`);
    if (this.tokens > 1) words.push(`${this.speed()} tokens/s`);
    this.part("timing").textContent = words.join(" · ");
    if (event.status === "failed") this.complain(`${event.error.code}: ${event.error.message}`);
    if (event.status === "cancelled" && event.reason !== "client") {
      this.complain(`stopped by the server: ${event.reason}`);
    }
  }

  speed() {
    const seconds = (performance.now() - this.firstToken) / 1000;
    return Math.round((this.tokens - 1) / Math.max(seconds, 0.001));
  }

  fail(error) {
    this.setState(error instanceof JobRejected ? "rejected" : "lost");
    this.complain(error.path ? `${error.message} (${error.path})` : error.message);
  }

  complain(words) {
    const line = this.part("error");
    line.hidden = false;
    line.textContent = line.textContent ? `${line.textContent}; ${words}` : words;
  }

  drawNow() {
    if (this.task === "generate") this.drawWritten();
    else this.drawRead();
    const summary = this.part("summary");
    summary.hidden = this.summary === undefined;
    summary.querySelector("p").textContent = this.summary ?? "";
    summary.querySelector(".dim").textContent =
      this.compression === undefined ? "" : `${Math.round(this.compression * 100)} % of the text`;
  }

  drawWritten() {
    const line = this.part("text");
    line.hidden = false;
    const low = line.scrollHeight - line.scrollTop - line.clientHeight < 30;
    line.replaceChildren(make("span", { className: "prompt" }, this.text), this.written);
    if (low) line.scrollTop = line.scrollHeight;
    this.part("count").textContent = this.tokens ? `${this.tokens} tokens, ${this.speed()} a second` : "";
  }

  drawRead() {
    const line = this.part("text");
    line.hidden = this.chunks.length + this.entities.length === 0;
    line.replaceChildren(...textNodes(this.text, this.chunks, this.entities, this.hidden));
    const strip = this.part("strip");
    strip.hidden = this.total === 0 || this.chunks.length === 0;
    if (!strip.contains(document.activeElement) || this.running) {
      strip.replaceChildren(...stripNodes(this.chunks, this.total, (chunk) => this.point(chunk)));
    }
    this.part("count").textContent = this.tally();
    const legend = this.part("legend");
    legend.hidden = this.entities.length === 0;
    legend.replaceChildren(...legendNodes(this.entities, this.hidden, () => this.drawRead()));
  }

  /** Say what the chunks are together. */
  tally() {
    if (!this.overall) return this.total ? `${this.chunks.length} of ${this.total} chunks` : "";
    const {
      overall_sentiment: all,
      positive_chunks: p,
      neutral_chunks: u,
      negative_chunks: n,
    } = this.overall;
    return `${all.toLowerCase()} over all: ${p} positive, ${u} neutral, ${n} negative`;
  }

  /** Show which part of the text a cell of the strip is about. */
  point(chunk) {
    this.part("count").textContent = aboutChunk(chunk);
    for (const piece of this.element.querySelectorAll(".chunk")) {
      piece.classList.toggle("pointed", piece.dataset.chunk === String(chunk.chunk));
    }
    this.element.querySelector(".pointed")?.scrollIntoView({ block: "nearest" });
  }
}
