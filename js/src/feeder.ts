/**
 * More text for jobs whose input goes on: each piece in its turn, and once.
 *
 * An `append` must not be acted upon twice, and its answer may be lost with the connection. The next
 * connection tells how long the job's text is, and by that whether the piece was taken.
 */

import type { Entry } from "./entry.js";
import { ConnectionLost, InputRefused } from "./errors.js";
import type { InputReply, JobInfo, JobsReply, Pong } from "./frames.js";
import type { Ledger } from "./ledger.js";
import type { AskOptions } from "./replies.js";
import type { Control, Reply } from "./types.js";

/** How a question is asked; rejects with ConnectionLost for what must not be asked twice. */
export type Ask = <A extends Reply | Pong>(frame: Control, options?: AskOptions<A>) => Promise<A>;

/** A piece of input. */
export interface Piece {
  readonly text?: string;
  readonly final: boolean;
}

/** Appends to and revises the texts of one client's jobs. */
export class Feeder {
  readonly #ledger: Ledger;
  readonly #ask: Ask;

  constructor(ledger: Ledger, ask: Ask) {
    this.#ledger = ledger;
    this.#ask = ask;
  }

  /** Add to a job's text. Rejects with InputRefused, ConnectionLost. */
  append(name: string, piece: Piece): Promise<InputReply> {
    return this.#inTurn(name, async (entry) => {
      const told = (reply: InputReply) => {
        if (reply.outcome === "ok")
          entry?.feed(entry.text + (piece.text ?? ""), reply, piece.final);
      };
      for (;;) {
        const frame: Control = { type: "append", id: this.#ledger.wireId(name), ...piece };
        try {
          return await this.#ask<InputReply>(frame, { repeatable: false, told });
        } catch (lost) {
          if (!entry || !(lost instanceof ConnectionLost)) throw lost;
          const reply = await this.#findOut(entry, piece, lost);
          if (!reply) continue;
          told(reply);
          return reply;
        }
      }
    });
  }

  /** Replace a job's text. Rejects with InputRefused, ConnectionLost. */
  revise(name: string, text: string): Promise<InputReply> {
    return this.#inTurn(name, (entry) => {
      const told = (reply: InputReply) => {
        if (reply.outcome === "ok") entry?.feed(text, reply, false);
      };
      return this.#ask({ type: "revise", id: this.#ledger.wireId(name), text }, { told });
    });
  }

  async #inTurn(
    name: string,
    work: (entry: Entry | undefined) => Promise<InputReply>,
  ): Promise<InputReply> {
    const entry = this.#ledger.entries.of(name);
    const before = entry?.feeding;
    const turn = (async () => {
      await before;
      return work(entry);
    })();
    if (entry) entry.feeding = turn.catch(() => {});
    const reply = await turn;
    if (reply.outcome !== "ok") throw new InputRefused(reply);
    return reply;
  }

  /** Return what became of a piece whose answer was lost; null where it never arrived. */
  async #findOut(entry: Entry, piece: Piece, lost: ConnectionLost): Promise<InputReply | null> {
    const { jobs } = await this.#ask<JobsReply>({ type: "jobs", id: entry.wireId });
    const [info] = jobs as (JobInfo | undefined)[];
    const reply = { type: "reply", op: "append", id: entry.job.id } as const;
    if (!info) return { ...reply, outcome: "unknown" };
    if (info.state === "done") return { ...reply, outcome: "done" };
    const before = charsOf(entry.text);
    const whole = before + charsOf(piece.text ?? "");
    if (info.text_length === whole && Boolean(info.final) === piece.final) {
      const { revision } = info;
      return { ...reply, outcome: "ok", text_length: whole, ...(revision != null && { revision }) };
    }
    if (info.text_length === before) return null;
    throw lost;
  }
}

/** Return how many characters a text has, as the server counts them. */
function charsOf(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
