/**
 * The address of a peer, as it is kept until somebody asks for it: most programs never do. IPv4 and
 * its port are one number, in the byte order of `sockaddr_in`; others are what they are.
 *
 *   number = octets x 65,536 + port       below 2 to the 48th: exact
 *
 * @module
 */
import type { BlockList } from "../../ring/block_list.ts";
import {
  AF_INET,
  formatAddress,
  isUnix,
  readSockaddr,
  type SocketAddress,
  type UnixAddress,
} from "./address.ts";

export type PackedAddress = SocketAddress | UnixAddress | number;

/** sizeof(struct sockaddr_in) */
const SOCKADDR_IN_BYTES = 16;
const PORT_RANGE = 65_536;

/** Reads what the kernel wrote to a block. */
function read(blocks: BlockList, block: number, length: number): PackedAddress {
  const familyAndPort = blocks.word(block, 0);
  if (length !== SOCKADDR_IN_BYTES || (familyAndPort & 0xffff) !== AF_INET) {
    return readSockaddr(blocks.bytes(block), length);
  }
  return blocks.word(block, 1) * PORT_RANGE + (familyAndPort >>> 16);
}

/** The port, -1 for a unix socket. */
function port(packed: PackedAddress): number {
  if (typeof packed !== "number") return isUnix(packed) ? -1 : packed.port;
  const swapped = packed % PORT_RANGE;
  return ((swapped & 255) << 8) | (swapped >>> 8);
}

/** Whether both are the same, as far as they were read by `read`. */
function equals(one: PackedAddress, other: PackedAddress): boolean {
  return one === other || formatAddress(unpack(one)) === formatAddress(unpack(other));
}

/** The address as users see it. */
function unpack(packed: PackedAddress): SocketAddress | UnixAddress {
  if (typeof packed !== "number") return packed;
  const octets = Math.floor(packed / PORT_RANGE);
  const hostname = [0, 8, 16, 24].map((shift) => (octets >>> shift) & 255).join(".");
  return { hostname, port: port(packed) };
}

export const packedAddress = { read, unpack, port, equals };
