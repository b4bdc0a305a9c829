/**
 * The core's port on plain memory: op records in, completions out, as `ffi/shim.c` and the kernel
 * below it do it, with seeded faults.
 *
 * - Completions appear only in `turn()`: events of a socket wait as task work, of which one enter
 *   runs at most 20 items.
 * - Each operation gets exactly one last completion. A cancel may win, lose, or find a part done.
 * - A provided buffer is chosen before the socket is checked. Without a buffer, a receive that does
 *   not wait for readiness first ends with ENOBUFS at once, even at the end of the stream.
 * - A length above 2^31 - 1 is refused with EINVAL.
 * - A multishot receive goes on while the socket is not empty, 33 times at most before other work
 *   runs. It ends with 0, an error, a lack of buffers, or a cancel.
 * - The doorbell is a chain: eventfd -> one byte for the runtime. It is signalled only between
 *   `arm()` and the next turn, and must be armed again once it was heard.
 *
 * Rules that the real kernel cannot check are checked here and noted in `kernel.violations`.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import { decodeUtf8 } from "../../src/base/utf8.ts";
import { readSockaddr, writeSockaddr } from "../../src/net/address/sockaddr.ts";
import { OP_CODE, POLL_EVENT } from "../../src/ring/op_writer.ts";
import {
  BLOCK_NONE,
  CQE_BUFFER,
  CQE_BUFFER_SHIFT,
  CQE_MORE,
  CQE_SOCKET_NONEMPTY,
  type DoorbellPort,
  HEADER,
  OP_FLAG_GATHER,
  OP_FLAG_OF_ACCEPT,
  OP_FLAG_POLL_FIRST,
  type RingOpenOptions,
  type RingPort,
  type ShutdownHow,
  TURN_SUBMIT,
  TURN_WOKEN,
} from "../../src/ring/port.ts";
import type { FakeKernel } from "./fake_kernel.ts";
import { type FakeCompletion, FakeOp } from "./fake_op.ts";
import type { FakeSocket } from "./fake_socket.ts";
import type { Region } from "./memory_watch.ts";

const IOVEC_MAX = 32;
const SLOT_MAX = 0x4000_0000;
const LENGTH_OFFSET = 128;
/** Deferred completions that one enter runs, since 6.13. */
const WORK_PER_ENTER = 20;
const ENTERS_PER_TURN = 64;
/** Completions of a multishot receive in a row: MULTISHOT_MAX_RETRY and the first one. */
const MULTISHOT_LOOPS = 33;
const AGAIN_COUNT_MAX = 40;
const MEMORY_COUNT_MAX = 8;
const LATE_MS_MAX = 20;

/** Events that a poll may ask for. */
const POLL_ASKED = POLL_EVENT.in | POLL_EVENT.out | POLL_EVENT.peerFinished;

const SOFT_ERRNOS = [ERRNO.EAGAIN, ERRNO.EINTR];
const MEMORY_ERRNOS = [ERRNO.ENOBUFS, ERRNO.ENOMEM];
const HARD_ERRNOS = [ERRNO.ECONNRESET, ERRNO.EPIPE, ERRNO.EIO, ERRNO.ETIMEDOUT, ERRNO.EHOSTUNREACH];
const CONNECT_ERRNOS = [ERRNO.ECONNREFUSED, ERRNO.EHOSTUNREACH, ERRNO.ENETUNREACH, ERRNO.EACCES];
const ACCEPT_ERRNOS = [ERRNO.ECONNABORTED, ERRNO.EPROTO, ERRNO.EPERM, ERRNO.ENETDOWN, ERRNO.ENONET];

export interface FakeRingSizes {
  opCapacity: number;
  completionCapacity: number;
  blockCount: number;
  bufferCount: number;
  /** Whether a receive may complete many times. */
  multishot: boolean;
}

export const DEFAULT_SIZES: Readonly<FakeRingSizes> = Object.freeze({
  opCapacity: 1_024,
  completionCapacity: 2_048,
  blockCount: 1_024,
  bufferCount: 256,
  multishot: true,
});

class FakeDoorbell implements DoorbellPort {
  readonly opened: Promise<void>;
  referenced = true;
  closed = false;
  readonly onWake: () => void;

  constructor(onWake: () => void, refusal: Error | null) {
    this.onWake = onWake;
    this.opened = refusal === null ? Promise.resolve() : Promise.reject(refusal);
    this.opened.catch(() => {});
  }

  ref(): void {
    this.referenced = true;
  }

  unref(): void {
    this.referenced = false;
  }

  close(): void {
    this.closed = true;
  }
}

