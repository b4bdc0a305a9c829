/**
 * The number of a network interface, which is how the kernel takes the scope of an IPv6 address.
 *
 * @module
 */
import { errnoText } from "../../base/errno.ts";
import type { Ring } from "../../ring/ring.ts";

/** There is no such interface, or no memory to ask. */
export class InterfaceError extends Error {
  /** Positive. */
  readonly errno: number;

  constructor(name: string, errno: number) {
    super(`interface "${name}": ${errnoText(errno)}`);
    this.errno = errno;
  }
}

/** `name` has at most 15 characters. Throws an InterfaceError. */
export function interfaceIndex(ring: Ring, name: string): number {
  const { blocks, port } = ring;
  const index = blocks.withText(name, (block, length) => port.interfaceIndex(block, length));
  if (index < 0) throw new InterfaceError(name, -index);
  return index;
}
