/**
 * The order of the calls that receive messages from one stream.
 *
 *   free --begin, wait--> taken --end, no call waits--> free
 *                           \----end, a call waits----> taken, by the first call that waits
 *
 * A codec makes several calls of the stream for one message: first the length, then the body. Calls
 * of two messages that mix would read the body of one message as the length of another.
 *
 * Invariants
 * - At most one codec receives from the stream at a time. Calls get their turns in the order in
 *   which they were made.
 * - A call that waits for its turn has its budget and its signal, and leaves the queue with them.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { Fifo, type Linked } from "../base/fifo.ts";
import { COUNT } from "../base/meter.ts";
import { NetworkError } from "../base/network_error.ts";
import { Call } from "../net/call/call.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import { socketOf, type Stream } from "../net/recv/stream.ts";
import type { Socket } from "../net/socket/socket.ts";

const known = new WeakMap<Stream, MessageTurns>();

export class MessageTurns {
  /** Null for a stand-in of a program, whose calls are in the program's own order. */
  readonly #socket: Socket | null;
  readonly #waiting = new Fifo<TurnCall>();
  #isTaken = false;

  private constructor(stream: Stream) {
    this.#socket = socketOf(stream);
  }

  /** The turns of a stream, which all its users share. */
  static of(stream: Stream): MessageTurns {
    let turns = known.get(stream);
    if (turns === undefined) known.set(stream, turns = new MessageTurns(stream));
    return turns;
  }

  /** Takes the turn, unless another call has it. */
  begin(): boolean {
    if (this.#isTaken && this.#socket !== null) return false;
    return this.#isTaken = true;
  }

  /**
   * Resolves once the call has the turn. Rejects with "Timeout", and with the reason of the signal.
   * Throws the errors of wrong options.
   */
  wait(options: CallOptions | undefined): Promise<void> {
    assert(this.#socket !== null, "a turn that is taken belongs to a socket");
    const call = new TurnCall(this.#waiting, this.#socket);
    call.prepare(options, this.#socket.context.config.readTimeoutMs);
    return call.start<void>();
  }

  /** Ends the turn. */
  readonly end = (): void => {
    const next = this.#waiting.shift();
    if (next === null) this.#isTaken = false;
    else next.succeed(undefined);
  };
}

/** One call that waits for its turn. */
class TurnCall extends Call implements Linked<TurnCall> {
  next: TurnCall | null = null;
  previous: TurnCall | null = null;
  readonly #queue: Fifo<TurnCall>;
  readonly #socket: Socket;

  constructor(queue: Fifo<TurnCall>, socket: Socket) {
    super();
    this.#queue = queue;
    this.#socket = socket;
  }

  override get loopReference(): Socket {
    return this.#socket;
  }

  override expire(): void {
    const { context, peerName } = this.#socket;
    context.recvRing.meter.counts[COUNT.timeoutsRecv]++;
    const happened = `${this.timeoutMs} ms passed before its turn came`;
    this.abort(
      new NetworkError(`Cannot receive a message from ${peerName}: ${happened}`, {
        code: "Timeout",
        operation: "decode",
      }),
    );
  }

  override abort(reason: unknown): void {
    this.#queue.remove(this);
    this.fail(reason);
  }

  protected override enqueue(): void {
    this.#queue.push(this);
  }
}
