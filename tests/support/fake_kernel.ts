/**
 * A tiny model of TCP: descriptors, listeners, byte queues with limited room, FIN and RST. It does
 * not know rings: `fake_ring.ts` attempts operations when their socket reports an event.
 *
 * The behaviour of Linux that it imitates, because the core must cope with it: an error of a socket
 * is told once; bytes that arrived before RST stay readable; close with unread bytes sends RST;
 * bytes for a closed socket are answered with RST; the lowest free descriptor number is used next.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import {
  formatAddress,
  isFile,
  type SocketAddress,
  type UnixAddress,
} from "../../src/net/address/address.ts";
import { AF_INET6, AF_UNIX } from "../../src/net/address/sockaddr.ts";
import { SHUTDOWN_AGAIN, SHUTDOWN_DISCARD } from "../../src/ring/port.ts";
import type { FakeHost } from "./fake_host.ts";
import { FakeFiles } from "./fake_files.ts";
import { FakeSocket } from "./fake_socket.ts";
import { type Faults } from "./faults.ts";
import { MemoryWatch } from "./memory_watch.ts";

const {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EMFILE,
  ENOENT,
  ENOTCONN,
  EPIPE,
} = ERRNO;
const ETIMEDOUT = ERRNO.ETIMEDOUT;

const FIRST_FD = 3;
/** The family of a descriptor that is not a socket. */
const AF_UNSPEC = 0;
const SYN_RETRY_MS = 1_000;
const SYN_RETRY_COUNT = 6;

type Address = SocketAddress | UnixAddress;

export interface KernelOptions {
  sendCapacity?: number;
  recvCapacity?: number;
  /** Milliseconds that bytes and signals travel. */
  latencyMs?: () => number;
  descriptorMax?: number;
  /** Milliseconds that a shutdown takes: it may discard megabytes. */
  shutdownMs?: () => number;
  /** Whether this machine has IPv6 addresses. */
  ipv6?: boolean;
}

export class FakeKernel {
  readonly host: FakeHost;
  readonly faults: Faults;
  readonly memory: MemoryWatch;
  /** Broken rules; a test fails when there is one. */
  readonly violations: Error[] = [];
  readonly sockets = new Map<number, FakeSocket>();
  /** Every socket that was made, in order. */
  readonly all: FakeSocket[] = [];
  readonly options: Required<KernelOptions>;
  readonly files: FakeFiles = new FakeFiles(() => this.socket(AF_UNSPEC));
  /** The number of moves of bytes, and of descriptors that were opened or closed. */
  moveCount = 0;
  readonly #listeners = new Map<string, FakeSocket>();
  #port = 40_000;

  constructor(host: FakeHost, faults: Faults, options: KernelOptions = {}) {
    this.host = host;
    this.faults = faults;
    this.memory = new MemoryWatch((text) => this.complain(text));
    this.options = {
      sendCapacity: 65_536,
      recvCapacity: 65_536,
      latencyMs: () => 0.02,
      descriptorMax: 1_024,
      shutdownMs: () => 0,
      ipv6: true,
      ...options,
    };
  }

  /** Notes a broken rule. */
  complain(text: string): void {
    this.violations.push(new Error(`fake kernel: ${text}`));
  }

  require(holds: boolean, text: string): void {
    if (!holds) this.complain(text);
  }

  // ---- descriptors ---------------------------------------------------------------------------

  socket(family: number): number {
    const socket = this.#make(family);
    return this.#give(socket);
  }

  at(fd: number): FakeSocket | null {
    return this.sockets.get(fd) ?? null;
  }

