/**
 * The address of one end of a socket, as the kernel knows it.
 *
 * @module
 */
import type { Ring } from "../../ring/ring.ts";
import { type PackedAddress, packedAddress } from "./packed_address.ts";

/** Which end: this one, or the peer's. */
export const LOCAL_END = 0;
export const REMOTE_END = 1;
export type SocketSide = typeof LOCAL_END | typeof REMOTE_END;

/** Null when the socket has none, or when there is no block to read it into. */
export function endpoint(
  ring: Ring,
  fd: number,
  which: SocketSide,
): PackedAddress | null {
  const { blocks, port } = ring;
  const block = blocks.take();
  if (block < 0) return null;
  const length = port.address(fd, which, block);
  const address = length < 0 ? null : packedAddress.read(blocks, block, length);
  blocks.put(block);
  return address;
}