export class FakeRing implements RingPort {
  readonly opCapacity: number;
  readonly completionCapacity: number;
  readonly blockCount: number;
  readonly blockBytes = 512;
  readonly bufferCount: number;
  readonly multishot: boolean;
  readonly header = new Uint32Array(64);
  readonly ops: Uint32Array;
  readonly completions: Int32Array;
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;
  readonly #kernel: FakeKernel;
  readonly #options: RingOpenOptions;
  /** Operations that the core has not been given the completion of. */
  readonly #inFlight = new Map<number, FakeOp>();
  readonly #blockOwners = new Map<number, FakeOp>();
  /** Buffers that a receive may choose from, in the order in which they were provided. */
  readonly #groups = [0, 1, 2].map(() => new Map<number, Region>());
  /** Chosen buffers that no completion has reported yet, by group. */
  readonly #filled = [0, 0, 0];
  readonly #work: FakeOp[] = [];
  #queue: FakeCompletion[] = [];
  #doorbell: FakeDoorbell | null = null;
  #eventEnabled = false;
  #eventCount = 0;
  #armed = false;
  #chain = false;
  /** The byte that the runtime has not read yet. */
  #told = false;
  closed = false;
  /** The error with which the runtime refuses the doorbell. */
  doorbellRefusal: Error | null = null;
  /**
   * Whether the kernel completes no operation any more: no cancel works, and `close` returns EBUSY.
   */
  stuck = false;
  /** Sockets of this ring, which closes the remaining ones. */
  readonly #owned = new Set<FakeSocket>();
  /** Turns, without those that only submit. */
  turnCount = 0;
  /** Multishot receives that were started, and their completions without the last. */
  multishotCount = 0;
  moreCount = 0;
  /** The number of bulk receives. */
  bulkCount = 0;
  /** Receives for which the kernel gathers bytes. */
  gatherCount = 0;
  /** Connections that were accepted without the ring. */
  directCount = 0;

  constructor(kernel: FakeKernel, options: RingOpenOptions, sizes: FakeRingSizes) {
    this.#kernel = kernel;
    this.#options = options;
    this.opCapacity = sizes.opCapacity;
    this.completionCapacity = sizes.completionCapacity;
    this.blockCount = sizes.blockCount;
    this.bufferCount = sizes.bufferCount;
    this.multishot = sizes.multishot;
    this.ops = new Uint32Array(sizes.opCapacity * 8);
    this.completions = new Int32Array(sizes.completionCapacity * 4);
    const blocks = new ArrayBuffer(sizes.blockCount * this.blockBytes);
    this.blocks = new Uint8Array(blocks);
    this.blockWords = new Uint32Array(blocks);
  }

  /** Operations whose completion the core has not seen. */
  get inFlightCount(): number {
    return this.#inFlight.size;
  }