  #make(family: number): FakeSocket {
    const socket = new FakeSocket(this.all.length, family);
    socket.sendCapacity = this.options.sendCapacity;
    socket.recvCapacity = this.options.recvCapacity;
    this.all.push(socket);
    return socket;
  }

  #give(socket: FakeSocket): number {
    let fd = FIRST_FD;
    while (this.sockets.has(fd)) fd++;
    if (fd >= this.options.descriptorMax) return -EMFILE;
    socket.fd = fd;
    this.sockets.set(fd, socket);
    this.moveCount++;
    return fd;
  }

  close(socket: FakeSocket): void {
    for (const op of socket.ops) this.complain(`close of fd ${socket.fd} under ${op.name}`);
    this.sockets.delete(socket.fd);
    this.moveCount++;
    socket.fd = -1;
    if (socket.state === "listening") this.#closeListener(socket);
    if (socket.peer !== null) this.#deliverSoon(socket.peer);
    if (socket.state !== "connected" || socket.dead) return;
    if (socket.lingerSeconds === 0 || socket.inbox.length > 0) {
      this.#abort(socket);
    } else {
      this.#queueFin(socket);
      // Its receive queue takes no more bytes. Arriving bytes are answered with RST.
      socket.shutRead = true;
    }
  }

  #closeListener(listener: FakeSocket): void {
    const key = keyOf(listener.local as Address);
    if (this.#listeners.get(key) === listener) this.#listeners.delete(key);
    for (const socket of listener.backlog.splice(0)) this.#abort(socket);
  }

  // ---- addresses -----------------------------------------------------------------------------

  bind(socket: FakeSocket, address: Address): number {
    const local = "port" in address && address.port === 0
      ? { ...address, port: this.#port++ }
      : address;
    if (this.#listeners.has(keyOf(local))) return -EADDRINUSE;
    socket.local = local;
    return 0;
  }

  listen(socket: FakeSocket, backlog: number): number {
    if (socket.local === null || socket.state !== "new") return -EINVAL;
    // The file takes a path, and may have been replaced.
    if (!isFile(socket.local) && this.#listeners.has(keyOf(socket.local))) return -EADDRINUSE;
    socket.state = "listening";
    socket.backlogMax = Math.max(backlog, 1);
    this.#listeners.set(keyOf(socket.local), socket);
    return 0;
  }

  /** Begins a handshake; `ended` is called with 0 or -errno. */
  connect(socket: FakeSocket, address: Address, ended: (result: number) => void): void {
    socket.state = "connecting";
    socket.remote = address;
    const local = "path" in address
      ? { path: "" }
      : { hostname: address.hostname, port: this.#port++ };
    socket.local = local;
    let attempts = 0;
    const attempt = () => {
      if (socket.dead || !socket.open) return;
      const listener = this.#listeners.get(keyOf(address));
      if (socket.family === AF_INET6 && !this.options.ipv6) {
        socket.state = "new";
        ended(-EADDRNOTAVAIL);
      } else if (isFile(address) && !this.files.has(address.path)) {
        socket.state = "new";
        ended(-ENOENT);
      } else if (listener === undefined) {
        socket.state = "new";
        ended(-ECONNREFUSED);
      } else if (listener.backlog.length >= listener.backlogMax) {
        if (++attempts < SYN_RETRY_COUNT) this.host.at(SYN_RETRY_MS, attempt);
        else ended(-ETIMEDOUT);
      } else {
        this.#establish(socket, listener);
        ended(0);
      }
    };
    this.host.at(this.options.latencyMs(), attempt);
  }

  #establish(socket: FakeSocket, listener: FakeSocket): void {
    const server = this.#make(socket.family);
    server.state = socket.state = "connected";
    server.local = listener.local;
    server.remote = socket.local;
    server.peer = socket;
    // Linux clones the listening socket.
    for (const [option, value] of listener.options) server.options.set(option, value);
    server.lingerSeconds = listener.lingerSeconds;
    socket.peer = server;
    listener.backlog.push(server);
    listener.ready();
  }

  /** A connected descriptor, or -errno: -EAGAIN when none waits. */
  accept(listener: FakeSocket): number {
    if (listener.backlog.length === 0) return -EAGAIN;
    const fd = this.#give(listener.backlog[0]);
    if (fd >= 0) listener.backlog.shift();
    return fd;
  }

  // ---- bytes ---------------------------------------------------------------------------------

  /** Takes bytes to send. Returns their number, 0 when there is no room, or -errno. */
  write(socket: FakeSocket, bytes: Uint8Array): number {
    if (socket.error !== 0) return -this.#tellError(socket);
    if (socket.finQueued || socket.dead) return -EPIPE;
    if (socket.peer === null) return -ENOTCONN;
    const count = Math.min(socket.sendCapacity - socket.outbox.length, bytes.length);
    if (count <= 0) return 0;
    const taken = bytes.slice(0, count);
    socket.outbox.push(taken);
    socket.wire.append(taken);
    this.moveCount++;
    this.#deliverSoon(socket);
    return count;
  }

  /** Whether a receive would not wait. */
  readable(socket: FakeSocket): boolean {
    return socket.inbox.length > 0 || socket.error !== 0 || socket.finArrived ||
      socket.shutRead || socket.dead;
  }

  /** Gives received bytes. Returns their number, 0 at the end, or -errno. */
  read(socket: FakeSocket, target: Uint8Array): number {
    if (socket.inbox.length > 0) {
      const count = socket.inbox.take(target);
      this.moveCount++;
      if (socket.peer !== null) this.#deliverSoon(socket.peer);
      return count;
    }
    // The end was reached before the error: tcp_recvmsg() looks at SOCK_DONE first.
    if (socket.finArrived) return 0;
    if (socket.error !== 0) return -this.#tellError(socket);
    // After the RST was reported to a send, the receive sees a plain end.
    return 0;
  }

  /** Whether the connection has ended without FIN. */
  cutOff(socket: FakeSocket): boolean {
    return socket.dead && !socket.finArrived;
  }

  shutdown(socket: FakeSocket, how: number): number {
    this.host.clockMs += this.options.shutdownMs();
    if (socket.state !== "connected" || socket.dead) {
      return how === SHUTDOWN_AGAIN ? 0 : -ENOTCONN;
    }
    if (how === 1) socket.finCount++;
    if (how !== 0) this.#queueFin(socket);
    if (how === SHUTDOWN_DISCARD || how === SHUTDOWN_AGAIN) {
      const came = socket.inbox.length > 0;
      socket.inbox.clear();
      const left = socket.outbox.length > 0 && socket.family !== AF_UNIX;
      if (left && !socket.finArrived) {
        if (came && socket.peer !== null) this.#deliverSoon(socket.peer);
        return came && how === SHUTDOWN_AGAIN ? 2 : 1;
      }
    }
    if (how !== 1) socket.shutRead = true;
    if (socket.peer !== null) this.#deliverSoon(socket.peer);
    socket.ready();
    return 0;
  }

  /** Breaks the connection: RST to both ends. */
  breakConnection(socket: FakeSocket): void {
    const { peer } = socket;
    this.#resetArrives(socket);
    if (peer !== null) this.#resetArrives(peer);
  }

  /** Retransmissions or probes of this end found no peer: tcp_write_err(). */
  timeOut(socket: FakeSocket): void {
    this.#resetArrives(socket);
    socket.error = ETIMEDOUT;
  }

  #tellError(socket: FakeSocket): number {
    const { error } = socket;
    socket.error = 0;
    return error;
  }

  #queueFin(socket: FakeSocket): void {
    if (socket.finQueued) return;
    socket.finQueued = true;
    socket.ready();
    this.#deliverSoon(socket);
  }

  #deliverSoon(socket: FakeSocket): void {
    if (socket.delivering || socket.dead) return;
    if (socket.outbox.length === 0 && !socket.finQueued) return;
    socket.delivering = true;
    this.host.at(this.options.latencyMs(), () => this.#deliver(socket));
  }

  #deliver(socket: FakeSocket): void {
    socket.delivering = false;
    const peer = socket.peer as FakeSocket;
    if (socket.dead || peer.dead) return;
    const waiting = socket.outbox.length;
    if (waiting > 0 && peer.shutRead && (!peer.open || peer.finQueued)) {
      // tcp_rcv_state_process(): data behind the end of both halves aborts the connection.
      this.breakConnection(socket);
      return;
    }
    const count = Math.min(waiting, peer.recvCapacity - peer.inbox.length);
    if (count > 0) {
      const moved = this.faults.int(1, 4) === 1 ? Math.ceil(count / 2) : count;
      socket.outbox.moveTo(peer.inbox, moved);
      peer.ready();
      socket.ready();
      this.#deliverSoon(socket);
    }
    if (socket.outbox.length === 0 && socket.finQueued && !peer.finArrived) {
      peer.finArrived = true;
      peer.ready();
    }
  }

  /** Ends this side at once: RST travels to the peer, and undelivered bytes are lost. */
  #abort(socket: FakeSocket): void {
    socket.dead = true;
    socket.outbox.clear();
    const { peer } = socket;
    if (peer === null) return;
    this.host.at(this.options.latencyMs(), () => this.#resetArrives(peer));
  }

  #resetArrives(socket: FakeSocket): void {
    if (socket.dead) return;
    socket.dead = true;
    socket.outbox.clear();
    // tcp_reset(): EPIPE in CLOSE_WAIT, where the peer had closed its half before.
    socket.error = socket.finArrived ? EPIPE : ECONNRESET;
    socket.ready();
  }
}

function keyOf(address: Address): string {
  return formatAddress(address);
}
