/** What the tests of the client share. */

import { WebSocket } from "ws";
import { connect } from "../../wsproc/web/wsproc.js";
import { FakeServer } from "./fake-server.mjs";

/** Come back at once: the tests have no time to lose. */
export const SOON = { firstDelayMs: 1, maxDelayMs: 5, maxTimeMs: 5000 };

/** Connect as Node before 22 does, with a WebSocket from a library. */
export function open(url, options = {}) {
  return connect(url, { WebSocket, reconnect: SOON, ...options });
}

/** Run `body` with a server played by the test, a client of it and the server's end. */
export async function scripted(body, { welcome = {}, ...options } = {}) {
  const server = await FakeServer.listen();
  try {
    const opening = open(server.url, options);
    const peer = await server.peer();
    peer.welcome(welcome);
    const client = await opening;
    try {
      await body({ server, client, peer });
    } finally {
      await client.close();
    }
  } finally {
    await server.close();
  }
}

/** Return everything that an async iterable yields. */
export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** Return the details of the events that a target dispatches from now on. */
export function details(target, type) {
  const seen = [];
  target.addEventListener(type, (event) => seen.push(event.detail));
  return seen;
}
