/**
 * Waiting until the peer has finished, without receiving: one poll serves all calls of a
 * connection.
 *
 *   open --poll completes--> finished: FIN or a reset has come, every call succeeds at once
 *     \--the connection ends--> closed: every call fails
 *
 * Invariants
 * - At most one poll is in flight. It stays there when its calls time out or are aborted, and
 *   serves the next one; the end of the socket cancels it.
 * - A poll that fails ends the calls that wait for it and nothing else: the next call polls again.
 * - A pending call keeps the process alive, a poll without calls does not.
 *
 * @module
 */
import { Fifo, type Linked } from "../../base/fifo.ts";
import { errnoText } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { internalReason, NetworkError, type NetworkErrorCode } from "../../base/network_error.ts";
import { Operation } from "../../ring/operation.ts";
import { type OpWriter, POLL_EVENT } from "../../ring/op_writer.ts";
import { Call } from "../call/call.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import { outcomeOf } from "../call/outcome.ts";
import { Retrier } from "../call/retrier.ts";
import type { Socket } from "../socket/socket.ts";

type FinishState = "open" | "finished" | "closed";

class FinishCall extends Call implements Linked<FinishCall> {
  next: FinishCall | null = null;
  previous: FinishCall | null = null;
  readonly #socket: Socket;
  readonly #calls: Fifo<FinishCall>;

  constructor(socket: Socket, calls: Fifo<FinishCall>) {
    super();
    this.#socket = socket;
    this.#calls = calls;
  }

  override get loopReference(): LoopReference {
    return this.#socket;
  }

  override expire(): void {
    this.#calls.remove(this);
    this.fail(finishError(this.#socket, "Timeout", `${this.timeoutMs} ms passed`));
  }

  override abort(reason: unknown): void {
    this.#calls.remove(this);
    this.fail(reason);
  }
}

function finishError(
  socket: Socket,
  code: NetworkErrorCode,
  why: string,
  details: { errno?: number; cause?: unknown } = {},
): NetworkError {
  const message = `Cannot wait until ${socket.peerName} finishes: ${why}`;
  return new NetworkError(message, { code, operation: "peerFinished", ...details });
}

export class PeerFinish extends Operation {
  readonly #socket: Socket;
  readonly #calls = new Fifo<FinishCall>();
  readonly #retrier: Retrier;
  #state: FinishState = "open";
  /** Why it is closed. */
  #reason: CloseReason | null = null;

  /** `ended` is the reason when the connection has ended before. */
  constructor(socket: Socket, ended: CloseReason | null) {
    super(socket.context.recvRing.recvLane);
    this.#socket = socket;
    this.#retrier = new Retrier(this, COUNT.retriesRecv);
    if (ended === null) socket.attach(this);
    else this.close(ended);
  }

  /** Resolves once the peer's FIN or reset has come. */
  wait(options: CallOptions | undefined): Promise<void> {
    try {
      const call = new FinishCall(this.#socket, this.#calls);
      call.prepare(options, null);
      if (this.#socket.peerEnd === "fin" && this.#state === "open") this.#state = "finished";
      switch (this.#state) {
        case "finished":
          return Promise.resolve();
        case "closed":
          throw this.#closedError();
        case "open":
          return this.#begin(call);
      }
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Ends pending calls and later ones with "Closed". The socket's end cancels the poll. */
  close(reason: CloseReason): void {
    this.#state = "closed";
    this.#reason = reason;
    this.#retrier.stop();
    this.#failAll(() => this.#closedError());
  }

  override prepare(writer: OpWriter): boolean {
    if (this.#state !== "open") return false;
    writer.poll(this.#socket.fd, POLL_EVENT.peerFinished);
    return true;
  }

  override complete(result: number, _flags: number): void {
    if (this.#state === "open") {
      if (result > 0) this.#finish();
      else this.#failed(result);
    }
    if (this.#socket.ending) this.#socket.landed();
  }

  override fail(cause: unknown): void {
    this.#retrier.stop();
    const why = internalReason(cause);
    this.#failAll(() => finishError(this.#socket, "RecvFailed", why, { cause }));
    if (this.#socket.ending) this.#socket.landed();
  }

  #begin(call: FinishCall): Promise<void> {
    const promise = call.promise<void>();
    call.begin();
    this.#calls.push(call);
    if (this.idle && !this.#retrier.isWaiting) this.lane.ring.submit(this);
    return promise;
  }

  #finish(): void {
    this.#state = "finished";
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.succeed(undefined);
    }
  }

  #failed(result: number): void {
    if (this.#calls.head === null) return;
    const outcome = outcomeOf(result);
    if ((outcome === "again" || outcome === "later") && this.#retrier.retry(outcome)) return;
    this.#retrier.progress();
    const errno = -result;
    this.#failAll(() => finishError(this.#socket, "RecvFailed", errnoText(errno), { errno }));
  }

  #failAll(makeError: () => NetworkError): void {
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.fail(makeError());
    }
  }

  #closedError(): NetworkError {
    const reason = this.#reason as CloseReason;
    const cause = reason.error(this.#socket.peerName);
    return finishError(this.#socket, "Closed", reason.happened, { cause });
  }
}
