/**
 * A peer that speaks to the kernel directly: urgent bytes, half closes and resets in an order of
 * the test's choice, each done when the call returns.
 *
 * @module
 */
import { AF_INET, writeSockaddr } from "../../src/net/address/sockaddr.ts";
import { assert } from "../harness.ts";
import { libc } from "./libc.ts";

/** include/linux/socket.h, include/uapi/asm-generic/socket.h */
const SOCK_STREAM = 1;
const MSG_OOB = 1;
const MSG_DONTWAIT = 64;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_LINGER = 13;

/** include/uapi/linux/in.h, include/uapi/linux/tcp.h, include/net/tcp_states.h */
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_CLOSE = 7;

const FLOOD = new Uint8Array(60_000);

const encoder = new TextEncoder();

export class RawPeer implements Disposable {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Connects to a listener of the loopback, whose backlog answers. */
  static connect(port: number, receiveBufferBytes = 0): RawPeer {
    const peer = new RawPeer(libc.socket(AF_INET, SOCK_STREAM, 0));
    if (receiveBufferBytes > 0) peer.#set(SO_RCVBUF, [receiveBufferBytes]);
    const address = new Uint8Array(128);
    const { length } = writeSockaddr(address, { hostname: "127.0.0.1", port });
    assert.is(libc.connect(peer.#fd, address, length), 0, "connect");
    return peer;
  }

  send(text: string): void {
    this.#send(text, MSG_NOSIGNAL);
  }

  /** The last byte of `text` is urgent: it is out of band unless the receiver asks for it. */
  urgent(text: string): void {
    this.#send(text, MSG_NOSIGNAL | MSG_OOB);
  }

  /** Sends as much as the kernel takes. Returns the number of bytes. */
  flood(): number {
    let sent = 0;
    for (;;) {
      const length = BigInt(FLOOD.length);
      const count = Number(libc.send(this.#fd, FLOOD, length, MSG_DONTWAIT | MSG_NOSIGNAL));
      if (count <= 0) return sent;
      sent += count;
    }
  }

  /** Whether the connection is over on this side, after both FINs or a reset. */
  get isClosed(): boolean {
    const info = new Uint8Array(4);
    const size = new Uint8Array(new Uint32Array([info.length]).buffer);
    assert.is(libc.getsockopt(this.#fd, IPPROTO_TCP, TCP_INFO, info, size), 0, "getsockopt");
    return info[0] === TCP_CLOSE;
  }

  /** Takes what has arrived: how many bytes. */
  receive(lengthMax: number): number {
    const count = Number(
      libc.recv(this.#fd, new Uint8Array(lengthMax), BigInt(lengthMax), MSG_DONTWAIT),
    );
    return Math.max(count, 0);
  }

  fin(): void {
    assert.is(libc.shutdown(this.#fd, 1), 0, "shutdown");
  }

  reset(): void {
    this.#set(SO_LINGER, [1, 0]);
    this.close();
  }

  close(): void {
    if (this.#fd >= 0) assert.is(libc.close(this.#fd), 0, "close");
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(text: string, flags: number): void {
    const bytes = encoder.encode(text);
    const count = Number(libc.send(this.#fd, bytes, BigInt(bytes.length), flags));
    assert.is(count, bytes.length, `send ${text}`);
  }

  #set(option: number, words: number[]): void {
    const bytes = new Uint8Array(new Int32Array(words).buffer);
    assert.is(libc.setsockopt(this.#fd, SOL_SOCKET, option, bytes, bytes.length), 0, "setsockopt");
  }
}
