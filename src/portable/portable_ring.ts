/**
 * The core's ring over `node:net`: op records in, completion records out.
 *
 *   turn: records -> sockets of the runtime          events of the runtime -> #queue -> next turn
 *
 * - A completion appears only in a turn. An event of the runtime queues it and, when the core
 *   sleeps, rings the doorbell.
 * - Each operation has exactly one completion, except polls, which complete once for each event and
 *   when they are cancelled. Receives complete once here (`multishot` is false).
 * - Descriptors are small numbers of this ring, and are unknown to the system.
 * - No method throws: an error of the runtime becomes -errno.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "../net/address/address.ts";
import { AF_INET6, readSockaddr } from "../net/address/sockaddr.ts";
import { OP_CODE } from "../ring/op_writer.ts";
import { CQE_MORE, type DoorbellPort, HEADER, type RingPort, TURN_SUBMIT } from "../ring/port.ts";
import { CompletionQueue } from "./completion_queue.ts";
import type { Descriptor } from "./descriptor.ts";
import { type Macrotask, PortableDoorbell } from "./portable_doorbell.ts";
import { BLOCK_BYTES, PortableCalls } from "./portable_calls.ts";
import { NONE_WAITS, type PortableListener } from "./portable_listener.ts";
import { errnoOf, type RuntimeSocket, runtimeSockets, shielded } from "./runtime_sockets.ts";
import type { PortableStream } from "./portable_stream.ts";
import type { Range } from "./sending_half.ts";
import type { SlabTable } from "./slab_table.ts";

const OP_CAPACITY = 1_024;
const COMPLETION_CAPACITY = 2_048;
const BUFFER_COUNT = 256;
/** Turns until a stream reads on at the latest. Reactions to its bytes take one or two. */
const HELD_TURNS_MAX = 4;

export class PortableRing extends PortableCalls implements RingPort {
  readonly opCapacity = OP_CAPACITY;
  readonly completionCapacity = COMPLETION_CAPACITY;
  readonly bufferCount = BUFFER_COUNT;
  readonly multishot = false;
  readonly header = new Uint32Array(16);
  readonly ops = new Uint32Array(OP_CAPACITY * 8);
  readonly completions = new Int32Array(COMPLETION_CAPACITY * 4);
  readonly #queue = new CompletionQueue();
  /** The descriptors of operations in flight, by slot, for cancels. */
  readonly #flying: (Descriptor | null)[] = [];
  readonly #macrotask: Macrotask;
  #doorbell: PortableDoorbell | null = null;
  #armed = false;
  /** Streams whose reading waits for the reaction to their bytes. */
  readonly #held: PortableStream[] = [];
  #heldTurns = 0;

  constructor(slabs: SlabTable, macrotask: Macrotask) {
    super(slabs);
    this.#macrotask = macrotask;
  }

  // ---- the turn ------------------------------------------------------------------------------