  /** Receives in flight that choose a buffer of this group. */
  selecting(group: number): number {
    let count = 0;
    for (const op of this.#inFlight.values()) if (op.group === group) count++;
    return count;
  }

  /** Provided buffers that no completion has named. */
  provided(group: number): number {
    return this.#groups[group].size + this.#filled[group];
  }

  /** Memory that waits in a group for a receive. */
  providedRegions(): Region[] {
    return this.#groups.flatMap((group) => [...group.values()]);
  }

  /** One line for each operation, for messages. */
  describe(): string {
    const ops = [...this.#inFlight.values()].map((op) => `${op.name} (${op.state})`);
    return `${ops.join(", ") || "nothing"}; doorbell ${this.#armed ? "armed" : "idle"}` +
      `, chain ${this.#chain}, work ${this.#hasWork}`;
  }

  get doorbellReferenced(): boolean {
    return this.#doorbell !== null && !this.#doorbell.closed && this.#doorbell.referenced;
  }

  get doorbellClosed(): boolean {
    return this.#doorbell === null || this.#doorbell.closed;
  }

  // ---- the turn ------------------------------------------------------------------------------

  turn(opCount: number, flags: number): number {
    const kernel = this.#kernel;
    kernel.require(!this.closed, "a turn after close");
    kernel.require(opCount <= this.opCapacity, "more records than fit");
    const submitsOnly = (flags & TURN_SUBMIT) !== 0;
    if (!submitsOnly) this.turnCount++;
    if ((flags & TURN_WOKEN) !== 0) this.#armed = false;
    this.#eventEnabled = false;
    let count = 0;
    for (let at = 0; at < opCount; at++) {
      const failed = this.#stage(at * 8);
      if (failed !== null) this.#put(count++, failed.slot, failed.generation, failed.result, 0);
    }
    if (!this.stuck && !submitsOnly) count = this.#drain(count);
    const { header } = this;
    header[HEADER.submissions] += opCount;
    header[HEADER.completions] += count;
    header[HEADER.inFlight] = this.#inFlight.size;
    header[HEADER.more] = this.#seemsBusy() ? 1 : 0;
    return count;
  }

  #drain(before: number): number {
    const { faults } = this.#kernel;
    let count = before;
    for (let i = 0; i < ENTERS_PER_TURN && this.#work.length > 0; i++) {
      this.header[HEADER.enters]++;
      if (faults.strikes("reordered")) shuffle(this.#work, (max) => faults.int(0, max));
      for (const op of this.#work.splice(0, WORK_PER_ENTER)) this.#run(op);
      count = this.#collect(count);
      if (count === this.completionCapacity || faults.strikes("splitTurns")) break;
    }
    return this.#collect(count);
  }

  #collect(before: number): number {
    let count = before;
    if (this.#kernel.faults.strikes("reordered")) {
      this.#reorder();
    }
    if (this.#kernel.faults.strikes("failuresFirst")) {
      this.#failuresFirst();
    }
    let seen = 0;
    for (const completion of this.#queue) {
      if (count === this.completionCapacity) break;
      seen++;
      const { op, result, flags } = completion;
      this.#put(count++, op.slot, op.generation, result, flags);
      this.#handBack(completion);
    }
    this.#queue = this.#queue.slice(seen);
    return count;
  }

  /** Puts failures before other completions. */
  #failuresFirst(): void {
    const failed = (completion: FakeCompletion) => completion.result < 0;
    const failures = this.#queue.filter(failed);
    this.#arrange([...failures, ...this.#queue.filter((completion) => !failed(completion))]);
  }

  #reorder(): void {
    const queue = [...this.#queue];
    shuffle(queue, (max) => this.#kernel.faults.int(0, max));
    this.#arrange(queue);
  }

  /** Takes the order of `queue`, but each operation's own completions keep theirs. */
  #arrange(queue: readonly FakeCompletion[]): void {
    const byOp = new Map<FakeOp, FakeCompletion[]>();
    for (const completion of this.#queue) {
      const list = byOp.get(completion.op);
      if (list === undefined) byOp.set(completion.op, [completion]);
      else list.push(completion);
    }
    this.#queue = queue.map(({ op }) => byOp.get(op)!.shift()!);
  }

  #put(at: number, slot: number, generation: number, result: number, flags: number): void {
    this.completions.set([slot, generation, result, flags], at * 4);
  }

