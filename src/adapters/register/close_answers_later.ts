/**
 * Answers of `node:http2` in Bun over a socket of this library. Natively a program runs between two
 * frames. Here all frames of a chunk are parsed without a pause, so a program that awaits
 * "response" finds a stream that is `closed`, and an iteration over a closed stream fails, whatever
 * bytes wait in it:
 *
 *   HEADERS, DATA, END_STREAM in one chunk --> 'response', closed
 *     --> microtasks: the program begins to iterate, `closed` is still false --> ticks --> true
 *
 * @module
 */
import { nextTick } from "node:process";
import type { Readable } from "node:stream";
import { type Exports, replaceFunction } from "./node_modules.ts";

/** The stream is not `closed` before the program could run after the last frame. */
function closeLater(answer: Readable): void {
  const { push } = answer;
  let isHeld = false;
  answer.push = (chunk, ...rest) => {
    if (chunk === null && answer.readableLength > 0 && !answer.destroyed) {
      isHeld = true;
      queueMicrotask(() =>
        nextTick(() => {
          isHeld = false;
        })
      );
    }
    return Reflect.apply(push, answer, [chunk, ...rest]);
  };
  Object.defineProperty(answer, "closed", {
    configurable: true,
    get: (): boolean => !isHeld && Reflect.get(Object.getPrototypeOf(answer), "closed", answer),
  });
}

/** From now on the answers to the requests of this session close later. */
export function closeAnswersLater(session: Exports): void {
  const { request } = session;
  replaceFunction(session, "request", function (this: unknown, ...args: unknown[]): Readable {
    const answer = Reflect.apply(request, this, args) as Readable;
    closeLater(answer);
    return answer;
  });
}
