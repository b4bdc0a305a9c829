/**
 * Writes PROXY headers. `proxy_protocol.ts` shows their form.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { intrinsics } from "../base/intrinsics.ts";
import {
  isUnix,
  parseAddressField,
  type SocketAddress,
  type UnixAddress,
} from "../net/address/address.ts";
import { formatIpv6 } from "../net/address/sockaddr.ts";
import { type Ip, parseIp } from "../net/address/ip.ts";
import { PROXY_PROTOCOL, type ProxyHeader, type ProxyTlv } from "./proxy_protocol.ts";

type Address = SocketAddress | UnixAddress;

const { signature, fixedBytes, blockBytesMax, unixBytes, transportStream } = PROXY_PROTOCOL;
const { command: COMMAND, family: FAMILY, addressBytes: addressBytesOf } = PROXY_PROTOCOL;

const textEncoder = new TextEncoder();

/**
 * Makes the bytes of a PROXY header, which a proxy sends before any other byte. TLVs need version
 * 2. Version 1 cannot express unix sockets and the command LOCAL, and has UNKNOWN instead.
 *
 * @param header The addresses, both of one family or both null.
 * @param version 1 is text, 2 is binary. Defaults to 2.
 * @returns The bytes of the header.
 * @throws {TypeError} The header has a wrong type, or its addresses are of different families.
 * @throws {RangeError} A value of the header is out of range.
 *
 * @example
 * ```ts
 * import { proxyHeader } from "@uringnet/uringnet";
 *
 * const header = proxyHeader({
 *   source: { hostname: "192.0.2.1", port: 50_000 },
 *   destination: { hostname: "192.0.2.2", port: 443 },
 * }, 1);
 * console.log(new TextDecoder().decode(header).trim()); // PROXY TCP4 192.0.2.1 192.0.2.2 50000 443
 * ```
 */
export function proxyHeader(
  header: ProxyHeader,
  version: 1 | 2 = 2,
): Uint8Array<ArrayBuffer> {
  const checked = checkHeader(header);
  if (version === 1) return textHeader(checked);
  if (version === 2) return binaryHeader(checked);
  return check.fail("version", "1 or 2", version);
}

interface CheckedHeader {
  command: "PROXY" | "LOCAL";
  source: Address | null;
  destination: Address | null;
  tlvs: ProxyTlv[];
}

function checkHeader(header: ProxyHeader): CheckedHeader {
  const known = ["command", "source", "destination", "tlvs"];
  const given = check.options("header", header, known);
  if (header === undefined) check.fail("header", "an object", header);
  const { command = "PROXY", source, destination, tlvs = [] } = given;
  return {
    command: check.oneOf("header.command", command, ["PROXY", "LOCAL"]),
    source: checkAddress("header.source", source),
    destination: checkAddress("header.destination", destination),
    tlvs: checkTlvs(tlvs),
  };
}

function checkAddress(field: string, value: unknown): Address | null {
  if (value === null) return null;
  if (value === undefined) check.fail(field, "an address or null", value);
  const address = parseAddressField(field, value);
  if (isUnix(address)) return address;
  const ip = parseIp(address.hostname);
  if (ip === null || ip.scope !== 0) {
    check.fail(field, "a numeric address without a scope, or null", address.hostname);
  }
  return address;
}

function checkTlvs(value: unknown): ProxyTlv[] {
  if (!Array.isArray(value)) return check.fail("header.tlvs", "an array", value);
  return Array.from(value, (tlv: unknown, index) => {
    const field = `header.tlvs[${index}]`;
    const given = check.options(field, tlv, ["type", "value"]);
    const bytes = given.value;
    const length = check.bytes(`${field}.value`, "a Uint8Array", bytes);
    return {
      type: check.integer(`${field}.type`, given.type, 0, 255),
      value: intrinsics.viewOf(bytes as Uint8Array, 0, length).slice(),
    };
  });
}

function textHeader(header: CheckedHeader): Uint8Array<ArrayBuffer> {
  const { command, source, destination, tlvs } = header;
  if (tlvs.length > 0) check.fail("header.tlvs", "none in version 1", tlvs);
  const family = familyOf(source, destination);
  const told = command === "PROXY" && source !== null && destination !== null &&
    !isUnix(source) && !isUnix(destination);
  if (!told) return textEncoder.encode("PROXY UNKNOWN\r\n");
  const name = family === FAMILY.ipv4 ? "TCP4" : "TCP6";
  const hosts = `${textHost(source)} ${textHost(destination)}`;
  return textEncoder.encode(`PROXY ${name} ${hosts} ${source.port} ${destination.port}\r\n`);
}

/** The canonical form of an address, which every receiver can read. */
function textHost({ hostname }: SocketAddress): string {
  const { family, bytes } = parseIp(hostname) as Ip;
  return family === 4 ? bytes.join(".") : formatIpv6(bytes);
}

function binaryHeader(header: CheckedHeader): Uint8Array<ArrayBuffer> {
  const { command, tlvs } = header;
  const local = command === "LOCAL";
  const source = local ? null : header.source;
  const destination = local ? null : header.destination;
  const family = familyOf(source, destination);
  const addressBytes = addressBytesOf[family];
  const tlvBytes = tlvs.reduce((sum, { value }) => sum + 3 + value.length, 0);
  const blockBytes = addressBytes + tlvBytes;
  check.integer("header.tlvs (bytes)", tlvBytes, 0, blockBytesMax - addressBytes);
  const bytes = new Uint8Array(fixedBytes + blockBytes);
  bytes.set(signature);
  bytes[12] = 0x20 | COMMAND[command];
  bytes[13] = family === FAMILY.unspecified ? 0 : (family << 4) | transportStream;
  bytes[14] = blockBytes >>> 8;
  bytes[15] = blockBytes & 255;
  const block = bytes.subarray(fixedBytes);
  if (source !== null && destination !== null) writeAddresses(block, family, source, destination);
  let at = addressBytes;
  for (const { type, value } of tlvs) {
    block[at] = type;
    block[at + 1] = value.length >>> 8;
    block[at + 2] = value.length & 255;
    block.set(value, at + 3);
    at += 3 + value.length;
  }
  return bytes;
}

/** The family of both addresses. Throws TypeError when the families differ. */
function familyOf(source: Address | null, destination: Address | null): number {
  if (source === null && destination === null) return FAMILY.unspecified;
  const [one, other] = [source, destination].map((address) => {
    if (address === null) return FAMILY.unspecified;
    if (isUnix(address)) return FAMILY.unix;
    return address.hostname.includes(":") ? FAMILY.ipv6 : FAMILY.ipv4;
  });
  if (one === other) return one;
  const wanted = "a source and a destination of one family, or null for both";
  return check.fail("header", wanted, { source, destination });
}

function writeAddresses(
  block: Uint8Array,
  family: number,
  source: Address,
  destination: Address,
): void {
  const hostBytes = family === FAMILY.unix ? unixBytes : family === FAMILY.ipv6 ? 16 : 4;
  [source, destination].forEach((address, index) => {
    const at = index * hostBytes;
    if (isUnix(address)) {
      block.set(textEncoder.encode(address.path), at);
      return;
    }
    block.set((parseIp(address.hostname) as Ip).bytes, at);
    const portAt = 2 * hostBytes + 2 * index;
    block[portAt] = address.port >>> 8;
    block[portAt + 1] = address.port & 255;
  });
}
