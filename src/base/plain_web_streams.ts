/**
 * Web streams of the runtime that take no option from a polluted `Object.prototype`: their
 * constructors look there for each field that is missing.
 *
 * @module
 */

/** An object with these fields and no prototype. */
function withoutPrototype<T extends object>(fields: T): T {
  return Object.assign(Object.create(null), fields);
}

/** A byte stream that asks its source only when a consumer reads. */
function readable(source: UnderlyingByteSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(withoutPrototype(source), withoutPrototype({ highWaterMark: 0 }));
}

/** A stream whose writer waits for each chunk. */
function writable(target: UnderlyingSink<Uint8Array>): WritableStream<Uint8Array> {
  return new WritableStream(withoutPrototype(target), withoutPrototype({ highWaterMark: 1 }));
}

export const plainWebStreams = { readable, writable };