  get #hasWork(): boolean {
    return this.#work.length > 0 || this.#queue.length > 0;
  }

  // ---- the doorbell --------------------------------------------------------------------------

  arm(): number {
    this.#kernel.require(!this.closed, "arm after close");
    this.#eventEnabled = true;
    if (!this.#armed) {
      if (this.#kernel.faults.strikes("armFails")) return -ERRNO.ENOMEM;
      this.#armed = true;
      this.#chain = true;
      this.header[HEADER.arms]++;
      if (this.#eventCount > 0) this.#signal();
    }
    return this.#seemsBusy() ? 1 : 0;
  }

  /** Whether the flags of the rings report work. */
  #seemsBusy(): boolean {
    if (this.stuck) return false;
    return this.#hasWork || this.#kernel.faults.strikes("staleFlag");
  }

  openDoorbell(onWake: () => void): DoorbellPort {
    this.#doorbell = new FakeDoorbell(onWake, this.doorbellRefusal);
    return this.#doorbell;
  }

  /** Whether a byte waits for the runtime's event loop. */
  get told(): boolean {
    return this.#told;
  }

  /** The runtime's event loop reads the byte. */
  hear(): void {
    if (!this.#told) return;
    this.#told = false;
    if (this.#doorbell !== null && !this.#doorbell.closed) this.#doorbell.onWake();
  }

  /** Wakes the runtime without a reason. */
  disturb(): void {
    if (this.#chain && !this.closed) this.#signal();
  }

  #signal(): void {
    this.#eventCount++;
    if (!this.#chain) return;
    this.#chain = false;
    this.#eventCount = 0;
    this.#told = true;
  }

  // ---- staging -------------------------------------------------------------------------------

  #stage(at: number): { slot: number; generation: number; result: number } | null {
    const { ops } = this;
    const [code, slot, generation, fd] = [ops[at], ops[at + 1], ops[at + 2], ops[at + 3]];
    const [slab, offset, length, flags] = [ops[at + 4], ops[at + 5], ops[at + 6], ops[at + 7]];
    const kernel = this.#kernel;
    if (code === OP_CODE.provide) {
      this.#provide(fd, slot, slab, offset, length);
      return null;
    }
    if (code === OP_CODE.cancel) {
      this.#cancel(offset, length, flags);
      return null;
    }
    kernel.require(slot < SLOT_MAX, `slot ${slot} is too large`);
    kernel.require(!this.#inFlight.has(slot), `slot ${slot} is in flight already`);
    const socket = kernel.at(fd);
    if (socket === null) {
      kernel.complain(`op code ${code} on descriptor ${fd}, which is not open`);
      return { slot, generation, result: -ERRNO.EBADF };
    }
    if (isTooLong(code, length)) return { slot, generation, result: -ERRNO.EINVAL };
    if (kernel.faults.storms("again", `stage ${socket.id} ${code}`, AGAIN_COUNT_MAX)) {
      return { slot, generation, result: -ERRNO.EAGAIN };
    }
    const op = new FakeOp(code, slot, generation, socket, length, slab, (op) => this.#wake(op));
    this.#inFlight.set(slot, op);
    this.#occupy(op);
    this.#own(op, slab, offset, length);
    if ((flags & OP_FLAG_GATHER) !== 0) this.gatherCount++;
    this.#start(op, (flags & OP_FLAG_POLL_FIRST) !== 0);
    return null;
  }

  /** One operation of a kind for each socket. */
  #occupy(op: FakeOp): void {
    const { socket } = op;
    socket.ops.add(op);
    const place = placeOf(op);
    if (place === null) return;
    const other = socket[place];
    if (other !== null) this.#kernel.complain(`${op.name}: ${other.name} is in flight already`);
    socket[place] = op;
  }

  /** Notes that the kernel has the memory of the record until the completion. */
  #own(op: FakeOp, slab: number, offset: number, length: number): void {
    const { memory } = this.#kernel;
    const lend = (slab: number, offset: number, length: number, writes: boolean) => {
      const region = memory.lend({ slab, offset, length, writes, owner: op.name });
      if (region !== null) op.regions.push(region);
    };
    switch (op.kind) {
      case "recv":
        lend(slab, offset, length, true);
        break;
      case "recvSelect":
        this.#kernel.require(this.#options.buffers, "recvSelect without a buffer ring");
        this.#kernel.require(length > 0, "recvSelect of 0 bytes");
        this.#kernel.require(slab === 0 || slab === 2, `recvSelect from group ${slab}`);
        if (slab === 2) this.bulkCount++;
        break;
      case "recvMultishot":
        this.#kernel.require(this.#options.buffers, "recvMultishot without a buffer ring");
        this.#kernel.require(this.multishot, "recvMultishot where receives complete once");
        this.multishotCount++;
        break;
      case "send":
        lend(slab, offset, length, false);
        break;
      case "sendmsg":
        this.#ownBlock(op);
        this.#kernel.require(length >= 1 && length <= IOVEC_MAX, `${length} iovecs`);
        for (let i = 0, at = (slab * this.blockBytes) / 4; i < length; i++, at += 3) {
          const words = this.blockWords;
          lend(words[at], words[at + 1], words[at + 2], false);
        }
        break;
      case "accept":
        if (op.block !== BLOCK_NONE) this.#ownBlock(op);
        break;
      case "connect":
        this.#ownBlock(op);
        break;
      case "nop":
        break;
      case "poll":
        this.#kernel.require((length & ~POLL_ASKED) === 0 && length > 0, `poll for ${length}`);
        break;
    }
  }

  #ownBlock(op: FakeOp): void {
    const kernel = this.#kernel;
    kernel.require(op.block < this.blockCount, `block ${op.block} is out of bounds`);
    const owner = this.#blockOwners.get(op.block);
    if (owner !== undefined) kernel.complain(`${op.name}: its block belongs to ${owner.name}`);
    this.#blockOwners.set(op.block, op);
    op.blockBytes = this.#blockAt(op.block).slice();
  }

  #blockAt(block: number): Uint8Array {
    return this.blocks.subarray(block * this.blockBytes, (block + 1) * this.blockBytes);
  }

  #start(op: FakeOp, pollFirst: boolean): void {
    const kernel = this.#kernel;
    if (op.kind === "connect") {
      this.#startConnect(op);
    } else if (pollFirst || kernel.faults.strikes("deferred")) {
      if (this.#worthIt(op)) this.#enqueue(op);
    } else {
      this.#attempt(op);
    }
  }

  #startConnect(op: FakeOp): void {
    const kernel = this.#kernel;
    if (kernel.faults.strikes("connectErrno")) {
      const errno = kernel.faults.pick(CONNECT_ERRNOS);
      kernel.host.at(kernel.options.latencyMs(), () => {
        if (op.state === "armed") this.#wakeWith(op, -errno);
      });
      return;
    }
    const address = readSockaddr(op.blockBytes as Uint8Array, op.length);
    kernel.connect(op.socket, address, (result) => {
      if (op.state === "armed") this.#wakeWith(op, result);
    });
  }

  #provide(group: number, id: number, slab: number, offset: number, length: number): void {
    const kernel = this.#kernel;
    const buffers = this.#groups[group];
    kernel.require(this.#options.buffers && id < this.bufferCount, `buffer ${id} is out of bounds`);
    kernel.require(!buffers.has(id), `buffer ${group}.${id} is provided twice`);
    const region = kernel.memory.lend({
      slab,
      offset,
      length,
      writes: true,
      owner: `provided buffer ${group}.${id}`,
    });
    if (region !== null) buffers.set(id, region);
  }

  #cancel(slot: number, generation: number, flags: number): void {
    const { faults } = this.#kernel;
    const op = this.#inFlight.get(slot);
    if (this.stuck || op === undefined || op.generation !== generation) return;
    if (op.state === "posted" || op.state === "collected") return;
    if (op.kind === "recvMultishot" && faults.strikes("cancelMisses")) return;
    const wanted = op.kind === "accept" ? OP_FLAG_OF_ACCEPT : 0;
    this.#kernel.require(flags === wanted, `cancel of ${op.name} with flags ${flags}`);
    op.canceled = true;
    // Otherwise it is queued already, and task work decides the order.
    if (op.state === "armed") this.#enqueue(op);
  }

  // ---- attempts ------------------------------------------------------------------------------

  /** Called when a socket has an event for a waiting operation. */
  #wake(op: FakeOp): void {
    if (op.state === "armed" && this.#worthIt(op)) this.#enqueue(op);
  }

  #wakeWith(op: FakeOp, result: number): void {
    op.result = result;
    op.done = -1; // A connect has its result before task work runs.
    this.#enqueue(op);
  }

  #enqueue(op: FakeOp): void {
    op.state = "queued";
    this.#work.push(op);
    if (this.#eventEnabled) this.#signal();
  }

  /** Whether poll(2) would report the operation's event. */
  #worthIt(op: FakeOp): boolean {
    const { socket } = op;
    switch (op.kind) {
      case "recv":
      case "recvSelect":
      case "recvMultishot":
        return this.#kernel.readable(socket);
      case "send":
      case "sendmsg":
        return socket.dead || socket.finQueued || socket.error !== 0 ||
          socket.outbox.length < socket.sendCapacity;
      case "accept":
        return socket.backlog.length > 0;
      case "poll":
        return this.#pollEvents(op) !== 0;
      default:
        return true;
    }
  }

  /** The events of a poll that have occurred. */
  #pollEvents({ socket, length }: FakeOp): number {
    const { in: readable, out, peerFinished, error, hangUp } = POLL_EVENT;
    const ended = socket.finArrived || socket.dead || socket.shutRead;
    let events = ended ? peerFinished : 0;
    if (this.#kernel.readable(socket)) events |= readable;
    if (socket.outbox.length < socket.sendCapacity) events |= out;
    events &= length;
    if (socket.error !== 0) events |= error;
    if (socket.dead) events |= hangUp;
    return events;
  }

  /** Task work of one operation. */
  #run(op: FakeOp): void {
    if (op.state !== "queued") return;
    op.state = "armed";
    const { faults } = this.#kernel;
    if (!op.canceled) {
      this.#attempt(op);
      return;
    }
    if (faults.strikes("cancelLoses")) {
      this.#attempt(op);
      if (op.state !== "armed") return;
    }
    const interrupted = faults.strikes("cancelInterrupts");
    const errno = interrupted ? ERRNO.EINTR : ERRNO.ECANCELED;
    this.#post(op, op.done > 0 ? op.done : -errno, 0);
  }

  #attempt(op: FakeOp): void {
    const { faults } = this.#kernel;
    if (op.kind === "connect") {
      if (op.done < 0) this.#post(op, op.result, 0);
      return;
    }
    if (op.kind === "nop") {
      this.#post(op, 0, 0);
      return;
    }
    if (this.#softFault(op)) return;
    if (op.kind === "poll") {
      const events = this.#pollEvents(op);
      if (events !== 0) this.#post(op, events, faults.strikes("multishotEnds") ? 0 : CQE_MORE);
      return;
    }
    if (op.kind === "accept") this.#accept(op);
    else if (op.kind === "send" || op.kind === "sendmsg") this.#send(op);
    else this.#recv(op);
  }

  #softFault(op: FakeOp): boolean {
    const { faults } = this.#kernel;
    const { socket, kind } = op;
    if (op.done > 0) return false;
    const subject = `${kind} ${socket.id}`;
    if (faults.storms("again", subject, AGAIN_COUNT_MAX)) {
      this.#post(op, -faults.pick(SOFT_ERRNOS), 0);
    } else if (kind !== "accept" && faults.storms("memory", subject, MEMORY_COUNT_MAX)) {
      this.#post(op, -faults.pick(MEMORY_ERRNOS), 0);
    } else {
      return false;
    }
    return true;
  }

  #accept(op: FakeOp): void {
    const result = this.#take(op.socket, op.block);
    if (result === -ERRNO.EAGAIN) return;
    if (result >= 0) op.blockBytes = null;
    this.#post(op, result, 0);
  }

  /** A descriptor, its peer's address in the block, or -errno: -EAGAIN when none waits. */
  #take(socket: FakeSocket, blockIndex: number): number {
    const kernel = this.#kernel;
    const { faults } = kernel;
    if (faults.storms("exhausted", String(socket.id), MEMORY_COUNT_MAX)) {
      return -faults.pick([ERRNO.EMFILE, ERRNO.ENFILE, ERRNO.ENOBUFS]);
    }
    if (faults.storms("acceptTransient", String(socket.id), AGAIN_COUNT_MAX)) {
      return -faults.pick(ACCEPT_ERRNOS);
    }
    const result = kernel.accept(socket);
    if (result < 0) return result;
    this.#adopt(result);
    if (blockIndex === BLOCK_NONE) return result;
    const block = this.#blockAt(blockIndex);
    const peer = (kernel.at(result) as FakeSocket).remote;
    const { length } = writeSockaddr(block, peer ?? { path: "?" });
    const named = peer !== null && !("path" in peer && peer.path === "");
    new DataView(block.buffer, block.byteOffset).setUint32(LENGTH_OFFSET, named ? length : 2, true);
    return result;
  }

  #send(op: FakeOp): void {
    const { faults } = this.#kernel;
    const total = op.regions.reduce((sum, region) => sum + region.length, 0);
    if (op.done === 0 && faults.strikes("zeroSend")) {
      this.#post(op, 0, 0);
      return;
    }
    if (op.done === 0 && faults.strikes("sendErrno")) {
      this.#post(op, -faults.pick(HARD_ERRNOS), 0);
      return;
    }
    const stopAt = op.done + faults.shorten("shortSend", total - op.done);
    for (let at = 0, i = 0; i < op.regions.length && op.done < stopAt; i++) {
      const region = op.regions[i];
      const from = op.done - at;
      at += region.length;
      if (from >= region.length) continue;
      const count = Math.min(region.length - from, stopAt - op.done);
      const wrote = this.#write(op, region, from, count);
      if (wrote < 0) {
        this.#post(op, op.done > 0 ? op.done : wrote, 0);
        return;
      }
      op.done += wrote;
      if (wrote < count) return; // No room: waits for more (MSG_WAITALL).
    }
    this.#post(op, op.done, 0);
  }

  #write(op: FakeOp, region: Region, from: number, count: number): number {
    const { memory } = this.#kernel;
    memory.verify(region);
    const bytes = memory.resolve(region.slab, region.offset + from, count) as Uint8Array;
    return this.#kernel.write(op.socket, bytes);
  }

  #recv(op: FakeOp): void {
    for (let i = 0; i < MULTISHOT_LOOPS; i++) if (!this.#recvOnce(op)) return;
    // Other work runs before it goes on.
    this.#enqueue(op);
  }

  /** Whether a multishot receive goes on at once. */
  #recvOnce(op: FakeOp): boolean {
    const kernel = this.#kernel;
    const { faults } = kernel;
    const { socket, group } = op;
    let id = -1;
    let region = op.regions[0];
    if (group >= 0) {
      const [first] = this.#groups[group];
      if (first === undefined) {
        this.#post(op, -ERRNO.ENOBUFS, 0);
        return false;
      }
      [id, region] = first;
    }
    if (faults.strikes("recvErrno")) {
      this.#post(op, -faults.pick(HARD_ERRNOS), 0);
      return false;
    }
    if (!kernel.readable(socket)) return false;
    const result = this.#fill(op, region);
    const nonEmpty = result >= 0 && (socket.inbox.length > 0 || socket.finArrived);
    let flags = nonEmpty && !faults.strikes("noHint") ? CQE_SOCKET_NONEMPTY : 0;
    const consumed = group >= 0 && (result > 0 || faults.strikes("bufferWithoutBytes"));
    if (consumed) {
      this.#groups[group].delete(id);
      this.#filled[group]++;
      flags |= CQE_BUFFER | (id << CQE_BUFFER_SHIFT);
    }
    const goesOn = op.kind === "recvMultishot" && result > 0 && !faults.strikes("multishotEnds");
    if (goesOn) flags |= CQE_MORE;
    this.#post(op, result, flags, consumed ? region : null);
    if (!goesOn) return false;
    // The socket seems empty: the operation waits, or finds that it need not.
    if (!nonEmpty && this.#worthIt(op)) this.#enqueue(op);
    return nonEmpty;
  }

  /** Moves bytes from the socket to memory. Returns their number, 0 at the end, or -errno. */
  #fill(op: FakeOp, region: Region): number {
    const { memory, faults } = this.#kernel;
    const { inbox } = op.socket;
    memory.verify(region);
    const room = op.kind === "recvMultishot" ? region.length : Math.min(region.length, op.length);
    const wanted = inbox.length > 0
      ? faults.shorten("shortRecv", Math.min(room, inbox.length))
      : room;
    const target = memory.resolve(region.slab, region.offset, wanted) as Uint8Array;
    const result = this.#kernel.read(op.socket, target);
    if (result > 0) region.snapshot = snapshotOf(this.#kernel, region);
    return result;
  }

  // ---- completions ---------------------------------------------------------------------------

  #post(op: FakeOp, result: number, flags: number, region: Region | null = null): void {
    const kernel = this.#kernel;
    kernel.require(op.state === "armed" || op.state === "queued", `${op.name} completes twice`);
    if ((flags & CQE_MORE) === 0) op.state = "posted";
    else this.moreCount++;
    op.result = result;
    const completion = { op, result, flags, region };
    if (op.held.length > 0) {
      op.held.push(completion);
    } else if (!kernel.faults.strikes("late")) {
      this.#queue.push(completion);
    } else {
      op.held.push(completion);
      kernel.host.at(kernel.faults.int(1, LATE_MS_MAX), () => {
        this.#queue.push(...op.held.splice(0));
        if (this.#eventEnabled) this.#signal();
      });
    }
  }

  /**
   * Passes a completion to the core, which then owns the memory of the completion, or of the whole
   * operation, again.
   */
  #handBack({ op, flags, region }: FakeCompletion): void {
    const { memory } = this.#kernel;
    if (region !== null) {
      memory.verify(region);
      memory.giveBack(region);
      this.#filled[op.group]--;
    }
    if ((flags & CQE_MORE) !== 0) return;
    op.state = "collected";
    for (const region of op.regions) {
      memory.verify(region);
      memory.giveBack(region);
    }
    if (op.blockBytes !== null) {
      const same = op.blockBytes.every((byte, at) => byte === this.#blockAt(op.block)[at]);
      if (!same) this.#kernel.complain(`${op.name}: its block changed while in flight`);
    }
    if (this.#blockOwners.get(op.block) === op) this.#blockOwners.delete(op.block);
    this.#inFlight.delete(op.slot);
    op.socket.ops.delete(op);
    const place = placeOf(op);
    if (place !== null && op.socket[place] === op) op.socket[place] = null;
  }

  close(): number {
    const kernel = this.#kernel;
    kernel.require(!this.closed, "a ring is closed twice");
    if (this.stuck) return this.#abandon();
    kernel.require(this.#inFlight.size === 0, `close with in flight: ${this.describe()}`);
    this.closed = true;
    for (const region of this.providedRegions()) kernel.memory.giveBack(region);
    for (const group of this.#groups) group.clear();
    return 0;
  }

  /** Closes the descriptors. The kernel keeps operations in flight, and their memory, for good. */
  #abandon(): number {
    this.closed = true;
    for (const op of this.#inFlight.values()) {
      op.socket.ops.delete(op);
      const place = placeOf(op);
      if (place !== null) op.socket[place] = null;
    }
    for (const socket of this.#owned) if (socket.open) this.#kernel.close(socket);
    return -ERRNO.EBUSY;
  }

  // ---- calls that do not wait ----------------------------------------------------------------

  socket(family: number): number {
    const fd = this.#kernel.socket(family);
    this.#adopt(fd);
    return fd;
  }

  bind(fd: number, block: number, length: number): number {
    const socket = this.#open(fd, "bind", block);
    return socket === null
      ? -ERRNO.EBADF
      : this.#kernel.bind(socket, readSockaddr(this.#blockAt(block), length));
  }

  listen(fd: number, backlog: number): number {
    const socket = this.#open(fd, "listen");
    return socket === null ? -ERRNO.EBADF : this.#kernel.listen(socket, backlog);
  }

  accept(fd: number, block: number): number {
    const kernel = this.#kernel;
    const socket = this.#open(fd, "accept", block);
    if (socket === null) return -ERRNO.EBADF;
    kernel.require(socket.accept === null, "accept past the ring while one is with it");
    kernel.require(block < this.blockCount, `block ${block} is out of bounds`);
    const result = this.#take(socket, block);
    if (result >= 0) this.directCount++;
    return result;
  }

  address(fd: number, which: 0 | 1, block: number): number {
    const socket = this.#open(fd, "address", block);
    const address = which === 0 ? socket?.local : socket?.remote;
    if (address === undefined || address === null) return -ERRNO.ENOTCONN;
    // A TCP connection that has ended has no peer any more.
    if (which === 1 && socket?.dead === true && "port" in address) return -ERRNO.ENOTCONN;
    if ("path" in address && address.path === "") return 2;
    return writeSockaddr(this.#blockAt(block), address).length;
  }

  setOption(fd: number, option: number, value: number): number {
    const socket = this.#open(fd, "setOption");
    if (socket === null) return -ERRNO.EBADF;
    socket.options.set(option, value);
    if (option === 1) socket.lingerSeconds = value;
    return 0;
  }

  getOption(fd: number, option: number): number {
    return this.#open(fd, "getOption")?.options.get(option) ?? -ERRNO.EINVAL;
  }

  cutOff(fd: number): number {
    const socket = this.#open(fd, "cutOff");
    if (socket === null) return -ERRNO.EBADF;
    return this.#kernel.cutOff(socket) ? 1 : 0;
  }

  shutdown(fd: number, how: ShutdownHow): number {
    const socket = this.#open(fd, "shutdown");
    return socket === null ? -ERRNO.EBADF : this.#kernel.shutdown(socket, how);
  }

  closeDescriptor(fd: number): number {
    const socket = this.#open(fd, "close");
    if (socket === null) return -ERRNO.EBADF;
    this.#kernel.close(socket);
    return 0;
  }

  /** Refuses: no other code makes sockets of this kernel. */
  adopt(_fd: number): number {
    return -ERRNO.ENOTSOCK;
  }

  disown(_fd: number): number {
    return -ERRNO.EBADF;
  }

  stateOf(_fd: number): number {
    return -ERRNO.ENOTSOCK;
  }

  interfaceIndex(block: number, length: number): number {
    this.#checkBlock(block, "interfaceIndex");
    const at = block * this.blockBytes;
    const name = decodeUtf8(this.blocks.slice(at, at + length));
    return name === "lo" ? 1 : -ERRNO.ENODEV;
  }

  bindFile(fd: number, file: Uint8Array, _mode: number): number {
    const socket = this.#open(fd, "bindFile");
    if (socket === null) return -ERRNO.EBADF;
    return this.#kernel.files.bind(socket, file);
  }

  removeFile(file: Uint8Array): number {
    this.#kernel.require(!this.closed, "removeFile after close");
    return this.#kernel.files.remove(file);
  }

  staleFile(file: Uint8Array, remove: boolean): number {
    this.#kernel.require(!this.closed, "staleFile after close");
    return this.#kernel.files.stale(file, remove);
  }

  #adopt(fd: number): void {
    const socket = this.#kernel.at(fd);
    if (socket !== null) this.#owned.add(socket);
  }

  #open(fd: number, what: string, block = -1): FakeSocket | null {
    const kernel = this.#kernel;
    // The descriptors were closed with the ring, which refuses all calls.
    if (this.closed && this.stuck) return null;
    kernel.require(!this.closed, `${what} after close`);
    if (block >= 0) this.#checkBlock(block, what);
    const socket = kernel.at(fd);
    if (socket === null) kernel.complain(`${what} on descriptor ${fd}, which is not open`);
    return socket;
  }

  #checkBlock(block: number, what: string): void {
    const owner = this.#blockOwners.get(block);
    if (owner !== undefined) this.#kernel.complain(`${what}: its block belongs to ${owner.name}`);
  }
}

/** Lengths of one receive or send are an `int` in the kernel, which refuses negative ones. */
const LENGTH_MAX = 0x7fff_ffff;

function isTooLong(code: number, length: number): boolean {
  const counts: readonly number[] = [OP_CODE.recv, OP_CODE.recvSelect, OP_CODE.send];
  return counts.includes(code) && length > LENGTH_MAX;
}

function placeOf(op: FakeOp): "recv" | "send" | "accept" | "connect" | null {
  switch (op.kind) {
    case "recv":
    case "recvSelect":
    case "recvMultishot":
      return "recv";
    case "send":
    case "sendmsg":
      return "send";
    case "accept":
      return "accept";
    case "connect":
      return "connect";
    default:
      return null;
  }
}

function snapshotOf(kernel: FakeKernel, region: Region): Uint8Array {
  return (kernel.memory.resolve(region.slab, region.offset, region.length) as Uint8Array).slice();
}

function shuffle<T>(items: T[], int: (max: number) => number): void {
  for (let index = items.length - 1; index > 0; index--) {
    const other = int(index);
    [items[index], items[other]] = [items[other], items[index]];
  }
}
