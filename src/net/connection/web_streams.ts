/**
 * The halves of a connection as web streams: lazy views, for code that wants them. Each chunk costs
 * a copy and about 0.5 us; `Stream` and `Sink` are the direct way.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import { CloseReason } from "../call/close_reason.ts";
import type { Sink } from "../send/sink.ts";
import type { Stream } from "../recv/stream.ts";

/** The end of the stream, for a reader that brought memory as well. */
function end(controller: ReadableByteStreamController): void {
  controller.close();
  controller.byobRequest?.respond(0);
}

/** Receives into the reader's own memory, as much as it has. */
async function fill(
  stream: Stream,
  controller: ReadableByteStreamController,
  request: ReadableStreamBYOBRequest,
): Promise<void> {
  const wanted = (request.view as ArrayBufferView).byteLength;
  using chunk = await stream.recvSome(Math.min(wanted, LIMITS.lengthMax));
  if (chunk === null) return end(controller);
  const { view } = request;
  if (view === null) return; // The reader cancelled meanwhile.
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(chunk.bytes);
  request.respond(chunk.length);
}

/**
 * Pulls from `stream` when the consumer wants more; backpressure is the consumer's. A byte stream:
 * readers may bring their own memory.
 */
function readable(stream: Stream): ReadableStream<Uint8Array<ArrayBuffer>> {
  let controller: ReadableByteStreamController;
  const give = (chunk: IoBuf | null): void => {
    if (chunk === null) end(controller);
    else controller.enqueue(chunk.toUint8Array());
  };
  return new ReadableStream({
    type: "bytes",
    start(given) {
      controller = given;
    },
    // Not async: that costs 0.1 us for each chunk.
    pull() {
      const request = controller.byobRequest;
      return request === null ? stream.recvSome().then(give) : fill(stream, controller, request);
    },
    cancel() {
      stream.abandon(new CloseReason("the readable stream was cancelled"));
    },
  });
}

/**
 * Writes to `sink`; a write resolves when the kernel has the bytes. The signal tells of an abort at
 * once: an `abort` of the sink would be called when no write is under way, which may be never with
 * a peer that does not read.
 */
function writable(sink: Sink, reset: () => void): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    start(controller) {
      controller.signal.addEventListener("abort", reset, { once: true });
    },
    write: (chunk) => sink.send(chunk),
    close: () => sink.close(),
  });
}

/** The two views. */
export const webStreams = { readable, writable };
