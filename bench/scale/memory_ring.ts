/**
 * The core's port on plain memory, as cheap as it can be: what a program over it takes is the time
 * of the library's JavaScript, without a kernel. `tests/support/fake_ring.ts` checks rules and
 * injects faults, and would cost more than the library here.
 *
 *   peers: connect -> accept completes     answer -> receive completes with 64 bytes, or a length
 *   a send completes with its whole length, and then its peer answers, when it is echoing
 *
 * Ready descriptors are served first come, first served, at most TURN_TARGET in a turn, as the shim
 * does. Buffers are taken in the order in which they were provided. No byte is written or read.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import type { SlabMemory } from "../../src/buf/slab.ts";
import { AF_INET } from "../../src/net/address/sockaddr.ts";
import { OP_CODE } from "../../src/ring/op_writer.ts";
import {
  CQE_BUFFER,
  CQE_BUFFER_SHIFT,
  CQE_MORE,
  type DoorbellPort,
  FEATURE,
  HEADER,
  type NativePort,
  type RingOpenOptions,
  type RingPort,
  type SystemFacts,
  TURN_SUBMIT,
} from "../../src/ring/port.ts";

const OP_CAPACITY = 1_024;
const COMPLETION_CAPACITY = 2_048;
/** UR_TURN_TARGET of the shim. */
const TURN_TARGET = 256;
const BLOCK_COUNT = 1_024;
const BLOCK_BYTES = 512;
const BUFFER_COUNT = 256;
const GROUP_COUNT = 3;
/** The first descriptor of a peer; the ones below are listeners. */
const FIRST_FD = 64;
const ADDRESS_LENGTH_WORD = 32;
const SOCKADDR_IN_BYTES = 16;

/** Reception of a descriptor. */
const NONE = 0;
const SINGLE = 1;
const MULTISHOT = 2;
/** The group of multishot receives: see `ReadGroups`. */
const MULTISHOT_GROUP = 1;

/** A queue of u32 in a ring of fixed size. */
class Numbers {
  readonly #items: Uint32Array;
  readonly #mask: number;
  #first = 0;
  #end = 0;

  constructor(capacity: number) {
    let size = 16;
    while (size < capacity) size *= 2;
    this.#items = new Uint32Array(size);
    this.#mask = size - 1;
  }

  get count(): number {
    return this.#end - this.#first;
  }

  push(item: number): void {
    this.#items[this.#end++ & this.#mask] = item;
  }

  shift(): number {
    return this.#items[this.#first++ & this.#mask];
  }
}

export class MemoryRing implements RingPort {
  readonly opCapacity = OP_CAPACITY;
  readonly completionCapacity = COMPLETION_CAPACITY;
  readonly blockCount = BLOCK_COUNT;
  readonly blockBytes = BLOCK_BYTES;
  readonly bufferCount = BUFFER_COUNT;
  readonly multishot = true;
  readonly header = new Uint32Array(64);
  readonly ops = new Uint32Array(OP_CAPACITY * 8);
  readonly completions = new Int32Array(COMPLETION_CAPACITY * 4);
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;
  /** Descriptors below `FIRST_FD + active` answer each send; the others are silent. */
  active = 0;
  /** Sends that have completed. */
  sendCount = 0;
  /** Peers that wait in the backlog. */
  backlog = 0;
  readonly #messageBytes: number;
  readonly #reception: Uint8Array;
  readonly #slot: Uint32Array;
  readonly #generation: Uint32Array;
  /** Bytes of which the core knows nothing yet; a message each. */
  readonly #ready: Numbers;
  /** Sends that complete in the next turn that collects: slot, generation, descriptor, length. */
  readonly #sent: Uint32Array;
  readonly #groups = Array.from({ length: GROUP_COUNT }, () => new Numbers(BUFFER_COUNT));
  /** Sends, then failures and cancelled receives: [slot, generation, result]. */
  readonly #landed: [number, number, number][] = [];
  readonly #free: number[] = [];
  #nextFd = FIRST_FD;
  #sentCount = 0;
  #acceptSlot = -1;
  #acceptGeneration = 0;
  #acceptBlock = 0;
  #wake: () => void = () => {};
  #count = 0;

