/** A network between client and server that a test can cut and mend. */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Network {
  #server;
  #pairs = new Set();
  #up = true;

  /** Forward to a port of this machine. */
  static async to(port) {
    const network = new Network();
    network.#server = createServer((client) => network.#join(client, port));
    network.#server.listen(0, "127.0.0.1");
    await once(network.#server, "listening");
    return network;
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  /** Cut every connection without a word, and let none through from now on. */
  cut() {
    this.#up = false;
    for (const socket of this.#pairs) socket.resetAndDestroy();
  }

  mend() {
    this.#up = true;
  }

  async close() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client, port) {
    if (!this.#up) return client.resetAndDestroy();
    const server = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      this.#pairs.add(from);
      from.on("error", () => {}); // the close that follows says the same
      from.on("close", () => {
        this.#pairs.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
