/**
 * The small values of a socket, all of them in the number that counts its pending calls: a socket
 * with a field for each is a size class larger in Bun.
 *
 *   bits = calls | end | end of the peer | answer | `unref`
 *          11..    5..7  3, 4              1, 2     0
 *
 * @module
 */
import { LoopReference } from "../call/loop_reference.ts";
import { ANSWER_MASK, type AnswerState } from "./answer_state.ts";
import type { NetworkContext } from "./network_context.ts";
import { SOCKET_ENDS, type SocketEnd, type UnfinishedEnd } from "./socket_end.ts";

const ANSWER_SHIFT = 1;
const PEER_END_SHIFT = 3;
const END_SHIFT = 5;
const PEER_END_MASK = 3 << PEER_END_SHIFT;
const END_MASK = 7 << END_SHIFT;

type PeerEnd = "none" | "doubtful" | "fin";

const PEER_ENDS: readonly PeerEnd[] = ["none", "doubtful", "fin"];

/** Replaces some bits. Without an operator of 32 bits, so that any number of calls may be above. */
function replaced(bits: number, mask: number, value: number): number {
  return bits + value - (bits & mask);
}

export class SocketState extends LoopReference<NetworkContext> {
  /**
   * The end of the peer, as far as it is known:
   *
   *   none -> doubtful -> fin
   *     +------------------^
   *
   * "fin": FIN came, and all bytes before it were received. "doubtful": a send failed or stopped
   * early. The kernel reports the error of a connection once, so this send may have consumed the
   * report of a reset. The receive then returns 0 as if FIN had come: see `Socket.cutOff`.
   */
  get peerEnd(): PeerEnd {
    return PEER_ENDS[(this.bits & PEER_END_MASK) >> PEER_END_SHIFT];
  }

  set peerEnd(end: PeerEnd) {
    this.bits = replaced(this.bits, PEER_END_MASK, PEER_ENDS.indexOf(end) << PEER_END_SHIFT);
  }

  get answer(): AnswerState {
    return ((this.bits >> ANSWER_SHIFT) & ANSWER_MASK) as AnswerState;
  }

  set answer(answer: AnswerState) {
    this.bits = replaced(this.bits, ANSWER_MASK << ANSWER_SHIFT, answer << ANSWER_SHIFT);
  }

  get ending(): boolean {
    return (this.bits & END_MASK) !== 0;
  }

  /** The end that has begun. */
  protected get lastEnd(): SocketEnd | UnfinishedEnd | null {
    return SOCKET_ENDS[(this.bits & END_MASK) >> END_SHIFT];
  }

  protected set lastEnd(end: SocketEnd | UnfinishedEnd | null) {
    this.bits = replaced(this.bits, END_MASK, SOCKET_ENDS.indexOf(end) << END_SHIFT);
  }
}
