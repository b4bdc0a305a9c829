/**
 * Addresses as users write and read them; sockaddr.ts has the kernel's form.
 *
 *   "127.0.0.1:80"  "[::1]:80"  "name:80"  "unix:/path"  { hostname, port }  { path }
 *   "unix:@name" and { path: "\0name" }: an abstract socket, which has no file
 *
 * @module
 */
import { check, shown } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { messageOf } from "../../base/network_error.ts";
import { parseIp } from "./ip.ts";

/** An address of TCP. */
export interface SocketAddress {
  /** An IPv4 or IPv6 address, which may have a scope ("fe80::1%eth0"), or a name. */
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

/** sizeof(sun_path), with one byte kept for the terminator. */
const UNIX_PATH_BYTES_MAX = 107;

/** Tells the two kinds apart; fields of `Object.prototype` do not count. */
export function isUnix(address: SocketAddress | UnixAddress): address is UnixAddress {
  return Object.hasOwn(address, "path");
}

const encoder = new TextEncoder();

/** An address in a message: an object by those of its fields that it has. */
function shownAddress(given: unknown, fields: Record<string, unknown>): string {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (typeof given !== "object" || known.length === 0) return shown(given);
  return `{ ${known.map(([name, value]) => `${name}: ${shown(value)}`).join(", ")} }`;
}

function fail(given: unknown, reason: string, fields: Record<string, unknown> = {}): never {
  const what = shownAddress(given, fields);
  throw new TypeError(
    `Cannot use address ${what}: ${reason}; wanted "host:port", "[ipv6]:port", ` +
      `"unix:/path", { hostname, port } or { path }`,
  );
}

function checkPath(path: unknown, given: unknown): UnixAddress {
  if (typeof path !== "string" || path === "") {
    fail(given, "the path is empty or not a string", { path });
  }
  if (path.indexOf("\0", 1) >= 0) fail(given, "the path contains a NUL character", { path });
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
    fail(text, "the brackets do not contain an IPv6 address");
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
  const refuse = (reason: string): never => fail(given, reason, { hostname, port });
  if (typeof hostname !== "string" || hostname === "") return refuse("the hostname is missing");
  const bracketed = /^\[(.*)\]$/.exec(hostname)?.[1];
  if (bracketed !== undefined && parseIp(bracketed)?.family !== 6) {
    refuse("the brackets do not contain an IPv6 address");
  }
  const bare = bracketed ?? hostname;
  const [, name, interfaceName = ""] = /^([^%]*)(?:%(.*))?$/s.exec(bare) as RegExpExecArray;
  if (/[\s\0/[\]]/.test(name) || /[\t-\r \0/:[\]]/.test(interfaceName)) {
    refuse("the hostname has an invalid character");
  }
  return { hostname: bare, port: check.integer("port", port, portMin, 65_535) };
}

/** Checks an address that is a field of options, which the error names. Port 0 is allowed. */
export function parseAddressField(field: string, given: unknown): SocketAddress | UnixAddress {
  const refused = "Cannot use ";
  try {
    return parseAddress(given, 0);
  } catch (error) {
    const reason = messageOf(error);
    // A getter of the caller has failed.
    if (!reason.startsWith(refused)) throw error;
    const Failure = error instanceof RangeError ? RangeError : TypeError;
    throw new Failure(`${refused}"${field}": ${reason.slice(refused.length)}`);
  }
}

/** The address as text, in the form that `parseAddress` reads. */
export function formatAddress(address: SocketAddress | UnixAddress): string {
  // "./" keeps a file whose name begins with @ from being read as an abstract socket.
  if (isUnix(address)) return `unix:${address.path.replace(/^@/, "./@").replace(/^\0/, "@")}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether an address is the path of a file, rather than a TCP address or an abstract name. */
export function isFile(address: SocketAddress | UnixAddress): address is UnixAddress {
  return isUnix(address) && address.path !== "" && !address.path.startsWith("\0");
}
