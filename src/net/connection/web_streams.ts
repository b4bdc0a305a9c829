/**
 * The halves of a connection as web streams, for code that needs the standard interface. Each chunk
 * costs a copy and about 0.5 us. `Stream` and `Sink` are the direct way.
 *
 * @module
 */
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";
import { plainWebStreams } from "../../base/plain_web_streams.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import { CloseReason } from "../call/close_reason.ts";
import type { Sink } from "../send/sink.ts";
import { abandonStream, type Stream } from "../recv/stream.ts";

/** Ends the web stream, also for a reader that brought its own memory. */
function end(controller: ReadableByteStreamController): void {
  controller.close();
  controller.byobRequest?.respond(0);
}

/** Receives into the memory that the reader brought. */
async function receiveInto(
  stream: Stream,
  controller: ReadableByteStreamController,
  request: ReadableStreamBYOBRequest,
): Promise<void> {
  const wanted = (request.view as ArrayBufferView).byteLength;
  using chunk = await stream.recvSome(Math.min(wanted, LIMITS.lengthMax));
  if (chunk === null) return end(controller);
  const { view } = request;
  if (view === null) return; // The reader was cancelled meanwhile.
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(chunk.bytes);
  request.respond(chunk.length);
}

/**
 * Receives when the consumer pulls, so that the consumer applies backpressure. The web stream is a
 * byte stream: readers may bring their own memory.
 */
function readable(stream: Stream): ReadableStream<Uint8Array<ArrayBuffer>> {
  let controller: ReadableByteStreamController;
  const deliver = (chunk: IoBuf | null): void => {
    if (chunk === null) end(controller);
    else controller.enqueue(chunk.toUint8Array());
  };
  return plainWebStreams.readable({
    type: "bytes",
    start(given) {
      controller = given;
    },
    // An async function would cost 0.1 us for each chunk.
    pull() {
      const request = controller.byobRequest;
      return request === null
        ? stream.recvSome().then(deliver)
        : receiveInto(stream, controller, request);
    },
    cancel() {
      const reason = new CloseReason("the readable stream was cancelled");
      abandonStream(stream, reason, "cancelled", "atOnce");
    },
  });
}

/**
 * Sends each chunk. A write resolves when the kernel has taken the bytes. The controller's signal
 * reports an abort at once. The runtime would call an `abort` function only after the pending
 * write, which never ends when the peer does not read.
 */
function writable(sink: Sink, reset: () => void): WritableStream<Uint8Array> {
  return plainWebStreams.writable({
    start(controller) {
      intrinsics.listenToAbort(controller.signal, reset);
    },
    write: (chunk) => sink.send(chunk),
    close: () => sink.close(),
  });
}

/** The two web streams of a connection. */
export const webStreams = { readable, writable };
