/**
 * The core's ring over `node:net`: op records in, completion records out.
 *
 *   turn: records -> sockets of the runtime          events of the runtime -> #queue -> next turn
 *
 * - A completion appears only in a turn. An event of the runtime queues it and, when the core
 *   sleeps, rings the bell.
 * - Each operation has exactly one completion: receives complete once here (`multishot` is false).
 * - Descriptors are small numbers of this ring, and mean nothing to the system.
 * - Nothing here throws: an error of the runtime becomes -errno.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  isUnix,
  readSockaddr,
  type SocketAddress,
  type UnixAddress,
} from "../net/address/address.ts";
import {
  type BellPort,
  FILE_RECORD,
  HEADER,
  MODE_DEFAULT,
  OP_CODE,
  type RingPort,
  SHUTDOWN_AGAIN,
  SHUTDOWN_DISCARD,
  type ShutdownHow,
} from "../ring/port.ts";
import { BufferGroups } from "./buffer_groups.ts";
import { CompletionQueue } from "./completion_queue.ts";
import { Descriptor } from "./descriptor.ts";
import { PortableBell } from "./portable_bell.ts";
import { ipv6OnlySupported, NONE_WAITS, PortableListener } from "./portable_listener.ts";
import { type Completions, PortableStream, type Range } from "./portable_stream.ts";
import { errnoOf, type RuntimeSocket, runtimeSockets, shielded } from "./runtime_sockets.ts";
import type { SlabTable } from "./slab_table.ts";
import { WindowPool } from "./window_pool.ts";
import { interfaceNumber, numericAddress, writeAddress } from "./socket_addresses.ts";

const OP_CAPACITY = 1_024;
const COMPLETION_CAPACITY = 2_048;
const BLOCK_COUNT = 1_024;
const BLOCK_BYTES = 512;
const BUFFER_COUNT = 256;
/** Where an accept leaves the length of the peer's address. */
const LENGTH_OFFSET = 128;
const UNSUPPORTED = -ERRNO.EOPNOTSUPP;

export class PortableRing implements RingPort, Completions {
  readonly opCapacity = OP_CAPACITY;
  readonly completionCapacity = COMPLETION_CAPACITY;
  readonly blockCount = BLOCK_COUNT;
  readonly blockBytes = BLOCK_BYTES;
  readonly bufferCount = BUFFER_COUNT;
  readonly multishot = false;
  readonly header = new Uint32Array(16);
  readonly ops = new Uint32Array(OP_CAPACITY * 8);
  readonly completions = new Int32Array(COMPLETION_CAPACITY * 4);
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;
  readonly slabs: SlabTable;
  readonly groups = new BufferGroups();
  readonly windows = new WindowPool();
  readonly #queue = new CompletionQueue();
  /** Where operations in flight are, by slot: what a cancel has to find. */
  readonly #flying: (Descriptor | null)[] = [];
  readonly #table: (Descriptor | null)[] = [];
  readonly #free: number[] = [];
  /** Sockets of the runtime that are not closed, whatever became of their descriptors. */
  readonly #streams = new Set<PortableStream>();
  #bell: PortableBell | null = null;
  #armed = false;
  #closed = false;

  constructor(slabs: SlabTable) {
    this.slabs = slabs;
    const blocks = new ArrayBuffer(BLOCK_COUNT * BLOCK_BYTES);
    this.blocks = new Uint8Array(blocks);
    this.blockWords = new Uint32Array(blocks);
  }

  // ---- the turn ------------------------------------------------------------------------------

