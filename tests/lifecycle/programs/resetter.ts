/**
 * Listens on the address that is its argument, and resets each connection as soon as it is there,
 * until it is killed. It speaks to the kernel directly and blocks, so that nothing comes between.
 *
 * @module
 */
import process from "node:process";
import { readSockaddr, writeSockaddr } from "../../../src/net/address/sockaddr.ts";
import { libc } from "../../support/libc.ts";

/** include/linux/socket.h, include/uapi/asm-generic/socket.h */
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const BACKLOG = 999;

const address = new Uint8Array(128);
const { family, length } = writeSockaddr(address, { hostname: process.argv[2], port: 0 });
const listener = libc.socket(family, SOCK_STREAM, 0);
const size = new Int32Array([address.length]);
const bound = libc.bind(listener, address, length) === 0 && libc.listen(listener, BACKLOG) === 0 &&
  libc.getsockname(listener, address, new Uint8Array(size.buffer)) === 0;
if (!bound) throw new Error(`no listener on ${process.argv[2]}`);
const { port } = readSockaddr(address, size[0]) as { port: number };
process.stdout.write(`<port ${port}>\n`, () => {
  const linger = new Uint8Array(new Int32Array([1, 0]).buffer);
  for (;;) {
    const fd = libc.accept(listener, null, null);
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length);
    libc.close(fd);
  }
});