  turn(opCount: number, flags: number): number {
    if (this.closed) return -ERRNO.EBADF;
    this.#armed = false;
    for (let i = 0; i < opCount; i++) this.#start(i * 8);
    const submitsOnly = (flags & TURN_SUBMIT) !== 0;
    const count = submitsOnly ? 0 : this.#queue.moveTo(this.completions, COMPLETION_CAPACITY);
    const { header } = this;
    header[HEADER.enters]++;
    header[HEADER.submissions] += opCount;
    header[HEADER.completions] += count;
    header[HEADER.more] = this.#queue.count > 0 ? 1 : 0;
    if (submitsOnly) return 0;
    if (this.#held.length > 0 && (count === 0 || ++this.#heldTurns >= HELD_TURNS_MAX)) {
      this.#heldTurns = 0;
      for (const stream of this.#held) stream.read();
      this.#held.length = 0;
    }
    return count;
  }

  get isLone(): boolean {
    return this.#doorbell !== null && this.#doorbell.isLone;
  }

  hold(stream: PortableStream): void {
    this.#held.push(stream);
  }

  arm(): number {
    if (this.#queue.count > 0) return 1;
    this.#armed = true;
    this.header[HEADER.arms]++;
    return 0;
  }

  openDoorbell(onWake: () => void): DoorbellPort {
    return this.#doorbell = new PortableDoorbell(
      onWake,
      this.#macrotask,
      () => this.#queue.count,
    );
  }

  complete(slot: number, generation: number, result: number, flags: number): void {
    if ((flags & CQE_MORE) === 0) this.#flying[slot] = null;
    this.#queue.push(slot, generation, result, flags);
    if (!this.#armed) return;
    this.#armed = false;
    this.#doorbell?.ring();
  }

  #start(at: number): void {
    const { ops } = this;
    const code = ops[at];
    const slot = ops[at + 1];
    const generation = ops[at + 2];
    const fd = ops[at + 3];
    const slab = ops[at + 4];
    const offset = ops[at + 5];
    const length = ops[at + 6];
    if (code === OP_CODE.provide) {
      this.groups.provide(fd, { id: slot, slab, offset, length });
      return;
    }
    if (code === OP_CODE.cancel) return this.#cancel(offset, length);
    const found = this.table[fd] ?? null;
    if (found === null) return this.complete(slot, generation, -ERRNO.EBADF, 0);
    this.#flying[slot] = found;
    const { stream } = found;
    if (code === OP_CODE.accept) return this.#startAccept(found, slot, generation, slab);
    if (code === OP_CODE.connect) return this.#startConnect(found, slot, generation, slab, length);
    if (stream === null) return this.complete(slot, generation, -ERRNO.ENOTCONN, 0);
    switch (code) {
      case OP_CODE.recv:
        return stream.recv(slot, generation, slab, offset, length);
      case OP_CODE.poll:
        return stream.poll(slot, generation, length);
      case OP_CODE.recvSelect:
        return stream.recvSelect(slot, generation, slab, length);
      case OP_CODE.send:
        return stream.sending.sendOne(slot, generation, slab, offset, length);
      case OP_CODE.sendmsg:
        return stream.sending.send(slot, generation, this.#ranges(slab, length));
      default:
        return this.complete(slot, generation, -ERRNO.EINVAL, 0);
    }
  }

  #ranges(block: number, count: number): Range[] {
    const ranges: Range[] = [];
    const words = this.blockWords;
    for (let i = 0, at = (block * BLOCK_BYTES) / 4; i < count; i++, at += 3) {
      ranges.push({ slab: words[at], offset: words[at + 1], length: words[at + 2] });
    }
    return ranges;
  }

  #cancel(slot: number, generation: number): void {
    const found = this.#flying[slot] ?? null;
    if (found === null) return;
    const { stream, listener } = found;
    if (
      stream?.cancelRecv(slot, generation) || stream?.parkedPoll.cancel(slot, generation) ||
      stream?.sending.cancel(slot, generation)
    ) return;
    if (listener !== null && listener.slot === slot && listener.generation === generation) {
      listener.slot = -1;
      this.complete(slot, generation, -ERRNO.ECANCELED, 0);
    } else if (found.connectSlot === slot && found.connectGeneration === generation) {
      this.#connected(found, -ERRNO.ECANCELED);
    }
  }

  // ---- accepting and connecting --------------------------------------------------------------

  #startAccept(found: Descriptor, slot: number, generation: number, block: number): void {
    const { listener } = found;
    if (listener === null) return this.complete(slot, generation, -ERRNO.EINVAL, 0);
    listener.slot = slot;
    listener.generation = generation;
    listener.block = block;
    this.serveAccept(found);
  }

  protected override serveAccept(found: Descriptor): void {
    const listener = found.listener as PortableListener;
    if (listener.slot < 0) return;
    const result = this.take(found, listener.block);
    if (result === NONE_WAITS) return;
    const { slot, generation } = listener;
    listener.slot = -1;
    this.complete(slot, generation, result, 0);
  }

  #startConnect(
    found: Descriptor,
    slot: number,
    generation: number,
    block: number,
    length: number,
  ): void {
    found.connectSlot = slot;
    found.connectGeneration = generation;
    const address = readSockaddr(this.block(block), length);
    try {
      const socket = this.#connect(found, address);
      found.remote = address;
      found.connecting = socket;
      socket.unref();
      socket.once("connect", () => {
        if (found.connecting === socket) this.#connected(found, 0);
      });
      socket.on("error", (error) => {
        if (found.connecting === socket) this.#connected(found, -errnoOf(error));
      });
    } catch (error) {
      this.#connected(found, -errnoOf(error));
    }
  }

  #connect({ family, local }: Descriptor, address: SocketAddress | UnixAddress): RuntimeSocket {
    if (isUnix(address)) {
      return runtimeSockets.connect(shielded({ path: address.path, allowHalfOpen: true }));
    }
    const from = local === null || isUnix(local) ? null : local;
    return runtimeSockets.connect(shielded({
      path: undefined,
      host: address.hostname,
      port: address.port,
      family: family === AF_INET6 ? 6 : 4,
      allowHalfOpen: true,
      localAddress: from?.hostname,
      localPort: from === null || from.port === 0 ? undefined : from.port,
    }));
  }

  #connected(found: Descriptor, result: number): void {
    const { connecting, connectSlot, connectGeneration } = found;
    found.connecting = null;
    found.connectSlot = -1;
    if (result < 0) connecting?.destroy();
    else this.adoptSocket(found, connecting as RuntimeSocket);
    this.complete(connectSlot, connectGeneration, result, 0);
  }

  close(): number {
    if (this.closed) return -ERRNO.EBADF;
    this.closed = true;
    for (const found of this.table) if (found !== null) this.end(found);
    for (const stream of this.streams) stream.close(false);
    this.table.length = 0;
    this.groups.clear();
    return 0;
  }
}