  constructor(connectionsMax: number, messageBytes: number) {
    const size = FIRST_FD + connectionsMax + 1;
    this.#messageBytes = messageBytes;
    this.#reception = new Uint8Array(size);
    this.#slot = new Uint32Array(size);
    this.#generation = new Uint32Array(size);
    this.#ready = new Numbers(size);
    // A connection has one send at a time.
    this.#sent = new Uint32Array(size * 4);
    const blocks = new ArrayBuffer(BLOCK_COUNT * BLOCK_BYTES);
    this.blocks = new Uint8Array(blocks);
    this.blockWords = new Uint32Array(blocks);
  }

  /** The number of descriptors that are open. */
  get openCount(): number {
    return this.#nextFd - FIRST_FD - this.#free.length;
  }

  /** Every active peer sends one message. */
  startEchoes(active: number): void {
    this.active = active;
    for (let i = 0; i < active; i++) this.#ready.push(FIRST_FD + i);
    this.wake();
  }

  /** The thread is told that there is work. */
  wake(): void {
    this.#wake();
  }

  turn(opCount: number, flags: number): number {
    this.#count = 0;
    for (let i = 0; i < opCount; i++) this.#stage(i * 8);
    // As in the shim, a turn that only submits brings no completion.
    if ((flags & TURN_SUBMIT) !== 0) return 0;
    for (let i = 0; i < this.#sentCount; i++) {
      const at = i * 4;
      this.#put(this.#sent[at], this.#sent[at + 1], this.#sent[at + 3], 0);
      if (this.#sent[at + 2] < FIRST_FD + this.active) this.#ready.push(this.#sent[at + 2]);
    }
    this.sendCount += this.#sentCount;
    this.#sentCount = 0;
    const landing = Math.min(this.#landed.length, COMPLETION_CAPACITY - this.#count - TURN_TARGET);
    for (const [slot, generation, result] of this.#landed.splice(0, landing)) {
      this.#put(slot, generation, result, 0);
    }
    this.#acceptOne();
    this.#deliver();
    this.header[HEADER.more] = this.#hasWork ? 1 : 0;
    return this.#count;
  }

  get #hasWork(): boolean {
    return this.#ready.count > 0 || this.#landed.length > 0 ||
      (this.backlog > 0 && this.#acceptSlot >= 0);
  }

  #put(slot: number, generation: number, result: number, flags: number): void {
    const at = this.#count++ * 4;
    const { completions } = this;
    completions[at] = slot;
    completions[at + 1] = generation;
    completions[at + 2] = result;
    completions[at + 3] = flags;
  }

  #stage(at: number): void {
    const { ops } = this;
    const fd = ops[at + 3];
    switch (ops[at]) {
      case OP_CODE.provide:
        this.#groups[fd].push(ops[at + 1]);
        return;
      case OP_CODE.recvSelect:
      case OP_CODE.recvMultishot:
        this.#reception[fd] = ops[at] === OP_CODE.recvMultishot ? MULTISHOT : SINGLE;
        this.#slot[fd] = ops[at + 1];
        this.#generation[fd] = ops[at + 2];
        return;
      case OP_CODE.send: {
        const to = this.#sentCount++ * 4;
        this.#sent[to] = ops[at + 1];
        this.#sent[to + 1] = ops[at + 2];
        this.#sent[to + 2] = fd;
        this.#sent[to + 3] = ops[at + 6];
        return;
      }
      case OP_CODE.accept:
        this.#acceptSlot = ops[at + 1];
        this.#acceptGeneration = ops[at + 2];
        this.#acceptBlock = ops[at + 4];
        return;
      case OP_CODE.cancel:
        if (this.#acceptSlot !== ops[at + 5]) return;
        this.#landed.push([this.#acceptSlot, this.#acceptGeneration, -ERRNO.ECANCELED]);
        this.#acceptSlot = -1;
        return;
      default:
        throw new Error(`Cannot simulate op code ${ops[at]}`);
    }
  }

  /** Completes receives whose bytes have come, as long as there are buffers. */
  #deliver(): void {
    const group = this.#groups;
    for (let left = this.#ready.count; left > 0 && this.#count < TURN_TARGET; left--) {
      const fd = this.#ready.shift();
      const kind = this.#reception[fd];
      const buffers = group[kind === MULTISHOT ? MULTISHOT_GROUP : 0];
      if (kind === NONE || buffers.count === 0) {
        this.#ready.push(fd);
        continue;
      }
      if (kind === SINGLE) this.#reception[fd] = NONE;
      const flags = CQE_BUFFER | (buffers.shift() << CQE_BUFFER_SHIFT);
      const more = kind === MULTISHOT ? CQE_MORE : 0;
      this.#put(this.#slot[fd], this.#generation[fd], this.#messageBytes, flags | more);
    }
  }

