/**
 * The codec of `struct sockaddr_*`, the form in which the kernel takes and gives addresses.
 *
 *   { hostname, port }, { path } --writeSockaddr--> bytes --readSockaddr--> { hostname, port }, ...
 *
 * Hostnames are numeric here: `lookUp` has resolved the names.
 *
 * @module
 */
import { shown } from "../../base/check.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "./address.ts";
import { parseIp } from "./ip.ts";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** sizeof(struct sockaddr_storage) */
const SOCKADDR_BYTES = 128;

/** The first bytes of an IPv4 address that is mapped into IPv6. */
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

const encoder = new TextEncoder();

/** The address of an end that the kernel can no longer name. */
export function unknownAddress(family: number): SocketAddress | UnixAddress {
  if (family === AF_UNIX) return { path: "" };
  return { hostname: family === AF_INET6 ? "::" : "0.0.0.0", port: 0 };
}

/** Writes the sockaddr of a numeric address or a path; returns family and length. */
export function writeSockaddr(
  target: Uint8Array,
  address: SocketAddress | UnixAddress,
): { family: number; length: number } {
  target.fill(0, 0, SOCKADDR_BYTES);
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  if (isUnix(address)) {
    const bytes = encoder.encode(address.path);
    view.setUint16(0, AF_UNIX, true);
    target.set(bytes, 2);
    // A path ends with NUL. The length alone ends an abstract name.
    const terminator = address.path.startsWith("\0") ? 0 : 1;
    return { family: AF_UNIX, length: 2 + bytes.length + terminator };
  }
  const ip = parseIp(address.hostname);
  if (ip === null || typeof ip.scope === "string") {
    throw new TypeError(`Cannot use ${shown(address.hostname)}: not a numeric address`);
  }
  const family = ip.family === 4 ? AF_INET : AF_INET6;
  view.setUint16(0, family, true);
  view.setUint16(2, address.port, false);
  if (ip.family === 4) {
    target.set(ip.bytes, 4);
    return { family, length: 16 };
  }
  target.set(ip.bytes, 8);
  view.setUint32(24, ip.scope, true);
  return { family, length: 28 };
}

/**
 * The address at which a connect to this numeric address or path arrives, in the spelling of
 * `readSockaddr`. The kernel connects the unspecified address to the loopback.
 */
export function connectedAddress(
  address: SocketAddress | UnixAddress,
): SocketAddress | UnixAddress {
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const { family, length } = writeSockaddr(bytes, address);
  const ip = family === AF_INET ? bytes.subarray(4, 8) : bytes.subarray(8, 24);
  if (family !== AF_UNIX && isUnspecified(ip)) {
    const mapped = ip[10] === 0xff;
    if (family === AF_INET || mapped) ip.set([127, 0, 0, 1], ip.length - 4);
    else ip[15] = 1;
  }
  return readSockaddr(bytes, length);
}

/** All zero: in IPv4, in IPv6, or in IPv4 mapped into IPv6. */
function isUnspecified(ip: Uint8Array): boolean {
  const mapped = ip.length === 16 && MAPPED_PREFIX.every((byte, i) => ip[i] === byte);
  return ip.subarray(mapped ? 12 : 0).every((byte) => byte === 0);
}

/** Reads a sockaddr that the kernel wrote. An unnamed unix socket has the empty path. */
export function readSockaddr(source: Uint8Array, length: number): SocketAddress | UnixAddress {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const family = length < 2 ? AF_UNIX : view.getUint16(0, true);
  if (family === AF_INET) {
    return { hostname: source.subarray(4, 8).join("."), port: view.getUint16(2, false) };
  }
  if (family === AF_INET6) {
    const scope = view.getUint32(24, true);
    const hostname = formatIpv6(source.subarray(8, 24)) + (scope === 0 ? "" : `%${scope}`);
    return { hostname, port: view.getUint16(2, false) };
  }
  // Adopted descriptors may be of a family without a name here.
  if (family !== AF_UNIX) return { path: "" };
  const path = decodeUtf8(source.slice(2, Math.max(length, 2)));
  return { path: path.startsWith("\0") ? path : path.replace(/\0.*$/s, "") };
}

/**
 * The 16 bytes of an IPv6 address as text, after RFC 5952: lower case, "::" for the longest run of
 * two or more zero groups, and dotted octets for a mapped IPv4 address.
 */
export function formatIpv6(bytes: Uint8Array): string {
  if (MAPPED_PREFIX.every((byte, i) => bytes[i] === byte)) {
    return `::ffff:${bytes.subarray(12).join(".")}`;
  }
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i] << 8) | bytes[i + 1]);
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (bestStart < 0) return text(groups);
  return `${text(groups.slice(0, bestStart))}::${text(groups.slice(bestStart + bestLength))}`;
}
