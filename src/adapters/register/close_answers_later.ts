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
 * A stream that the program closes or destroys is closed at once.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { setImmediate } from "node:timers";
import { type Exports, replaceFunction } from "./node_modules.ts";

interface Answer extends Readable {
  close(...args: unknown[]): void;
}

/** The stream is not `closed` before the program could run after the last frame. */
function closeLater(answer: Answer): void {
  const { close, push } = answer;
  let isHeld = false;
  const release = (): void => {
    isHeld = false;
  };
  answer.push = (chunk, ...rest) => {
    if (chunk === null && answer.readableLength > 0) {
      isHeld = true;
      setImmediate(release);
    }
    return Reflect.apply(push, answer, [chunk, ...rest]);
  };
  answer.close = (...args) => {
    Reflect.apply(close, answer, args);
    release();
  };
  Object.defineProperty(answer, "closed", {
    configurable: true,
    get: (): boolean => {
      const isLater = isHeld && !answer.destroyed && !answer.readableEnded;
      return !isLater && Reflect.get(Object.getPrototypeOf(answer), "closed", answer);
    },
  });
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
