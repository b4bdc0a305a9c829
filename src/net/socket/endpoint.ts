/**
 * The address of one end of a socket, as the kernel reports it.
 *
 * @module
 */
import type { Ring } from "../../ring/ring.ts";
import { type PackedAddress, packedAddress } from "../address/packed_address.ts";

/** The end of a connection: the local one, or the peer's. */
export const LOCAL_END = 0;
export const REMOTE_END = 1;
export type SocketSide = typeof LOCAL_END | typeof REMOTE_END;

/** Null when the socket has no such address, or when no block is free to read the address into. */
export function endpoint(
  ring: Ring,
  fd: number,
  side: SocketSide,
): PackedAddress | null {
  const { blocks, port } = ring;
  const block = blocks.take();
  if (block < 0) return null;
  const length = port.address(fd, side, block);
  const address = length < 0 ? null : packedAddress.read(blocks, block, length);
  blocks.put(block);
  return address;
}
