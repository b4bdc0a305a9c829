/**
 * The event for the chunks that a `read()` has left.
 *
 *   read() returns one chunk, others are left --> the next tick: 'readable', unless they are gone
 *
 * In Node 20 a `read()` without a size returns all bytes that have arrived, so programs call it
 * once for each 'readable'. The streams of the runtimes return one chunk, and say nothing of the
 * others: a full stream asks for no more bytes, and without new bytes there is no event.
 *
 * @module
 */
import { nextTick } from "node:process";
import type { Readable } from "node:stream";

type Read = Readable["read"];

/** The streams that have an event to come. */
const announced = new WeakSet<Readable>();

function announce(stream: Readable): void {
  if (stream.readableFlowing || stream.readableLength === 0 || announced.has(stream)) return;
  announced.add(stream);
  nextTick(() => {
    announced.delete(stream);
    if (stream.readableFlowing || stream.readableLength === 0 || stream.destroyed) return;
    stream.emit("readable");
  });
}

/** `read`, which announces what it leaves. */
export function announcingRest(read: Read): Read {
  return function (this: Readable, size?: number): unknown {
    const chunk: unknown = Reflect.apply(read, this, [size]);
    if (chunk !== null && (size === undefined || size === null)) announce(this);
    return chunk;
  };
}
