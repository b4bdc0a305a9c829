/**
 * Answers of `node:http2` in Bun over a socket of this library. Natively a program runs between two
 * frames. Here all frames of a chunk are parsed without a pause, so a program that awaits
 * "response" finds a stream that is `closed`, and an iteration over a closed stream fails, whatever
 * bytes wait in it:
 *
 *   HEADERS, DATA, END_STREAM in one chunk --> 'response', closed
 *     --> microtasks, ticks: the program begins to iterate, `closed` is still false
 *     --> the next macrotask, or the end of the bytes: true
 *
 * A stream that the program closes or destroys meanwhile ends at once, as natively.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { setImmediate } from "node:timers";
import { type Exports, replaceFunction } from "./node_modules.ts";

interface Answer extends Readable {
  close(code?: number, callback?: () => void): void;
  rstCode: number;
}

/** The stream is not `closed` before the program could run after the last frame. */
function closeLater(answer: Answer): void {
  const { close, push } = answer;
  let isHeld = false;
  const release = (): void => {
    isHeld = false;
  };
  const isLater = (): boolean => isHeld && !answer.destroyed && !answer.readableEnded;
  const isClosed = (): boolean => Reflect.get(Object.getPrototypeOf(answer), "closed", answer);
  answer.push = (chunk, ...rest) => {
    if (chunk === null && answer.readableLength > 0) {
      isHeld = true;
      setImmediate(release);
    }
    return Reflect.apply(push, answer, [chunk, ...rest]);
  };
  answer.close = (code, callback) => {
    // The runtime does nothing for a stream that it has closed.
    if (isLater() && isClosed()) end(answer, code, callback);
    else Reflect.apply(close, answer, [code, callback]);
    release();
  };
  Object.defineProperty(answer, "closed", {
    configurable: true,
    get: (): boolean => !isLater() && isClosed(),
  });
}

/** Ends a stream as `close` ends one that is open: bytes that are not read yet are dropped. */
function end(answer: Answer, code: number | undefined, callback?: () => void): void {
  if (callback !== undefined) answer.once("close", callback);
  answer.rstCode = code ?? 0;
  setImmediate(() => void answer.destroy());
}

/** From now on the answers to the requests of this session close later. */
export function closeAnswersLater(session: Exports): void {
  const { request } = session;
  replaceFunction(session, "request", function (this: unknown, ...args: unknown[]): Readable {
    const answer = Reflect.apply(request, this, args) as Answer;
    closeLater(answer);
    return answer;
  });
}
