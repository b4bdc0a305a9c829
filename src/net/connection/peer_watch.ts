/**
 * Notices the peer's end without receiving, for `peerFinished` and `signal` of a connection. Made
 * when one of them is first used.
 *
 *   poll: FIN                                 -> peerFinished() resolves
 *   poll: the end of both halves, or an error -> peerFinished() resolves, the signal is aborted
 *   the descriptor is closed                  -> the signal is aborted
 *
 * Invariants
 * - The poll is in flight only while a call or the signal waits for an event. The socket closes its
 *   descriptor when the poll is idle.
 * - The signal is aborted once, in a microtask with the async context in which it was first used:
 *   listeners never run inside a turn, whose context may be that of another connection. A signal
 *   that is made after the end is aborted at once, because it has no listener yet.
 * - Only pending calls keep the process alive, not the signal.
 *
 * @module
 */
import { errnoText } from "../../base/errno.ts";
import { Fifo, type Linked } from "../../base/fifo.ts";
import {
  internalReason,
  NetworkError,
  type NetworkErrorDetails,
} from "../../base/network_error.ts";
import { Call } from "../call/call.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import { POLL_EVENT } from "../../ring/op_writer.ts";
import type { Socket } from "../socket/socket.ts";
import type { SocketHalf } from "../socket/socket_half.ts";
import { PeerPoll, type PeerPollOwner } from "./peer_poll.ts";

/** One `peerFinished()`. */
class FinishedCall extends Call implements Linked<FinishedCall> {
  next: FinishedCall | null = null;
  previous: FinishedCall | null = null;
  readonly #watch: PeerWatch;

  constructor(watch: PeerWatch) {
    super();
    this.#watch = watch;
  }

  override get loopReference(): LoopReference {
    return this.#watch.socket;
  }

  protected override enqueue(): void {
    this.#watch.add(this);
  }

  override expire(): void {
    const happened = `${this.timeoutMs} ms passed`;
    this.abort(finishedError(this.#watch.socket, happened, { code: "Timeout" }));
  }

  override abort(reason: unknown): void {
    this.#watch.drop(this);
    this.fail(reason);
  }
}

/** The error of a `peerFinished()` that ends without the peer's end. */
function finishedError(
  { peerName }: Socket,
  happened: string,
  details: Omit<NetworkErrorDetails, "operation">,
): NetworkError {
  const message = `Cannot await the end of ${peerName}: ${happened}`;
  return new NetworkError(message, { ...details, operation: "peerFinished" });
}

function abortNow(controller: AbortController, peer: string, happened: string): void {
  const what = `Cannot use the connection to ${peer}: ${happened}`;
  controller.abort(new NetworkError(what, { code: "Closed", operation: "close" }));
}

export class PeerWatch implements SocketHalf, PeerPollOwner {
  readonly socket: Socket;
  readonly #calls = new Fifo<FinishedCall>();
  #poll: PeerPoll | null = null;
  #controller: AbortController | null = null;
  /** Calls a function in a microtask, in the context in which the signal was first used. */
  #abortLater: ((abort: () => void) => void) | null = null;
  /** The reason why the connection takes no more calls. */
  #reason: CloseReason | null = null;
  #finished = false;
  /** Whether the signal is aborted, or is about to be. */
  #isOver = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Resolves on the peer's FIN or reset. Rejects: "Closed", "Timeout", the signal's reason. */
  finished(options: CallOptions | undefined): Promise<void> {
    const call = new FinishedCall(this);
    call.prepare(options, null);
    if (this.#reason !== null) throw this.#closedError(this.#reason);
    if (this.#finished) return Promise.resolve();
    return call.start<void>();
  }

  /** Adds a call that has begun to wait. */
  add(call: FinishedCall): void {
    this.#calls.push(call);
    this.#request();
  }

  /** Aborted once the connection is over. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      const controller = this.#controller = new AbortController();
      if (this.#reason !== null && this.socket.isClosed) {
        this.#isOver = true;
        abortNow(controller, this.socket.peerName, this.#reason.happened);
        return controller.signal;
      }
      // A reaction of a promise has the async context of the program, which a turn has not.
      void new Promise<() => void>((resolve) => this.#abortLater = resolve).then((abort) =>
        abort()
      );
      if (this.#reason === null) this.#request();
    }
    return this.#controller.signal;
  }

  /** Removes a call that timed out or was aborted. */
  drop(call: FinishedCall): void {
    this.#calls.remove(call);
    if (!this.wantsEvents) this.#poll?.cancel();
  }

  /** Ends pending calls with "Closed", and refuses later ones. */
  abandon(reason: CloseReason): void {
    this.#reason ??= reason;
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.fail(this.#closedError(reason));
    }
  }

  cancel(): boolean {
    return this.#poll === null || this.#poll.cancel();
  }

  get isIdle(): boolean {
    return this.#poll === null || this.#poll.isIdle;
  }

  /** Called when the descriptor is closed. */
  release(): void {
    this.#poll?.release();
    this.#poll = null;
    this.#abort(this.#reason?.happened ?? "the connection was closed");
  }

  get wantsEvents(): boolean {
    if (this.#reason !== null) return false;
    return this.#calls.head !== null || (this.#controller !== null && !this.#isOver);
  }

  came(events: number): void {
    if ((events & (POLL_EVENT.error | POLL_EVENT.hangUp)) !== 0) {
      this.#abort("the connection has ended");
    }
    this.#finished = true;
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.succeed(undefined);
    }
    if (!this.wantsEvents) this.#poll?.cancel();
  }

  /** Fails the pending calls. The signal is still aborted when the descriptor is closed. */
  failed(errno: number, cause: unknown): void {
    const happened = cause === undefined ? errnoText(errno) : internalReason(cause);
    const details = { code: "RecvFailed", errno, cause } as const;
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.fail(finishedError(this.socket, happened, details));
    }
  }

  landed(): void {
    if (this.socket.ending) this.socket.landed();
  }

  #request(): void {
    const { fd, context } = this.socket;
    this.#poll ??= new PeerPoll(context.recvRing, fd, this);
    this.#poll.request();
  }

  #abort(happened: string): void {
    const controller = this.#controller;
    if (controller === null || this.#isOver) return;
    this.#isOver = true;
    const { peerName } = this.socket;
    this.#abortLater?.(() => abortNow(controller, peerName, happened));
  }

  #closedError(reason: CloseReason): NetworkError {
    const { socket } = this;
    const cause = reason.error(socket.peerName);
    return finishedError(socket, reason.happened, { code: "Closed", cause });
  }
}
