/**
 * The synchronous calls of the port, and their table of descriptors.
 *
 * A descriptor is a small number of this table, and is unknown to the system.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { isUnix } from "../net/address/address.ts";
import { AF_INET, AF_INET6, AF_UNIX, readSockaddr } from "../net/address/sockaddr.ts";
import {
  BLOCK_NONE,
  FILE_RECORD,
  MODE_DEFAULT,
  SHUTDOWN_AGAIN,
  SHUTDOWN_DISCARD,
  type ShutdownHow,
} from "../ring/port.ts";
import { BufferGroups } from "./buffer_groups.ts";
import { Descriptor } from "./descriptor.ts";
import { ipv6OnlySupported, NONE_WAITS, PortableListener } from "./portable_listener.ts";
import { type Completions, PortableStream } from "./portable_stream.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";
import type { SlabTable } from "./slab_table.ts";
import { socketAddresses } from "./socket_addresses.ts";
import { WindowPool } from "./window_pool.ts";

export const BLOCK_COUNT = 1_024;
export const BLOCK_BYTES = 512;
/** The offset at which an accept writes the length of the peer's address. */
const LENGTH_OFFSET = 128;
const UNSUPPORTED = -ERRNO.EOPNOTSUPP;

export abstract class PortableCalls implements Completions {
  readonly ownDescriptors = true as const;
  readonly blockCount = BLOCK_COUNT;
  readonly blockBytes = BLOCK_BYTES;
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;
  readonly slabs: SlabTable;
  readonly groups: BufferGroups = new BufferGroups();
  readonly windows: WindowPool = new WindowPool();
  protected readonly table: (Descriptor | null)[] = [];
  protected readonly free: number[] = [];
  /** Sockets of the runtime that are not closed, even when their descriptors are. */
  protected readonly streams: Set<PortableStream> = new Set();
  protected closed = false;

  constructor(slabs: SlabTable) {
    this.slabs = slabs;
    const blocks = new ArrayBuffer(BLOCK_COUNT * BLOCK_BYTES);
    this.blocks = new Uint8Array(blocks);
    this.blockWords = new Uint32Array(blocks);
  }

  abstract readonly isLone: boolean;

  abstract hold(stream: PortableStream): void;

  abstract complete(slot: number, generation: number, result: number, flags: number): void;

  /** Called when a connection waits. Completes the accept of this descriptor, if there is one. */
  protected abstract serveAccept(found: Descriptor): void;

  gone(stream: PortableStream): void {
    this.streams.delete(stream);
  }

  socket(family: number): number {
    if (this.closed) return -ERRNO.EBADF;
    const known = family === AF_INET || family === AF_INET6 || family === AF_UNIX;
    return known ? this.number(new Descriptor(family)) : -ERRNO.EAFNOSUPPORT;
  }

  /**
   * Refuses: sockets of the program are descriptors of the system, which `node:net` does not take.
   */
  adopt(_fd: number): number {
    return UNSUPPORTED;
  }

  disown(_fd: number): number {
    return UNSUPPORTED;
  }

  stateOf(_fd: number): number {
    return UNSUPPORTED;
  }

  bind(fd: number, block: number, length: number): number {
    const found = this.at(fd);
    if (found === null) return -ERRNO.EBADF;
    found.local = readSockaddr(this.block(block), length);
    return 0;
  }

  listen(fd: number, backlog: number): number {
    const found = this.at(fd);
    if (found === null) return -ERRNO.EBADF;
    const { local, ipv6Only, reusePort } = found;
    if (local === null) return -ERRNO.EINVAL;
    const [path, host, port] = isUnix(local)
      ? [local.path, "", 0]
      : [null, local.hostname, local.port];
    const target = { path, host, port, ipv6Only, reusePort };
    found.listener = new PortableListener(target, backlog, () => this.serveAccept(found));
    return 0;
  }

  listening(fd: number): number | Promise<number> {
    const found = this.at(fd);
    if (found === null || found.listener === null) return -ERRNO.EBADF;
    // Bun binds within listen(), and Deno does for a path.
    if (found.listener.listens && !found.ipv6Only) return nameListener(found, found.listener);
    return listeningLater(found, found.listener);
  }

  accept(fd: number, block: number): number {
    const found = this.at(fd);
    return found === null ? -ERRNO.EBADF : this.take(found, block);
  }

  address(fd: number, which: 0 | 1, block: number): number {
    const found = this.at(fd);
    if (found === null) return -ERRNO.EBADF;
    if (which === 1 && found.stream === null) return -ERRNO.ENOTCONN;
    const address = which === 0 ? found.local : found.remote;
    if (address === null && found.family !== AF_UNIX) return -ERRNO.ENOTCONN;
    return socketAddresses.write(this.block(block), address ?? { path: "" });
  }

