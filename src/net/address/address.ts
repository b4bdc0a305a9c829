/**
 * Addresses: what users write, what the kernel reads (`struct sockaddr_*`), and back.
 *
 *   "127.0.0.1:80"  "[::1]:80"  "name:80"  "unix:/path"  { hostname, port }  { path }
 *   "unix:@name" and { path: "\0name" }: an abstract socket, which is no file
 *
 * @module
 */
import { check, shown } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import { parseIp } from "./ip.ts";

/** An address of TCP. */
export interface SocketAddress {
  /** An IPv4 or IPv6 address, with a scope if need be ("fe80::1%eth0"), or a name. */
  hostname: string;
  /** 0 to 65,535 for `bind`, 1 to 65,535 for `dial`. */
  port: number;
}

/** An address of a unix socket. */
export interface UnixAddress {
  /** At most 107 bytes. A leading NUL character names an abstract socket. */
  path: string;
}

/**
 * Where to listen or to connect. As text: `"127.0.0.1:80"`, `"[::1]:80"`, `"name:80"`,
 * `"unix:/path"`, or `"unix:@name"` for an abstract socket.
 *
 * @example
 * ```ts
 * import { type Address, Network } from "@uringnet/uringnet";
 *
 * const addresses: Address[] = ["unix:@uringnet-example", { hostname: "::1", port: 0 }];
 * await using network = await Network.start();
 * for (const address of addresses) await (await network.bind(address)).close();
 * ```
 */
export type Address = SocketAddress | UnixAddress | string;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** sizeof(sun_path), with one byte kept for the terminator. */
const UNIX_PATH_BYTES_MAX = 107;

/** sizeof(struct sockaddr_storage) */
const SOCKADDR_BYTES = 128;

/** How IPv4 addresses begin where IPv6 ones are wanted. */
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Tells the two kinds apart, whatever was put on `Object.prototype`. */
export function isUnix(address: SocketAddress | UnixAddress): address is UnixAddress {
  return Object.hasOwn(address, "path");
}

const encoder = new TextEncoder();

function fail(value: unknown, reason: string): never {
  throw new TypeError(
    `Cannot use address ${shown(value)}: ${reason}; wanted "host:port", "[ipv6]:port", ` +
      `"unix:/path", { hostname, port } or { path }`,
  );
}

function checkPath(path: unknown, given: unknown): UnixAddress {
  if (typeof path !== "string" || path === "") fail(given, "the path is empty or not a string");
  if (path.indexOf("\0", 1) >= 0) fail(given, "the path contains a NUL character");
  const length = encoder.encode(path).length;
  if (length > UNIX_PATH_BYTES_MAX) {
    throw new RangeError(
      `Cannot use unix path ${
        shown(path)
      }: wanted at most ${UNIX_PATH_BYTES_MAX} bytes, given ${length}`,
    );
  }
  return { path };
}

function parseText(text: string): SocketAddress | UnixAddress {
  if (text.startsWith("unix:@")) return checkPath(`\0${text.slice(6)}`, text);
  if (text.startsWith("unix:")) return checkPath(text.slice(5), text);
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)$/.exec(text);
  if (match === null) fail(text, "it is malformed");
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && parseIp(bracketed)?.family !== 6) {
    fail(text, "what stands in brackets is not an IPv6 address");
  }
  return { hostname: bracketed ?? plain, port: Number(digits) };
}

/** Checks an address. Throws TypeError (malformed) or RangeError (port, length). */
export function parseAddress(given: unknown, portMin: 0 | 1): SocketAddress | UnixAddress {
  const address = typeof given === "string" ? parseText(given) : given;
  if (address === null || typeof address !== "object") fail(given, "it is not an address");
  const path = intrinsics.optionOf(address, "path");
  if (path !== undefined) return checkPath(path, given);
  const hostname = intrinsics.optionOf(address, "hostname");
  const port = intrinsics.optionOf(address, "port");
  if (typeof hostname !== "string" || hostname === "") fail(given, "the hostname is missing");
  const bracketed = /^\[(.*)\]$/.exec(hostname)?.[1];
  if (bracketed !== undefined && parseIp(bracketed)?.family !== 6) {
    fail(given, "what stands in brackets is not an IPv6 address");
  }
  const bare = bracketed ?? hostname;
  const [, name, interfaceName = ""] = /^([^%]*)(?:%(.*))?$/s.exec(bare) as RegExpExecArray;
  if (/[\s\0/[\]]/.test(name) || /[\t-\r \0/:[\]]/.test(interfaceName)) {
    fail(given, "the hostname has a character that no name has");
  }
  return { hostname: bare, port: check.integer("port", port, portMin, 65_535) };
}

/** The address as text, in the form that `parseAddress` reads. */
export function formatAddress(address: SocketAddress | UnixAddress): string {
  // A file whose name begins with @ is not to be read as an abstract socket.
  if (isUnix(address)) return `unix:${address.path.replace(/^@/, "./@").replace(/^\0/, "@")}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The address of an end that the kernel does not name any more. */
export function unknownAddress(family: number): SocketAddress | UnixAddress {
  if (family === AF_UNIX) return { path: "" };
  return { hostname: family === AF_INET6 ? "::" : "0.0.0.0", port: 0 };
}

/** Whether an address is the path of a file: not one of TCP, and not an abstract name. */
export function isFile(address: SocketAddress | UnixAddress): address is UnixAddress {
  return isUnix(address) && address.path !== "" && !address.path.startsWith("\0");
}

/** Writes a sockaddr for a numeric address; returns family and length. */
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
    // A path ends with NUL; an abstract name is as long as it is.
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
 * Where a connect to this numeric address or path arrives, in the spelling of `readSockaddr`. The
 * kernel takes the unspecified address for the loopback.
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

/** All zero, as IPv4, as IPv6, or as IPv4 in the place of IPv6. */
function isUnspecified(ip: Uint8Array): boolean {
  const mapped = ip.length === 16 && MAPPED_PREFIX.every((byte, i) => ip[i] === byte);
  return ip.subarray(mapped ? 12 : 0).every((byte) => byte === 0);
}

/** Reads what the kernel wrote. An unnamed unix socket has the empty path. */
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
  const path = decodeUtf8(source.slice(2, Math.max(length, 2)));
  return { path: path.startsWith("\0") ? path : path.replace(/\0.*$/s, "") };
}

/**
 * RFC 5952: lower case, the longest run of two or more zero groups becomes "::", and what stands
 * for an IPv4 address shows it.
 */
function formatIpv6(bytes: Uint8Array): string {
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
