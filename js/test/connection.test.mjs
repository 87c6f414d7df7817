/** How a client gets its connection and how it ends: token, refusals, silence, abort. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { ConnectFailed, ConnectionLost, JobLost, ProtocolError } from "../../wsproc/web/wsproc.js";
import { accepted, FakeServer, token } from "./fake-server.mjs";
import { details, open, scripted } from "./helpers.mjs";

/** Run `body` with a server and nothing connected to it. */
async function listening(body) {
  const server = await FakeServer.listen();
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

const TOKEN = "sécret/+token";
const BEARER = `wsproc.bearer.${Buffer.from(TOKEN).toString("base64url")}`;

// --- the token -----------------------------------------------------------------------------------

test("without a token only the protocol is offered", () =>
  scripted(async ({ peer }) => assert.deepEqual(peer.protocols, ["wsproc.v1"])));

test("a token is offered as a subprotocol beside the protocol's own", () =>
  scripted(async ({ peer }) => assert.deepEqual(peer.protocols, ["wsproc.v1", BEARER]), {
    token: TOKEN,
  }));

for (const auth of ["frame", "subprotocol"]) {
  test(`a server that asks for the token gets it in a frame, auth: ${auth}`, () =>
    listening(async (server) => {
      const sent = [];
      const options = { token: TOKEN, auth, onSend: (frame) => sent.push(frame) };
      const opening = open(server.url, options);
      const peer = await server.peer();
      assert.equal(peer.protocols.includes(BEARER), auth === "subprotocol");
      peer.send({ type: "welcome", auth: "required" });
      assert.deepEqual(await peer.frame(), { type: "auth", token: TOKEN });
      peer.welcome();
      await (await opening).close();
      assert.deepEqual(sent, [{ type: "auth", token: "(hidden)" }]);
    }));
}

test("a server that asks for a token where there is none is told apart by the code", () =>
  listening(async (server) => {
    const opening = open(server.url);
    (await server.peer()).send({ type: "welcome", auth: "required" });
    await assert.rejects(opening, (error) => {
      assert.ok(error instanceof ConnectFailed);
      assert.deepEqual([error.code, error.retryable], ["unauthorized", false]);
      assert.match(error.message, /option token/);
      return true;
    });
  }));

test("a refused token ends the connecting with the server's words", () =>
  listening(async (server) => {
    const opening = open(server.url, { token: TOKEN });
    (await server.peer()).close(4401, "the token has expired");
    await assert.rejects(opening, (error) => {
      assert.deepEqual([error.code, error.closeCode], ["unauthorized", 4401]);
      assert.match(error.message, /the token has expired/);
      assert.ok(!error.message.includes(TOKEN));
      return true;
    });
  }));

test("a token source is asked before each connection; a fresh token answers an expired one", async () => {
  let asked = 0;
  const source = async () => `token-${++asked}`;
  await scripted(
    async ({ server, client, peer }) => {
      peer.close(4401, "the token has expired");
      const again = await server.peer();
      assert.equal(again.protocols[1], `wsproc.bearer.${btoa("token-2").replace(/=+$/, "")}`);
      again.close(4401, "no");
      const lost = await client.closed;
      assert.deepEqual([lost.code, lost.closeCode], ["unauthorized", 4401]);
      assert.equal(asked, 2);
    },
    { token: source },
  );
});

test("a token source that fails says so", () =>
  listening(async (server) => {
    const cause = new Error("login first");
    const opening = open(server.url, { token: () => Promise.reject(cause) });
    await assert.rejects(opening, (error) => {
      assert.ok(error instanceof ConnectFailed);
      assert.match(error.message, /login first/);
      assert.equal(error.cause, cause);
      return true;
    });
  }));

// --- no connection -------------------------------------------------------------------------------

test("nobody there is told at once, as something to try again", async () => {
  await assert.rejects(open("ws://127.0.0.1:1"), (error) => {
    assert.ok(error instanceof ConnectFailed);
    assert.deepEqual([error.code, error.retryable], ["connect_failed", true]);
    return true;
  });
});

test("a server that turns the client away is quoted", () =>
  listening(async (server) => {
    const opening = open(server.url);
    (await server.peer()).close(4403, "origin not allowed");
    await assert.rejects(opening, (error) => {
      assert.deepEqual([error.closeCode, error.retryable], [4403, false]);
      assert.match(error.message, /origin not allowed/);
      return true;
    });
  }));

test("an HTTP refusal is no reason to come back, and 401 is about the token", async () => {
  const http = createServer((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  await assert.rejects(open(`ws://127.0.0.1:${http.address().port}`), (error) => {
    assert.deepEqual([error.code, error.retryable], ["unauthorized", false]);
    return true;
  });
  http.close();
});

test("a server that says nothing is given up after openTimeoutMs", () =>
  listening(async (server) => {
    await assert.rejects(open(server.url, { openTimeoutMs: 30 }), (error) => {
      assert.ok(error instanceof ConnectFailed);
      assert.match(error.message, /said nothing within 0\.03 s/);
      return true;
    });
  }));

test("what cannot be an address, or has no WebSocket, is refused in words", async () => {
  await assert.rejects(open("gopher://x"), ConnectFailed);
  await assert.rejects(open(undefined), /needs an address/);
});

test("an aborted signal gives up the connecting with its reason", () =>
  listening(async (server) => {
    await assert.rejects(open(server.url, { signal: AbortSignal.abort(new Error("no")) }), /no/);
    const later = new AbortController();
    const opening = open(server.url, { signal: later.signal });
    later.abort(new Error("changed my mind"));
    await assert.rejects(opening, /changed my mind/);
    await assert.rejects(open(server.url, { signal: AbortSignal.timeout(20) }), {
      name: "TimeoutError",
    });
  }));

// --- the end -------------------------------------------------------------------------------------

test("close ends everything that waits, and the server sees a plain close", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate({ prompt: "x" });
    peer.send(accepted("js-1"));
    await job.accepted;
    const asked = [client.ping(), client.jobs(), job.cancel()];
    const states = details(client, "state");
    const ended = await client.close();
    assert.ok(ended instanceof ConnectionLost);
    assert.deepEqual([ended.code, ended.closeCode], ["connection_lost", 1000]);
    assert.deepEqual((await peer.closed)[0], 1000);
    for (const promise of asked) await assert.rejects(promise, ConnectionLost);
    await assert.rejects(job.result, (error) => {
      assert.ok(error instanceof JobLost);
      assert.deepEqual([error.code, error.jobId, error.closeCode], ["lost", "js-1", 1000]);
      assert.equal(error.cause, ended);
      return true;
    });
    assert.deepEqual(
      states.map(({ phase }) => phase),
      ["closed"],
    );
    await assert.rejects(client.generate({ prompt: "x" }).result, JobLost);
    await assert.rejects(client.ping(), ConnectionLost);
  }));

test("a server that does not answer the close is left after two seconds", {
  timeout: 10_000,
}, async () => {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => {
    socket.send(JSON.stringify({ type: "welcome", session: "s", limits: {}, heartbeat_s: 0 }));
    socket._socket.pause(); // it reads nothing from now on
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const client = await open(`ws://127.0.0.1:${server.address().port}`);
  assert.equal((await client.close()).closeCode, 1000);
  for (const socket of server.clients) socket.terminate();
  server.close();
});

test("what fails without a server leaves others their turn", () =>
  scripted(async ({ client }) => {
    await client.close();
    const tries = [
      () => client.generate({ prompt: "Once" }).result,
      () => client.generate({ prompt: "Once", id: "no such id" }).result,
      () => client.ping(),
    ];
    for (const again of tries) {
      let over = false;
      setTimeout(() => {
        over = true;
      });
      while (!over) await assert.rejects(again());
    }
  }));

test("an abort later closes the client with the signal's reason", async () => {
  const controller = new AbortController();
  await scripted(
    async ({ client, peer }) => {
      const job = client.generate({ prompt: "x" });
      controller.abort(new Error("enough"));
      assert.match((await client.closed).message, /enough/);
      await assert.rejects(job.result, /enough/);
      assert.equal((await peer.closed)[0], 1000);
    },
    { signal: controller.signal },
  );
});

for (const [name, frame] of [
  ["no JSON", "{"],
  ["no object", "null"],
  ["a number out of turn", token("js-1", 4, "x")],
  ["a number again", token("js-1", 1, "x")],
]) {
  test(`${name} is a protocol error, which ends the client`, () =>
    scripted(async ({ client, peer }) => {
      const job = client.generate({ prompt: "x" });
      peer.send(accepted("js-1"), token("js-1", 2, "x"), frame);
      await assert.rejects(job.result, ProtocolError);
      assert.ok((await client.closed) instanceof ProtocolError);
      await assert.rejects(client.ping(), { code: "protocol_error" });
      assert.equal((await peer.closed)[0], 4000);
    }));
}

test("an accepted that is not frame 1 is a protocol error", () =>
  scripted(async ({ client, peer }) => {
    const job = client.generate({ prompt: "x" });
    peer.send(accepted("js-1", { seq: 2 }));
    await assert.rejects(job.accepted, ProtocolError);
  }));

// --- silence -------------------------------------------------------------------------------------

test("a server that falls silent is asked, then left for a new connection", () =>
  scripted(
    async ({ server, client, peer }) => {
      const states = details(client, "state");
      assert.deepEqual(await peer.frame(), { type: "ping" });
      const again = await server.peer();
      again.welcome({ session: "second", heartbeat_s: 0 });
      assert.equal((await again.frame()).type, "resume");
      assert.equal(states[0].phase, "reconnecting");
      assert.equal(states[0].cause.closeCode, 4504);
    },
    { welcome: { heartbeat_s: 0.01 } },
  ));

test("whatever comes counts as a sign of life", () =>
  scripted(
    async ({ client, peer }) => {
      const states = details(client, "state");
      for (let n = 0; n < 3; n++) {
        assert.deepEqual(await peer.frame(), { type: "ping" });
        peer.send({ type: "pong" }, { type: "heartbeat", t: 1 }, { type: "weather" });
      }
      assert.deepEqual(states, []);
    },
    { welcome: { heartbeat_s: 0.05 } },
  ));

// --- the user's own functions --------------------------------------------------------------------

test("taps see the frames both ways, as they are", async () => {
  const sent = [];
  const came = [];
  const onFrame = (frame, text) => came.push([frame, JSON.parse(text)]);
  await scripted(
    async ({ client, peer }) => {
      const ping = client.ping();
      assert.deepEqual(await peer.frame(), { type: "ping", n: 1 });
      peer.send({ type: "pong", n: 1 });
      assert.ok((await ping) >= 0);
    },
    { onFrame, onSend: (frame) => sent.push(frame) },
  );
  assert.deepEqual(sent, [{ type: "ping", n: 1 }]);
  assert.deepEqual(
    came.map(([frame]) => frame.type),
    ["welcome", "pong"],
  );
  for (const [frame, text] of came) assert.deepEqual(frame, text);
});

test("a tap that throws is an uncaught error of its own and harms nothing here", async (t) => {
  const uncaught = [];
  const hold = (error) => uncaught.push(error.message);
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", hold);
  t.after(() => {
    process.off("uncaughtException", hold);
    for (const listener of before) process.on("uncaughtException", listener);
  });
  const onFrame = () => {
    throw new Error("the tap's own");
  };
  await scripted(
    async ({ client, peer }) => {
      const ping = client.ping();
      await peer.frame();
      peer.send({ type: "pong", n: 1 });
      await ping;
    },
    { onFrame },
  );
  assert.deepEqual([...new Set(uncaught)], ["the tap's own"]);
});
