/** A server that a test plays by hand, frame by frame. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import { WebSocketServer } from "ws";

const SCHEMA = JSON.parse(readFileSync(new URL("../../docs/schema.json", import.meta.url), "utf8"));
const isClientFrame = new Ajv({ strict: false, allErrors: true }).compile({
  ...SCHEMA,
  anyOf: [{ $ref: "#/$defs/ClientFrame" }],
});
const OWN_TASKS = ["order", "proces"];

export const LIMITS = {
  max_frame_bytes: 262144,
  max_text_chars: 5000,
  max_texts: 64,
  max_jobs: 256,
  max_tokens: 1024,
};

/** Hands out its connections in order, each in the hands of the test. */
export class FakeServer {
  #server;
  #peers = new Mailbox();

  static async listen(port = 0) {
    const server = new FakeServer();
    server.#server = new WebSocketServer({
      host: "127.0.0.1",
      port,
      handleProtocols: (offered) => (offered.has("wsproc.v1") ? "wsproc.v1" : false),
    });
    server.#server.on("connection", (socket, request) => {
      server.#peers.put(new Peer(socket, request.headers));
    });
    await once(server.#server, "listening");
    return server;
  }

  get port() {
    return this.#server.address().port;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Return the next connection. */
  peer() {
    return this.#peers.take();
  }

  async close() {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** The server's end of one connection. */
export class Peer {
  #socket;
  #frames = new Mailbox();

  constructor(socket, headers) {
    this.#socket = socket;
    this.protocols = (headers["sec-websocket-protocol"] ?? "").split(/, */);
    this.closed = once(socket, "close").then(([code, reason]) => [code, String(reason)]);
    this.closed.then(([code]) => this.#frames.end(new Error(`the client is gone (${code})`)));
    socket.on("message", (data) => this.#take(JSON.parse(data)));
  }

  /** Keep a frame for the test; whatever the client sends must be one by the schema. */
  #take(frame) {
    const valid = OWN_TASKS.includes(frame.type) || isClientFrame(frame);
    if (valid) this.#frames.put(frame);
    else this.#frames.end(new Error(`no frame of wsproc.v1: ${JSON.stringify(frame)}`));
  }

  send(...frames) {
    for (const frame of frames) {
      this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    }
  }

  welcome(more = {}) {
    this.send({
      type: "welcome",
      protocol: "wsproc.v1",
      server: "0",
      session: "first",
      epoch: "e",
      tasks: ["process", "batch", "generate"],
      limits: LIMITS,
      resume_s: 30,
      heartbeat_s: 0,
      ...more,
    });
  }

  /** Return the next frame that the client sent. */
  frame() {
    return this.#frames.take();
  }

  close(code, reason = "") {
    this.#socket.close(code, reason);
  }

  /** Cut the connection, as a network does. */
  drop() {
    this.#socket.terminate();
  }
}

/** Things that come, and those who wait for them. */
class Mailbox {
  #things = [];
  #waiting = [];
  #ended = null;

  put(thing) {
    const first = this.#waiting.shift();
    if (first) first.resolve(thing);
    else this.#things.push(thing);
  }

  /** Nothing comes any more. */
  end(error) {
    this.#ended = error;
    for (const { reject } of this.#waiting) reject(error);
  }

  async take() {
    if (this.#things.length) return this.#things.shift();
    if (this.#ended) throw this.#ended;
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

// --- frames --------------------------------------------------------------------------------------

export const accepted = (id, more = {}) => ({
  type: "accepted",
  id,
  seq: 1,
  position: 0,
  eta_ms: null,
  ...more,
});
export const token = (id, seq, text) => ({ type: "token", id, seq, text });
export const status = (id, seq, name, fields = {}) => ({
  type: "status",
  status: name,
  id,
  seq,
  ...fields,
});
const end = (id, seq) => ({ type: "done", id, seq, usage: {}, timing_ms: { queued: 0, run: 1 } });
export const completed = (id, seq, result) => ({
  ...end(id, seq),
  status: "completed",
  message: "",
  total_processing_time: 0,
  timestamp: "",
  result,
});
export const cancelled = (id, seq, reason = "client", partial_result = undefined) => ({
  ...end(id, seq),
  status: "cancelled",
  reason,
  partial_result,
});
export const resumed = (jobs, outcome = "ok") => ({ type: "reply", op: "resume", outcome, jobs });
export const known = (last_seq, recovered = true) => ({ last_seq, recovered });
export const replayed = (frame) => ({ ...frame, replay: true });
