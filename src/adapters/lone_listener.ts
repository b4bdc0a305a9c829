/**
 * The condition under which bytes may go past a readable stream: it would hand them to one listener
 * of 'data', at once and as they are.
 *
 * @module
 */
import type { Duplex } from "node:stream";

interface Listened {
  _events: { data?: unknown };
}

/** The one listener of 'data'. Another value when there is none, or more than one. */
function of(stream: Duplex): unknown {
  return (stream as unknown as Listened)._events.data;
}

/** The one listener of 'data', when the runtime's function of this name listens; else null. */
function named(stream: Duplex, name: string): object | null {
  const found = of(stream);
  return typeof found === "function" && found.name === name ? found : null;
}

/** Whether the stream flows, holds no bytes and decodes none. */
function isNext(stream: Duplex): boolean {
  return stream.readableFlowing === true && stream.readableLength === 0 &&
    stream.readableEncoding === null;
}

export const loneListener = { of, named, isNext };