  // ---- descriptors ---------------------------------------------------------------------------

  #open(): number {
    return this.#free.pop() ?? this.#nextFd++;
  }

  #writePeer(block: number, fd: number): void {
    const view = new DataView(this.blocks.buffer, block * BLOCK_BYTES);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, fd & 0xffff);
    view.setUint32(4, 0x7f000001 + (fd >>> 16));
    this.blockWords[block * BLOCK_BYTES / 4 + ADDRESS_LENGTH_WORD] = SOCKADDR_IN_BYTES;
  }

  #acceptOne(): void {
    if (this.#acceptSlot < 0 || this.backlog === 0) return;
    this.backlog--;
    const fd = this.#open();
    this.#writePeer(this.#acceptBlock, fd);
    this.#put(this.#acceptSlot, this.#acceptGeneration, fd, 0);
    this.#acceptSlot = -1;
  }

  accept(_fd: number, block: number): number {
    if (this.backlog === 0) return -ERRNO.EAGAIN;
    this.backlog--;
    const fd = this.#open();
    this.#writePeer(block, fd);
    return fd;
  }

  address(fd: number, _which: 0 | 1, block: number): number {
    this.#writePeer(block, fd);
    return SOCKADDR_IN_BYTES;
  }

  closeDescriptor(fd: number): number {
    if (fd >= FIRST_FD) this.#free.push(fd);
    return 0;
  }

  /** Ends the receive, as the kernel does when the half is shut. */
  shutdown(fd: number): number {
    if (this.#reception[fd] === NONE) return 0;
    this.#reception[fd] = NONE;
    this.#landed.push([this.#slot[fd], this.#generation[fd], 0]);
    return 0;
  }

  socket(): number {
    return 1;
  }

  arm(): number {
    return this.#hasWork ? 1 : 0;
  }

  openDoorbell(onWake: () => void): DoorbellPort {
    this.#wake = onWake;
    return { opened: Promise.resolve(), ref() {}, unref() {}, close() {} };
  }

  close(): number {
    return 0;
  }

  adopt(): number {
    return AF_INET;
  }

  disown(): number {
    return 0;
  }

  stateOf(): number {
    return 0;
  }

  bind(): number {
    return 0;
  }

  listen(): number {
    return 0;
  }

  setOption(): number {
    return 0;
  }

  getOption(): number {
    return 0;
  }

  cutOff(): number {
    return 0;
  }

  interfaceIndex(): number {
    return 0;
  }

  bindFile(): number {
    return 0;
  }

  removeFile(): number {
    return 0;
  }

  staleFile(): number {
    return 0;
  }
}

/** The library of a thread with one ring on plain memory. */
export class MemoryNative implements NativePort {
  readonly ring: MemoryRing;
  #slabCount = 0;

  constructor(ring: MemoryRing) {
    this.ring = ring;
  }

  mapSlab(sizeBytes: number): SlabMemory {
    return { id: this.#slabCount++, bytes: new Uint8Array(sizeBytes) };
  }

  setTimer(callback: () => void, delayMs: number): unknown {
    return setTimeout(callback, delayMs);
  }

  warn(message: string): void {
    console.error(message);
  }

  openRing(_options: RingOpenOptions): RingPort {
    return this.ring;
  }

  system(): SystemFacts {
    return { kernel: "6.18.0-memory", disabled: "0", memlockBytes: -1 };
  }

  probe(): number {
    return FEATURE.deferTaskrun | FEATURE.singleIssuer | FEATURE.providedBufferRings |
      FEATURE.multishotReceive;
  }
}