  setOption(fd: number, option: number, value: number): number {
    return this.at(fd)?.setOption(option, value) ?? -ERRNO.EBADF;
  }

  getOption(fd: number, option: number): number {
    return this.at(fd)?.getOption(option) ?? -ERRNO.EBADF;
  }

  cutOff(fd: number): number {
    const stream = this.at(fd)?.stream ?? null;
    if (stream === null) return -ERRNO.ENOTCONN;
    return stream.cutOff ? 1 : 0;
  }

  shutdown(fd: number, how: ShutdownHow): number {
    const found = this.at(fd);
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
        return stream.sending.unsent ? 1 : 0;
      case SHUTDOWN_DISCARD:
        return stream.discard();
      case SHUTDOWN_AGAIN:
        return stream.lookAgain();
    }
  }

  closeDescriptor(fd: number): number {
    const found = this.at(fd);
    if (found === null) return -ERRNO.EBADF;
    this.table[fd] = null;
    this.free.push(fd);
    this.end(found);
    return 0;
  }

  protected end(found: Descriptor): void {
    found.listener?.stop();
    found.connecting?.destroy();
    found.connecting = null;
    found.stream?.close(found.resets);
  }

  interfaceIndex(block: number, length: number): number {
    const name = decodeUtf8(this.block(block).slice(0, length));
    const number = socketAddresses.interfaceNumber(name);
    return number > 0 ? number : -ERRNO.ENODEV;
  }

  /**
   * Notes the path. The runtime makes the file when it listens, with the permissions that the umask
   * leaves.
   */
  bindFile(fd: number, file: Uint8Array, mode: number): number {
    const found = this.at(fd);
    if (found === null) return -ERRNO.EBADF;
    if (mode !== MODE_DEFAULT) return UNSUPPORTED;
    const fields = new DataView(file.buffer, file.byteOffset);
    found.local = readSockaddr(file, fields.getUint32(FILE_RECORD.lengthAt, true));
    fields.setInt32(FILE_RECORD.directoryAt, -1, true);
    return 0;
  }

  /** Does nothing, because the runtime removes the file with the listener. */
  removeFile(_file: Uint8Array): number {
    return 0;
  }

  staleFile(_file: Uint8Array, _remove: boolean): number {
    return UNSUPPORTED;
  }

  /**
   * Returns a descriptor for a waiting connection, and writes the peer's address into the block, if
   * there is one. Else returns -errno.
   */
  protected take(found: Descriptor, block: number): number {
    const socket = found.listener?.take() ?? null;
    if (socket === null) return NONE_WAITS;
    const accepted = new Descriptor(found.family);
    // A TCP connection has its own local address. That of a unix socket is the path of the
    // listener.
    accepted.local = found.local;
    found.inheritTo(accepted);
    this.adoptSocket(accepted, socket);
    if (block === BLOCK_NONE) return this.number(accepted);
    const bytes = this.block(block);
    const length = socketAddresses.write(bytes, accepted.remote ?? { path: "" });
    this.blockWords[(block * BLOCK_BYTES + LENGTH_OFFSET) / 4] = length;
    return this.number(accepted);
  }

  /** Makes a connected socket the stream of its descriptor. */
  protected adoptSocket(found: Descriptor, socket: RuntimeSocket): void {
    const stream = new PortableStream(socket, this);
    this.streams.add(stream);
    found.stream = stream;
    if (found.family === AF_UNIX) {
      found.remote ??= { path: "" };
      return;
    }
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (remoteAddress !== undefined) {
      found.remote = socketAddresses.numeric(remoteAddress, remotePort as number, found.family);
    }
    if (localAddress !== undefined) {
      found.local = socketAddresses.numeric(localAddress, localPort as number, found.family);
    }
    found.applyTo(socket);
  }

  protected block(block: number): Uint8Array {
    return this.blocks.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
  }

  protected at(fd: number): Descriptor | null {
    return this.table[fd] ?? null;
  }

  protected number(found: Descriptor): number {
    const fd = this.free.pop() ?? this.table.length;
    this.table[fd] = found;
    return fd;
  }
}

/** Notes the address of a socket that listens. Returns 0. */
function nameListener(found: Descriptor, listener: PortableListener): number {
  const address = listener.server.address();
  if (address !== null && typeof address === "object") {
    found.local = socketAddresses.numeric(address.address, address.port, found.family);
  }
  return 0;
}

async function listeningLater(found: Descriptor, listener: PortableListener): Promise<number> {
  const result = await listener.opened;
  if (result !== 0) return result;
  if (found.ipv6Only && !await ipv6OnlySupported()) return UNSUPPORTED;
  return nameListener(found, listener);
}
