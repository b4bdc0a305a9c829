/**
 * Bytes from one connection to another.
 *
 *   from --recvSome--> chunk --send--> to        one chunk is sent while the next one is awaited
 *
 * Received buffers are moved into the sends, so no bytes are copied. The memory of one direction is
 * two chunks at most: a chunk is sent only once the kernel has taken the one before it.
 *
 * Each direction ends with its first failure. A send that fails also ends the pending receive,
 * because a quiet source must not hide the end of the target.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { NetworkError } from "../base/network_error.ts";
import type { IoBuf } from "../buf/io_buf.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import type { Connection } from "../net/connection/connection.ts";
import { abortReceive, Stream } from "../net/recv/stream.ts";
import { Sink } from "../net/send/sink.ts";
import { CallBudget, type Task } from "./call_budget.ts";

/**
 * Sends every byte that `from` receives to `to`, until the end of the stream. Neither end is closed
 * or half-closed. No other call may receive from `from` meanwhile. A copy that fails may have
 * received more bytes than it has sent. When its receive fails, its last send may still be pending:
 * `close` of the target waits for that send.
 *
 * @param from A connection, or its receiving half.
 * @param to A connection, or its sending half.
 * @param options A signal, and a budget for the whole copy. There is no budget by default.
 * @returns The number of bytes, once the kernel has taken all of them.
 * @throws {NetworkError} The first error of either side: `"RecvFailed"`, `"SendFailed"` or
 * `"Closed"`. `"Timeout"`: the budget ran out.
 * @throws {TypeError} An argument has a wrong type.
 * @throws {RangeError} `timeoutMs` is out of range.
 * @throws The reason of the signal, when the signal is aborted.
 *
 * @example
 * ```ts
 * import { copy, Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept();
 * await using client = await network.dial(listener.localAddress);
 * await using server = await accepting;
 *
 * await client.sink.send("to be echoed");
 * await client.sink.close();
 * console.log(await copy(server, server)); // 12
 * console.log((await client.stream.recv(12)).text()); // to be echoed
 * ```
 */
export async function copy(
  from: Connection | Stream,
  to: Connection | Sink,
  options?: CallOptions,
): Promise<number> {
  const stream = streamOf("from", from);
  const sink = sinkOf("to", to);
  return await copyBytes(stream, sink, new CallBudget(options));
}

/**
 * Copies in both directions at once, as a proxy does. The end of one direction is passed on as a
 * half close, and the other direction goes on. When a direction fails, is aborted or runs out of
 * time, both connections are reset: a peer must not take a stream that was cut off for a complete
 * one.
 *
 * @param a A connection.
 * @param b Another connection.
 * @param options A signal, and a budget for the whole copy. There is no budget by default.
 * @returns The bytes of each direction, once both have ended. The connections are half-closed then.
 * The caller closes them.
 * @throws {NetworkError} The first error of either side: `"RecvFailed"`, `"SendFailed"` or
 * `"Closed"`. `"Timeout"`: the budget ran out.
 * @throws {TypeError} An argument has a wrong type.
 * @throws {RangeError} `timeoutMs` is out of range.
 * @throws The reason of the signal, when the signal is aborted.
 *
 * @example
 * ```ts
 * import { copyBidirectional, Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * await using upstream = await network.bind("127.0.0.1:0");
 * await using proxy = await network.bind("127.0.0.1:0");
 * const [serving, accepting] = [upstream.accept(), proxy.accept()];
 * await using client = await network.dial(proxy.localAddress);
 * const [a, b] = [await accepting, await network.dial(upstream.localAddress)];
 * const copying = copyBidirectional(a, b);
 *
 * await client.sink.send("request");
 * await client.sink.close();
 * await using server = await serving;
 * console.log((await server.stream.recv(7)).text()); // request
 * await server.sink.close();
 * const { aToB, bToA } = await copying;
 * console.log(aToB, bToA); // 7 0
 * await Promise.all([a.close(), b.close()]);
 * ```
 */
export async function copyBidirectional(
  a: Connection,
  b: Connection,
  options?: CallOptions,
): Promise<{ aToB: number; bToA: number }> {
  const ends = [
    [streamOf("a", a), sinkOf("b", b)],
    [streamOf("b", b), sinkOf("a", a)],
  ] as const;
  // A copy that is aborted before its beginning ends its connections as well.
  const budget = new CallBudget(options, null, () => resetBoth(a, b));
  const directions = ends.map(async ([stream, sink]) => {
    const count = await copyBytes(stream, sink, budget);
    await sink.close();
    return count;
  });
  try {
    const [aToB, bToA] = await Promise.all(directions);
    return { aToB, bToA };
  } catch (error) {
    resetBoth(a, b);
    // No call of this function is pending when it rejects.
    await Promise.allSettled(directions);
    throw error;
  }
}

function resetBoth(...connections: Connection[]): void {
  for (const connection of connections) {
    try {
      connection.reset();
    } catch {
      // A stand-in of the program. The error that led here says more, and the other one is reset.
    }
  }
}

const COPY: Task = { operation: "copy", action: "copy" };

async function copyBytes(stream: Stream, sink: Sink, budget: CallBudget): Promise<number> {
  let sentBytes = 0;
  let pendingBytes = 0;
  let failure: { error: unknown } | null = null;
  let receiving = false;
  const sendDone = (): void => {
    sentBytes += pendingBytes;
  };
  const sendFailed = (error: unknown): void => {
    failure = { error };
    if (error instanceof NetworkError) sentBytes += error.bytesDone;
    if (receiving) abortReceive(stream, error);
  };
  let sending: Promise<void> | null = null;
  for (;;) {
    const { isOver } = budget;
    let chunk: IoBuf | null = null;
    try {
      receiving = true;
      if (!isOver) chunk = await stream.recvSome(undefined, budget.left);
      receiving = false;
    } catch (error) {
      // After a failed receive, the end of the send must not end a receive of the program.
      receiving = false;
      // The time of the pending send is over as well, and the bytes that it sent count.
      if (budget.endedCall(error)) await sending;
      throw budget.failure(error, COPY, stream, sentBytes);
    }
    await sending;
    if (failure !== null) {
      chunk?.release();
      throw budget.failure((failure as { error: unknown }).error, COPY, stream, sentBytes);
    }
    if (isOver) throw budget.timeout(COPY, stream, sentBytes);
    if (chunk === null) return sentBytes;
    pendingBytes = chunk.length;
    sending = sink.send(chunk, budget.left).then(sendDone, sendFailed);
  }
}

function streamOf(name: string, from: Connection | Stream): Stream {
  const stream = from instanceof Stream ? from : (from as Partial<Connection> | null)?.stream;
  return stream instanceof Stream ? stream : check.fail(name, "a Connection or a Stream", from);
}

function sinkOf(name: string, to: Connection | Sink): Sink {
  const sink = to instanceof Sink ? to : (to as Partial<Connection> | null)?.sink;
  return sink instanceof Sink ? sink : check.fail(name, "a Connection or a Sink", to);
}
