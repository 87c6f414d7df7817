/** The page's one connection: made, made again, and shown; a token is asked for where one is needed. */

import { connect } from "../wsproc.js";
import { byId, inWords } from "./dom.js";

const KEPT_AS = "wsproc.token";

export class Link {
  /** `onOpen` is called with the client whenever a first connection stands. */
  constructor({ onOpen, onFrame, onSend }) {
    this.client = null;
    this.onOpen = onOpen;
    this.options = { onFrame, onSend };
    this.timer = 0;
    byId("reconnect").addEventListener("click", () => (this.client ? this.client.retryNow() : this.open()));
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEPT_AS, byId("token").value);
      byId("token").value = "";
      this.open();
    });
  }

  async open() {
    this.show("connecting", "connecting");
    byId("token-form").hidden = true;
    const token = sessionStorage.getItem(KEPT_AS) ?? undefined;
    try {
      const client = await connect(location.origin, { ...this.options, token });
      this.client = client;
      client.addEventListener("state", ({ detail }) => this.follow(detail));
      this.follow(client.state);
      this.onOpen(client);
      client.closed.then((error) => this.lost(error));
    } catch (error) {
      this.lost(error);
    }
  }

  /** Show where the connection stands. */
  follow({ phase, tries, delayMs, resumed }) {
    clearInterval(this.timer);
    if (phase === "open") {
      const again = { true: ", jobs taken up again", false: ", in a new session" }[resumed] ?? "";
      this.show("open", `connected to wsproc ${this.client.welcome.server}${again}`);
    } else if (phase === "draining") {
      this.show("draining", "the server is about to close; new jobs wait for the next one");
    } else if (phase === "reconnecting") {
      this.count(tries, delayMs ?? 0);
    }
  }

  /** Count down to the next try. */
  count(tries, delayMs) {
    const due = performance.now() + delayMs;
    const tell = () => {
      const left = Math.max(0, due - performance.now());
      this.show("reconnecting", left > 50 ? `lost; try ${tries} in ${inWords(left)}` : `lost; try ${tries}`);
    };
    tell();
    this.timer = setInterval(tell, 250);
  }

  lost(error) {
    clearInterval(this.timer);
    this.client = null;
    if (error.code === "unauthorized") {
      sessionStorage.removeItem(KEPT_AS);
      byId("token-form").hidden = false;
      byId("token").focus();
      this.show("lost", "this server asks for a token");
    } else {
      this.show("lost", error.message);
    }
  }

  show(state, words) {
    const pill = byId("connection");
    if (pill.dataset.state !== state || pill.textContent !== words) {
      pill.dataset.state = state;
      pill.textContent = words;
    }
    byId("reconnect").hidden = state !== "lost" && state !== "reconnecting";
    byId("reconnect").textContent = state === "reconnecting" ? "Now" : "Connect again";
    for (const button of document.querySelectorAll(".primary, #cancel-all")) {
      button.disabled = this.client === null;
    }
  }
}
