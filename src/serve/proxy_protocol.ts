/**
 * The PROXY protocol, versions 1 and 2: the header with which a load balancer tells the address of
 * the client that it serves.
 *
 *   version 1   PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n          at most 107 bytes of text
 *   version 2   signature(12) command(1) family(1) length(2) addresses TLVs
 *
 * Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";

/** The content of a PROXY header. */
export interface ProxyHeader {
  /**
   * "LOCAL" for connections that the proxy makes on its own behalf, such as health checks.
   * @default {"PROXY"}
   */
  command?: "PROXY" | "LOCAL";
  /** The client, as the proxy sees it; null for LOCAL and UNKNOWN. */
  source: SocketAddress | UnixAddress | null;
  /** The address that the client connected to; null for LOCAL and UNKNOWN. */
  destination: SocketAddress | UnixAddress | null;
  /**
   * Further values of version 2, in the order of the header.
   * @default {[]}
   */
  tlvs?: readonly ProxyTlv[];
}

/** One type-length-value of version 2. */
export interface ProxyTlv {
  /** 0 to 255; the protocol document lists the registered ones. */
  type: number;
  /** At most 65,535 bytes, less the rest of the header. */
  value: Uint8Array;
}

/** Numbers and fixed bytes of both versions. */
export const PROXY_PROTOCOL = Object.freeze({
  /** Version 1 begins with "PROXY ". */
  textStart: new TextEncoder().encode("PROXY "),
  /** The longest line of version 1, CR LF included. */
  textBytesMax: 107,
  /** The first bytes of version 2, with which no other protocol begins. */
  signature: Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10),
  /** Signature, command, family and length. */
  fixedBytes: 16,
  /** The largest length. */
  blockBytesMax: 65_535,
  command: Object.freeze({ LOCAL: 0, PROXY: 1 }),
  /** The high half of the family byte. */
  family: Object.freeze({ unspecified: 0, ipv4: 1, ipv6: 2, unix: 3 }),
  /** Bytes of both addresses and ports, by family. */
  addressBytes: Object.freeze([0, 12, 36, 216]) as readonly number[],
  /** sizeof(sockaddr_un.sun_path): one address of a unix socket. */
  unixBytes: 108,
  /** The low half of the family byte. */
  transportStream: 1,
  transportMax: 2,
  /** The type of the TLV that has the checksum. */
  tlvCrc32c: 3,
});
