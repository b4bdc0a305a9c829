/**
 * Unix sockets without a library between them and the kernel, like those that other programs leave
 * behind.
 *
 * @module
 */
import { AF_UNIX, writeSockaddr } from "../../src/net/address/sockaddr.ts";
import { assert } from "../harness.ts";
import { libc } from "./libc.ts";

/** include/linux/socket.h */
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;

/** A socket that is bound to a path, and does not listen. */
export class RawUnixSocket implements Disposable {
  readonly #fd: number;

  constructor(path: string, type: number = SOCK_STREAM) {
    this.#fd = libc.socket(AF_UNIX, type, 0);
    const address = new Uint8Array(128);
    const { length } = writeSockaddr(address, { path });
    assert.is(libc.bind(this.#fd, address, length), 0, `bind ${path}`);
  }

  listen(): void {
    assert.is(libc.listen(this.#fd, 8), 0, "listen");
  }

  /** Closes the socket; its file stays. */
  [Symbol.dispose](): void {
    assert.is(libc.close(this.#fd), 0, "close");
  }
}

/** Leaves the file of a listener that is gone. */
export function leaveStaleFile(path: string): void {
  using socket = new RawUnixSocket(path);
  socket.listen();
}
