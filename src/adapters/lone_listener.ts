/**
 * The condition under which bytes may bypass a readable stream: the stream would pass them on at
 * once and unchanged, to a single listener of 'data'.
 *
 * @module
 */
import type { Duplex } from "node:stream";

interface Listened {
  _events: { data?: unknown };
}

/** The only listener of 'data'. Another kind of value when there is none, or more than one. */
function of(stream: Duplex): unknown {
  return (stream as unknown as Listened)._events.data;
}

/** The only listener of 'data', if it is the runtime's function of this name; otherwise null. */
function named(stream: Duplex, name: string): object | null {
  const found = of(stream);
  return typeof found === "function" && found.name === name ? found : null;
}

/** Whether the stream flows, holds no bytes and decodes none. */
function isTransparent(stream: Duplex): boolean {
  return stream.readableFlowing === true && stream.readableLength === 0 &&
    stream.readableEncoding === null;
}

export const loneListener = { of, named, isTransparent };
