/**
 * The calls of a receiving half that was closed together with many others: see `EndedCalls`.
 *
 * @module
 */
import { Fifo } from "../../base/fifo.ts";
import type { EndedQueue } from "../call/ended_calls.ts";
import type { RecvCall } from "./recv_call.ts";
import { type RecvEnd, recvError } from "./recv_error.ts";

export class EndedReceives extends Fifo<RecvCall> implements EndedQueue {
  readonly #end: RecvEnd;
  readonly #bytesDone: number;

  /** `bytesDone` bytes had arrived. */
  constructor(end: RecvEnd, bytesDone: number) {
    super();
    this.#end = end;
    this.#bytesDone = bytesDone;
  }

  tell(): void {
    for (let call = this.shift(); call !== null; call = this.shift()) {
      call.fail(recvError(call, this.#end, this.#bytesDone));
    }
  }
}
