/** Every frame in and out, as it was on the wire; a submit can be copied for elsewhere. */

import { byId, copyText, make, oncePerFrame } from "./dom.js";
import { asJavaScript, asPython, asWscat } from "./recipes.js";

const KEPT = 500;
const CONTROLS = new Set(["append", "revise", "cancel", "jobs", "resume", "auth", "ping"]);

export class Inspector {
  constructor(url) {
    this.url = url;
    this.entries = [];
    this.count = 0;
    this.paused = false;
    this.begun = performance.now();
    this.box = byId("frames");
    this.draw = oncePerFrame(() => this.drawNow());
    byId("frames-box").addEventListener("toggle", () => this.draw());
    for (const id of ["frames-job", "frames-type"]) byId(id).addEventListener("input", () => this.redraw());
    byId("frames-pause").addEventListener("click", () => this.pause());
    byId("frames-clear").addEventListener("click", () => this.clear());
  }

  /** Take note of a frame; `text` is what was on the wire. */
  add(direction, frame, text) {
    this.count += 1;
    if (this.paused) return;
    const seconds = (performance.now() - this.begun) / 1000;
    this.entries.push({ direction, frame, text, seconds, job: frame.id ?? frame.re?.id ?? "", fresh: true });
    if (this.entries.length > KEPT) this.entries.shift().element?.remove();
    this.draw();
  }

  pause() {
    this.paused = !this.paused;
    byId("frames-pause").textContent = this.paused ? "Go on" : "Pause";
    byId("frames-pause").setAttribute("aria-pressed", String(this.paused));
  }

  clear() {
    this.entries = [];
    this.box.replaceChildren();
    this.draw();
  }

  redraw() {
    for (const entry of this.entries) entry.fresh = true;
    this.box.replaceChildren();
    this.draw();
  }

  drawNow() {
    byId("frame-count").textContent = this.count;
    if (!byId("frames-box").open) return;
    const low = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    const fresh = this.entries.filter((entry) => entry.fresh);
    for (const entry of fresh) {
      entry.fresh = false;
      if (!this.wanted(entry)) continue;
      entry.element = this.row(entry);
      this.box.append(entry.element);
    }
    if (low) this.box.scrollTop = this.box.scrollHeight;
    this.offerJobs();
  }

  wanted({ job, frame }) {
    const [one, kind] = [byId("frames-job").value, byId("frames-type").value.trim().toLowerCase()];
    return (!one || job === one) && title(frame).toLowerCase().includes(kind);
  }

  /** Keep the list of jobs to filter by what has come. */
  offerJobs() {
    const box = byId("frames-job");
    const known = new Set([...box.options].map((option) => option.value));
    for (const { job } of this.entries) {
      if (job && !known.has(job)) {
        known.add(job);
        box.append(make("option", { value: job }, job));
      }
    }
  }

  row({ direction, frame, text, seconds, job }) {
    const way = direction === "out" ? "→" : "←";
    const summary = make(
      "summary",
      {},
      make("span", { className: "dim" }, seconds.toFixed(3)),
      make(
        "span",
        { className: `way ${direction}`, "aria-label": direction === "out" ? "sent" : "received" },
        way,
      ),
      make("b", {}, title(frame)),
      make("span", { className: "dim" }, job),
      make("code", {}, text.length > 160 ? `${text.slice(0, 160)}…` : text),
    );
    const details = make("details", { className: "frame" }, summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1)
        details.append(...this.inside(direction, frame, text));
    });
    return details;
  }

  inside(direction, frame, text) {
    const pretty = make("pre", { tabIndex: 0 }, JSON.stringify(JSON.parse(text), null, 2));
    const buttons = [["Copy JSON", () => text]];
    if (direction === "out" && !CONTROLS.has(frame.type)) {
      buttons.push(
        ["Copy as wscat", () => asWscat(JSON.parse(text), this.url)],
        ["Copy as Python", () => asPython(JSON.parse(text), this.url)],
        ["Copy as JavaScript", () => asJavaScript(JSON.parse(text), this.url)],
      );
    }
    const row = make(
      "div",
      { className: "row" },
      ...buttons.map(([words, recipe]) => copyButton(words, recipe)),
    );
    return [row, pretty];
  }
}

function copyButton(words, recipe) {
  const button = make("button", { type: "button", className: "quiet" }, words);
  button.addEventListener("click", async () => {
    await copyText(recipe());
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = words;
    }, 1500);
  });
  return button;
}

/** What kind of frame it is, in a word or two. */
function title({ type, status, op, outcome }) {
  return [type, op, status, outcome].filter(Boolean).join(" ");
}
