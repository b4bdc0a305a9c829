/**
 * The number of a network interface, which is how the kernel takes the scope of an IPv6 address.
 *
 * @module
 */
import { ERRNO, errnoText } from "../base/errno.ts";
import type { Ring } from "../ring/ring.ts";

const encoder = new TextEncoder();

/** There is no such interface, or no memory to ask. */
export class InterfaceError extends Error {
  /** Positive. */
  readonly errno: number;

  constructor(name: string, errno: number) {
    super(`interface "${name}": ${errnoText(errno)}`);
    this.errno = errno;
  }
}

/** `name` has at most 15 characters, all of them ASCII. Throws an InterfaceError. */
export function interfaceIndex(ring: Ring, name: string): number {
  const { blocks, port } = ring;
  const block = blocks.take();
  if (block < 0) throw new InterfaceError(name, ERRNO.ENOBUFS);
  const bytes = encoder.encode(name);
  blocks.bytes(block).set(bytes);
  const index = port.interfaceIndex(block, bytes.length);
  blocks.put(block);
  if (index < 0) throw new InterfaceError(name, -index);
  return index;
}
