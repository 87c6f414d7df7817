/** A text that is read while it is typed: one live job, revised at each change. */

import { Card } from "./card.js";
import { byId } from "./dom.js";

export class Live {
  /** `show` puts a card on the page; `clientOf` returns the client, null while there is none. */
  constructor(show, clientOf) {
    this.card = null;
    this.show = show;
    this.clientOf = clientOf;
    byId("live-text").addEventListener("input", () => this.changed());
    byId("live").addEventListener("submit", (event) => {
      event.preventDefault();
      this.finish();
    });
  }

  changed() {
    const text = byId("live-text").value;
    if (this.card?.running) this.revise(text);
    else if (text.trim() && this.clientOf()) this.begin(text);
  }

  begin(text) {
    const fields = { text, live: true, split: "sentence", chunk_size: 120, include_summary: false };
    const card = new Card("process", text, () => this.clientOf().process(fields));
    card.part("task").textContent = "live";
    card.revisions = new Map([[0, text]]);
    this.card = card;
    this.show(card);
  }

  async revise(text) {
    const { job, revisions } = this.card;
    try {
      const { revision } = await job.revise(text);
      revisions.set(revision, text);
      revisions.delete(revision - 100);
    } catch (error) {
      byId("live-note").textContent = error.message;
    }
  }

  finish() {
    if (this.card?.running)
      this.card.job.append(undefined, { final: true }).catch((error) => this.card.complain(error.message));
    this.card = null;
  }
}
