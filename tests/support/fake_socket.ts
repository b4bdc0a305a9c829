/**
 * A socket of the fake kernel. Data only; `fake_kernel.ts` has the rules.
 *
 *   send op -> outbox --deliver, after the latency--> inbox of the peer -> recv op
 *              `wire` keeps a copy of every byte that the kernel took
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../../src/net/address/address.ts";
import { ByteQueue } from "./byte_queue.ts";
import { WireLog } from "./wire_log.ts";
import type { FakeOp } from "./fake_op.ts";

export type FakeSocketState = "new" | "listening" | "connecting" | "connected";

export class FakeSocket {
  /** -1 while it waits in a backlog, and after close. */
  fd = -1;
  readonly id: number;
  readonly family: number;
  state: FakeSocketState = "new";
  local: SocketAddress | UnixAddress | null = null;
  remote: SocketAddress | UnixAddress | null = null;
  lingerSeconds = -1;
  readonly options = new Map<number, number>();

  readonly backlog: FakeSocket[] = [];
  backlogMax = 0;

  peer: FakeSocket | null = null;
  readonly inbox = new ByteQueue();
  readonly outbox = new ByteQueue();
  readonly wire = new WireLog();
  sendCapacity = 0;
  recvCapacity = 0;
  delivering = false;
  /** shutdown(SHUT_WR) or a graceful close: FIN follows the outbox. */
  finQueued = false;
  /** Calls of shutdown(SHUT_WR) that were not too late. */
  finCount = 0;
  finArrived = false;
  shutRead = false;
  /** RST came, or was sent: nothing moves any more. */
  dead = false;
  /** sk_err: the next operation gets it, once. */
  error = 0;

  /** Operations in flight that name this socket. */
  readonly ops = new Set<FakeOp>();
  /** Of each of these, one at a time. */
  recv: FakeOp | null = null;
  send: FakeOp | null = null;
  accept: FakeOp | null = null;
  connect: FakeOp | null = null;

  constructor(id: number, family: number) {
    this.id = id;
    this.family = family;
  }

  get open(): boolean {
    return this.fd >= 0;
  }

  /** Something changed: operations that wait look again. */
  ready(): void {
    for (const op of this.ops) op.ready();
  }
}
