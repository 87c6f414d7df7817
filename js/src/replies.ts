/**
 * Who waits for which answer. Answers come in the order of their questions, so each kind of question
 * has one line of its own.
 *
 * A question outlives the connection that it was sent on: it is sent again on the next one, unless
 * it is of those that must not be acted upon twice.
 */

import { type Deferred, deferred } from "./deferred.js";
import { WsprocError } from "./errors.js";
import type { ErrorFrame, Pong } from "./frames.js";
import type { Control, Reply } from "./types.js";

type Answer = Reply | Pong;

/** How a question is asked. */
export interface AskOptions<A> {
  /** Whether it may be sent again on another connection. */
  repeatable?: boolean;
  /** Called with the answer at once, before anything else comes in. */
  told?: (answer: A) => void;
}

interface Question {
  readonly frame: Control;
  readonly repeatable: boolean;
  readonly told: (answer: never) => void;
  readonly answer: Deferred<never>;
}

/** The questions that are open. */
export class Replies {
  #asked = new Map<string, Question[]>();

  /** Note a question that is about to be sent; return the promise of its answer. */
  expect<A extends Answer>(frame: Control, options: AskOptions<A> = {}): Promise<A> {
    const { repeatable = true, told = () => {} } = options;
    const answer = deferred<A>();
    const question = { frame, repeatable, told, answer: answer as unknown as Deferred<never> };
    const kind = kindOfQuestion(frame);
    this.#asked.set(kind, [...(this.#asked.get(kind) ?? []), question]);
    return answer.promise;
  }

  /** Hand an answer, as `told`, to the first who waits for one of its kind. */
  answer(reply: Answer, told: Answer): void {
    const [op, about] =
      reply.type === "pong" ? ["ping", reply.n] : [reply.op, "id" in reply ? reply.id : undefined];
    const question = this.#first(op, about);
    question?.told(told as never);
    question?.answer.resolve(told as never);
  }

  /** A question was an error to the server: fail the first who waits for an answer to such a one. */
  refuse({ error, re }: ErrorFrame): void {
    const refused = new WsprocError(error.code, `${error.code}: ${error.message}`);
    this.#first(re?.type ?? "", re?.id)?.answer.reject(refused);
  }

  /** The connection is gone: fail what must not be sent twice; the rest goes on. */
  interrupt(error: unknown): void {
    for (const [kind, questions] of this.#asked) {
      for (const one of questions) if (!one.repeatable) one.answer.reject(error);
      const rest = questions.filter((one) => one.repeatable);
      if (rest.length) this.#asked.set(kind, rest);
      else this.#asked.delete(kind);
    }
  }

  /** Return the questions that are open, or those like one, to be sent again. */
  unanswered(op?: string, about?: string | null): Control[] {
    const open = [...this.#asked.values()].flat().map((question) => question.frame);
    if (op === undefined) return open;
    return open.filter((frame) => frame.type === op && idOf(frame) === (about ?? undefined));
  }

  /** Fail everyone who waits. */
  fail(error: unknown): void {
    for (const question of [...this.#asked.values()].flat()) question.answer.reject(error);
    this.#asked.clear();
  }

  #first(op: string, about: string | number | null | undefined): Question | undefined {
    const kind = kindOf(op, about);
    const [first, ...rest] = this.#asked.get(kind) ?? [];
    if (rest.length) this.#asked.set(kind, rest);
    else this.#asked.delete(kind);
    return first;
  }
}

function kindOfQuestion(frame: Control): string {
  return kindOf(frame.type, frame.type === "ping" ? frame.n : idOf(frame));
}

function idOf(frame: Control): string | undefined {
  return "id" in frame ? (frame.id ?? undefined) : undefined;
}

function kindOf(op: string, about: string | number | null | undefined): string {
  return `${op} ${about ?? ""}`;
}
