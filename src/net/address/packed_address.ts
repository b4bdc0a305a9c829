/**
 * The compact form in which a connection keeps the address of its peer, because most programs never
 * ask for it. An IPv4 address and its port are one number, in the byte order of `sockaddr_in`;
 * other addresses are kept as objects.
 *
 *   number = octets x 65,536 + port       below 2 to the 48th: exact
 *
 * @module
 */
import type { BlockList } from "../../ring/block_list.ts";
import { formatAddress, isUnix, type SocketAddress, type UnixAddress } from "./address.ts";
import { AF_INET, readSockaddr } from "./sockaddr.ts";

export type PackedAddress = SocketAddress | UnixAddress | number;

/** sizeof(struct sockaddr_in) */
const SOCKADDR_IN_BYTES = 16;
const PORT_RANGE = 65_536;

/** Reads an address that the kernel wrote to a block. */
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

/** Whether both are the same address; both come from `read`. */
function equals(one: PackedAddress, other: PackedAddress): boolean {
  return one === other || formatAddress(unpack(one)) === formatAddress(unpack(other));
}

/** The address in the form for users. */
function unpack(packed: PackedAddress): SocketAddress | UnixAddress {
  if (typeof packed !== "number") return packed;
  const octets = Math.floor(packed / PORT_RANGE);
  const hostname = [0, 8, 16, 24].map((shift) => (octets >>> shift) & 255).join(".");
  return { hostname, port: port(packed) };
}

export const packedAddress = { read, unpack, port, equals };
