/**
 * `readable` and `writable` of a connection, with Deno's rules: the whole connection closes when
 * the readable stream ends or is cancelled, when the writable stream is closed or aborted, and when
 * either fails.
 *
 * @module
 */
import { queueMicrotask } from "../../base/queue_microtask.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";
import { plainWebStreams } from "../../base/plain_web_streams.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import { streamClosed } from "./errors.ts";

/** The part of a connection that its streams use. */
export interface StreamEnds {
  readonly closed: boolean;
  /** 1 to `maxLength` bytes, null at the end of the stream. Rejects with Deno's errors. */
  receive(maxLength: number | undefined): Promise<IoBuf | null>;
  send(bytes: Uint8Array): Promise<void>;
  /** Closes the connection unless it is closed. */
  finish(): void;
}

function readable(ends: StreamEnds): ReadableStream<Uint8Array<ArrayBuffer>> {
  const receive = async (maxLength?: number): Promise<IoBuf | null> => {
    if (ends.closed) throw streamClosed();
    // In Deno a receive begins a little later than the read. It rejects with "Interrupted" when the
    // connection is closed after that, and with "BadResource" when it is closed before.
    let pending = false;
    queueMicrotask(() => pending = !ends.closed);
    try {
      return await ends.receive(maxLength);
    } catch (error) {
      const isLate = ends.closed && !pending;
      // A stream that has failed cannot be cancelled, which would close the connection.
      ends.finish();
      throw isLate ? streamClosed() : error;
    }
  };
  return plainWebStreams.readable({
    type: "bytes",
    async pull(controller) {
      const request = controller.byobRequest;
      const wanted = request?.view?.byteLength;
      using chunk = await receive(
        wanted === undefined ? undefined : Math.min(wanted, LIMITS.lengthMax),
      );
      if (chunk === null) {
        ends.finish();
        controller.close();
        request?.respond(0);
        return;
      }
      const view = request?.view ?? null;
      if (request === null || view === null) {
        // The reader that brought memory may have been released meanwhile. The next one gets the
        // bytes.
        controller.enqueue(new Uint8Array(chunk.bytes));
        return;
      }
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(chunk.bytes);
      request.respond(chunk.length);
    },
    cancel() {
      ends.finish();
    },
  });
}

/** The bytes of a chunk that a program wrote to the stream. */
function chunkBytes(chunk: unknown): Uint8Array {
  if (ArrayBuffer.isView(chunk)) return intrinsics.bytesOf(chunk);
  if (intrinsics.isArrayBuffer(chunk)) return new Uint8Array(chunk);
  throw new TypeError("Expected ArrayBuffer or ArrayBufferView for write chunk");
}

function writable(ends: StreamEnds): WritableStream<Uint8Array<ArrayBufferLike>> {
  return plainWebStreams.writable({
    start(controller) {
      // The signal reports an abort at once. The `abort` callback waits for a pending write, which
      // a peer that does not read can delay without end.
      intrinsics.listenToAbort(controller.signal, () => ends.finish());
    },
    async write(chunk) {
      try {
        if (ends.closed) throw streamClosed();
        await ends.send(chunkBytes(chunk));
      } catch (error) {
        ends.finish();
        throw error;
      }
    },
    close() {
      ends.finish();
    },
  });
}

/** The two streams of a connection. */
export const connStreams = { readable, writable };