  turn(opCount: number, _flags: number): number {
    if (this.#closed) return -ERRNO.EBADF;
    this.#armed = false;
    for (let i = 0; i < opCount; i++) this.#start(i * 8);
    const count = this.#queue.moveTo(this.completions, COMPLETION_CAPACITY);
    const { header } = this;
    header[HEADER.enters]++;
    header[HEADER.submissions] += opCount;
    header[HEADER.completions] += count;
    header[HEADER.more] = this.#queue.count > 0 ? 1 : 0;
    return count;
  }

  arm(): number {
    if (this.#queue.count > 0) return 1;
    this.#armed = true;
    this.header[HEADER.arms]++;
    return 0;
  }

  openBell(onWake: () => void): BellPort {
    return this.#bell = new PortableBell(onWake);
  }

  complete(slot: number, generation: number, result: number, flags: number): void {
    this.#flying[slot] = null;
    this.#queue.push(slot, generation, result, flags);
    if (!this.#armed) return;
    this.#armed = false;
    this.#bell?.ring();
  }

  gone(stream: PortableStream): void {
    this.#streams.delete(stream);
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
    const found = this.#table[fd] ?? null;
    if (found === null) return this.complete(slot, generation, -ERRNO.EBADF, 0);
    this.#flying[slot] = found;
    const { stream } = found;
    if (code === OP_CODE.accept) return this.#startAccept(found, slot, generation, slab);
    if (code === OP_CODE.connect) return this.#startConnect(found, slot, generation, slab, length);
    if (stream === null) return this.complete(slot, generation, -ERRNO.ENOTCONN, 0);
    switch (code) {
      case OP_CODE.recv:
        return stream.recv(slot, generation, slab, offset, length);
      case OP_CODE.recvSelect:
        return stream.recvSelect(slot, generation, slab, length);
      case OP_CODE.send:
        return stream.send(slot, generation, [{ slab, offset, length }]);
      case OP_CODE.sendmsg:
        return stream.send(slot, generation, this.#ranges(slab, length));
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
    if (stream?.cancelRecv(slot, generation) || stream?.cancelSend(slot, generation)) return;
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
    this.#serveAccept(found);
  }

  #serveAccept(found: Descriptor): void {
    const listener = found.listener as PortableListener;
    if (listener.slot < 0) return;
    const result = this.#take(found, listener.block);
    if (result === NONE_WAITS) return;
    const { slot, generation } = listener;
    listener.slot = -1;
    this.complete(slot, generation, result, 0);
  }

  /** A descriptor for a connection that waits, its peer's address in the block; or -errno. */
  #take(found: Descriptor, block: number): number {
    const socket = found.listener?.take() ?? null;
    if (socket === null) return NONE_WAITS;
    const accepted = new Descriptor(found.family);
    // An end of TCP has its own; one of a unix socket has the path of the listener.
    accepted.local = found.local;
    found.inheritTo(accepted);
    this.#adoptSocket(accepted, socket);
    const bytes = this.#block(block);
    const length = writeAddress(bytes, accepted.remote ?? { path: "" });
    this.blockWords[(block * BLOCK_BYTES + LENGTH_OFFSET) / 4] = length;
    return this.#number(accepted);
  }

  /** The socket is connected: it becomes the descriptor's stream. */
  #adoptSocket(found: Descriptor, socket: RuntimeSocket): void {
    const stream = new PortableStream(socket, this);
    this.#streams.add(stream);
    found.stream = stream;
    if (found.family === AF_UNIX) {
      found.remote ??= { path: "" };
      return;
    }
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (remoteAddress !== undefined) {
      found.remote = numericAddress(remoteAddress, remotePort as number, found.family);
    }
    if (localAddress !== undefined) {
      found.local = numericAddress(localAddress, localPort as number, found.family);
    }
    found.applyTo(socket);
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
    const address = readSockaddr(this.#block(block), length);
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
    else this.#adoptSocket(found, connecting as RuntimeSocket);
    this.complete(connectSlot, connectGeneration, result, 0);
  }

  // ---- calls that do not wait ----------------------------------------------------------------

  socket(family: number): number {
    if (this.#closed) return -ERRNO.EBADF;
    const known = family === AF_INET || family === AF_INET6 || family === AF_UNIX;
    return known ? this.#number(new Descriptor(family)) : -ERRNO.EAFNOSUPPORT;
  }

  /** Sockets of the program are descriptors of the system, which `node:net` does not take. */
  adopt(_fd: number): number {
    return UNSUPPORTED;
  }

  bind(fd: number, block: number, length: number): number {
    const found = this.#at(fd);
    if (found === null) return -ERRNO.EBADF;
    found.local = readSockaddr(this.#block(block), length);
    return 0;
  }

  listen(fd: number, backlog: number): number {
    const found = this.#at(fd);
    if (found === null) return -ERRNO.EBADF;
    const { local, ipv6Only, reusePort } = found;
    if (local === null) return -ERRNO.EINVAL;
    const [path, host, port] = isUnix(local)
      ? [local.path, "", 0]
      : [null, local.hostname, local.port];
    const target = { path, host, port, ipv6Only, reusePort };
    found.listener = new PortableListener(target, backlog, () => this.#serveAccept(found));
    return 0;
  }

  async listening(fd: number): Promise<number> {
    const found = this.#at(fd);
    if (found === null || found.listener === null) return -ERRNO.EBADF;
    const result = await found.listener.opened;
    if (result === 0 && found.ipv6Only && !await ipv6OnlySupported()) return UNSUPPORTED;
    const address = found.listener.server.address();
    if (result === 0 && address !== null && typeof address === "object") {
      const { address: hostname, port } = address;
      found.local = numericAddress(hostname, port, found.family);
    }
    return result;
  }

  accept(fd: number, block: number): number {
    const found = this.#at(fd);
    return found === null ? -ERRNO.EBADF : this.#take(found, block);
  }

  address(fd: number, which: 0 | 1, block: number): number {
    const found = this.#at(fd);
    if (found === null) return -ERRNO.EBADF;
    if (which === 1 && found.stream === null) return -ERRNO.ENOTCONN;
    const address = which === 0 ? found.local : found.remote;
    if (address === null && found.family !== AF_UNIX) return -ERRNO.ENOTCONN;
    return writeAddress(this.#block(block), address ?? { path: "" });
  }

  setOption(fd: number, option: number, value: number): number {
    return this.#at(fd)?.setOption(option, value) ?? -ERRNO.EBADF;
  }

  getOption(fd: number, option: number): number {
    return this.#at(fd)?.getOption(option) ?? -ERRNO.EBADF;
  }

  cutOff(fd: number): number {
    const stream = this.#at(fd)?.stream ?? null;
    if (stream === null) return -ERRNO.ENOTCONN;
    return stream.cutOff ? 1 : 0;
  }

  shutdown(fd: number, how: ShutdownHow): number {
    const found = this.#at(fd);
    if (found === null) return -ERRNO.EBADF;
    const { stream, listener } = found;
    if (listener !== null) {
      listener.stop();
      return 0;
    }
    if (stream === null) return -ERRNO.ENOTCONN;
    switch (how) {
      case 0:
        stream.shutdownRecv();
        return 0;
      case 1:
        stream.shutdownSend();
        return 0;
      case 2:
        stream.shutdownSend();
        stream.shutdownRecv();
        return stream.unsent ? 1 : 0;
      case SHUTDOWN_DISCARD:
        return stream.discard();
      case SHUTDOWN_AGAIN:
        return stream.lookAgain();
    }
  }

  closeDescriptor(fd: number): number {
    const found = this.#at(fd);
    if (found === null) return -ERRNO.EBADF;
    this.#table[fd] = null;
    this.#free.push(fd);
    this.#end(found);
    return 0;
  }

  #end(found: Descriptor): void {
    found.listener?.stop();
    found.connecting?.destroy();
    found.connecting = null;
    found.stream?.close(found.resets);
  }

  interfaceIndex(block: number, length: number): number {
    const name = decodeUtf8(this.#block(block).slice(0, length));
    const number = interfaceNumber(name);
    return number > 0 ? number : -ERRNO.ENODEV;
  }

  /** The runtime makes the file when it listens, with the permissions that the umask says. */
  bindFile(fd: number, file: Uint8Array, mode: number): number {
    const found = this.#at(fd);
    if (found === null) return -ERRNO.EBADF;
    if (mode !== MODE_DEFAULT) return UNSUPPORTED;
    const fields = new DataView(file.buffer, file.byteOffset);
    found.local = readSockaddr(file, fields.getUint32(FILE_RECORD.lengthAt, true));
    fields.setInt32(FILE_RECORD.directoryAt, -1, true);
    return 0;
  }

  /** The runtime removes it with the listener. */
  removeFile(_file: Uint8Array): number {
    return 0;
  }

  staleFile(_file: Uint8Array, _remove: boolean): number {
    return UNSUPPORTED;
  }

  close(): number {
    if (this.#closed) return -ERRNO.EBADF;
    this.#closed = true;
    for (const found of this.#table) if (found !== null) this.#end(found);
    for (const stream of this.#streams) stream.close(false);
    this.#table.length = 0;
    this.groups.clear();
    return 0;
  }

  #block(block: number): Uint8Array {
    return this.blocks.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
  }

  #at(fd: number): Descriptor | null {
    return this.#table[fd] ?? null;
  }

  #number(found: Descriptor): number {
    const fd = this.#free.pop() ?? this.#table.length;
    this.#table[fd] = found;
    return fd;
  }
}
