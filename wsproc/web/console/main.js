/** The console page: forms that submit jobs, a card for each job, and every frame on request. */

import { Card } from "./card.js";
import { byId } from "./dom.js";
import { Inspector } from "./inspector.js";
import { Link } from "./link.js";
import { Live } from "./live.js";

const SAMPLE = `The new library in Harbour Street is wonderful, and I love its bright reading room. \
Helen Ashworth, who designed it for the city of Westmoor, wept with joy at the opening on Saturday.

The building cost 14.5 million pounds. It was paid for by Calder & Finch and the Ministry of Culture.

The café, however, is a terrible disappointment: the coffee was cold, the staff were rude, and I hated \
every minute of the queue. Mayor Priya Raman promised on Monday that it will close for repairs until June.`;

const WATCH_MS = 1000;
const THEMES = ["auto", "light", "dark"];

const cards = new Set();
const inspector = new Inspector(location.origin.replace(/^http/, "ws"));
const link = new Link({
  onOpen: ready,
  onFrame: (frame, text) => inspector.add("in", frame, text),
  onSend: (frame) => inspector.add("out", frame, JSON.stringify(frame)),
});

/** Fit the forms to what the server offers. */
function ready(client) {
  const { limits, tasks } = client.welcome;
  byId("text").dataset.most = limits.max_text_chars;
  byId("max-tokens").max = limits.max_tokens;
  byId("tab-generate").hidden = !tasks.includes("generate");
  count();
}

// --- jobs ----------------------------------------------------------------------------------------

function show(card) {
  cards.add(card);
  byId("jobs").prepend(card.element);
  byId("empty").hidden = true;
  watch();
}

let watching = 0;

/** Ask now and then where waiting jobs stand, for as long as some wait. */
function watch() {
  watching ||= setInterval(async () => {
    const waiting = [...cards].filter((card) => card.element.dataset.state === "queued" && card.job);
    if (!waiting.length) {
      clearInterval(watching);
      watching = 0;
      return;
    }
    const found = await link.client?.jobs().catch(() => []);
    const places = new Map((found ?? []).map((job) => [job.id, job.position]));
    for (const card of waiting) {
      const position = places.get(card.job.id);
      if (position !== undefined) card.queued({ position });
    }
  }, WATCH_MS);
}

new Live(show, () => link.client);

// --- forms ---------------------------------------------------------------------------------------

function count() {
  const box = byId("text");
  const most = box.dataset.most;
  const length = [...box.value].length.toLocaleString("en");
  byId("count").textContent = most ? `${length} of ${Number(most).toLocaleString("en")} characters` : "";
}

/** Return the numbers that were given; what is left empty is the server's or the model's own. */
function numbers(fields) {
  const given = Object.entries(fields).map(([name, id]) => [name, byId(id).valueAsNumber]);
  return Object.fromEntries(given.filter(([, value]) => !Number.isNaN(value)));
}

byId("process").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value;
  const fields = {
    text,
    include_sentiment: byId("sentiment").checked,
    include_summary: byId("summary").checked,
    include_entities: byId("entities").checked,
    split: byId("split").value,
    ...numbers({ chunk_size: "chunk-size" }),
  };
  show(new Card("process", text, () => link.client.process(fields)));
});

byId("generate").addEventListener("submit", (event) => {
  event.preventDefault();
  const prompt = byId("prompt").value;
  const options = {
    max_tokens: "max-tokens",
    temperature: "temperature",
    top_p: "top-p",
    top_k: "top-k",
    seed: "seed",
  };
  const fields = { prompt, ...numbers(options) };
  if (byId("stop").value) fields.stop = [byId("stop").value];
  show(new Card("generate", prompt, () => link.client.generate(fields)));
});

byId("text").value = SAMPLE;
byId("text").addEventListener("input", count);

byId("file").addEventListener("change", () => read(byId("file").files[0]));
byId("text").addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("text").classList.add("dropping");
});
byId("text").addEventListener("dragleave", () => byId("text").classList.remove("dropping"));
byId("text").addEventListener("drop", (event) => {
  byId("text").classList.remove("dropping");
  const file = event.dataTransfer.files[0];
  if (!file) return; // dropped text goes its usual way
  event.preventDefault();
  read(file);
});

/** Take the text of a file. */
async function read(file) {
  if (!file) return;
  byId("text").value = await file.text();
  byId("text").setSelectionRange(0, 0);
  count();
}

// --- tabs, buttons, keys -------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];

function choose(tab) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", String(chosen));
    one.tabIndex = chosen ? 0 : -1;
    byId(one.getAttribute("aria-controls")).hidden = !chosen;
  }
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const shown = tabs.filter((one) => !one.hidden);
    const next = shown[(shown.indexOf(tab) + by + shown.length) % shown.length];
    choose(next);
    next.focus();
  });
}

byId("cancel-all").addEventListener("click", () => {
  for (const card of cards) if (card.running && card.job) card.setState("cancelling");
  link.client?.cancelAll().catch(() => {}); // each job's end says the same
});

byId("clear").addEventListener("click", () => {
  for (const card of cards) {
    if (card.running) continue;
    card.element.remove();
    cards.delete(card);
  }
  byId("empty").hidden = cards.size > 0;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const form = document.querySelector("[role=tabpanel]:not([hidden]) form");
    if (!form.querySelector(".primary").disabled) form.requestSubmit();
  } else if (event.key === "?" && !event.target.closest("textarea, input")) {
    byId("keys").showModal();
  }
});

byId("show-keys").addEventListener("click", () => byId("keys").showModal());

/** Use a theme from now on; `auto` is the system's. */
function dress(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `theme: ${theme}`;
  localStorage.setItem("wsproc.theme", theme);
}

byId("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme;
  dress(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
});

dress(THEMES.find((theme) => theme === localStorage.getItem("wsproc.theme")) ?? "auto");
choose(tabs[0]);
count();
link.open();
