/**
 * Reads PROXY headers. `proxy_protocol.ts` shows their form.
 *
 *   wait for bytes -> parse -> more are missing: wait again
 *                           -> no such header: refused
 *                           -> a header: consumed
 *
 * Invariants
 * - A header is consumed completely or not at all: a failure, a timeout and an abort leave every
 *   byte buffered.
 * - A peer that sends other bytes is refused at the first byte that differs.
 * - At most as many bytes are read as the longest header has: 65,551.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { ERRNO } from "../base/errno.ts";
import { NetworkError } from "../base/network_error.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import { formatIpv6 } from "../net/address/sockaddr.ts";
import { parseIp } from "../net/address/ip.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import type { Stream } from "../net/recv/stream.ts";
import { CallBudget, peerOf, type Task } from "./call_budget.ts";
import { crc32c } from "./crc32c.ts";
import { PROXY_PROTOCOL, type ProxyHeader, type ProxyTlv } from "./proxy_protocol.ts";

type Address = SocketAddress | UnixAddress;

const { textStart, textBytesMax, signature, fixedBytes, blockBytesMax } = PROXY_PROTOCOL;
const { command: COMMAND, family: FAMILY, unixBytes, tlvCrc32c, transportMax } = PROXY_PROTOCOL;
const { addressBytes: addressBytesOf } = PROXY_PROTOCOL;

const PROXY_HEADER: Task = { operation: "readProxyHeader", action: "read a PROXY header" };

const asciiDecoder = new TextDecoder("latin1");
const pathDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Receives a PROXY header of version 1 or 2 from the front of a stream. A failure consumes nothing.
 *
 * @param stream The stream that begins with the header.
 * @param options A signal, and a budget. The budget defaults to `readTimeoutMs`.
 * @returns The header.
 * @throws {NetworkError} `"RecvFailed"`: the bytes are not a PROXY header (errno EPROTO), the
 * stream ends before the header does (`endOfStream` is true), or the kernel reports an errno.
 * `"Timeout"`: the budget ran out. `"Closed"`: the half is closed.
 * @throws {TypeError} An argument has a wrong type.
 * @throws {RangeError} `timeoutMs` is out of range.
 * @throws The reason of the signal, when the signal is aborted.
 *
 * @example
 * ```ts
 * import { Network, proxyHeader, readProxyHeader } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept();
 * await using client = await network.dial(listener.localAddress);
 * await using server = await accepting;
 *
 * const source = { hostname: "192.0.2.1", port: 50_000 };
 * const destination = { hostname: "192.0.2.2", port: 443 };
 * await client.sink.send(proxyHeader({ source, destination }));
 * const header = await readProxyHeader(server.stream, { timeoutMs: 3_000 });
 * console.log(header.command); // PROXY
 * ```
 */
export async function readProxyHeader(
  stream: Stream,
  options?: CallOptions,
): Promise<ProxyHeader> {
  // By its methods: a program may read from a stand-in for a stream.
  if (typeof (stream as Partial<Stream> | null | undefined)?.wait !== "function") {
    check.fail("stream", "a Stream, such as that of a connection", stream);
  }
  const budget = CallBudget.ofMessage(stream, options);
  try {
    return await receiveHeader(stream, budget);
  } catch (error) {
    throw budget.failure(error, PROXY_HEADER, stream);
  }
}

async function receiveHeader(stream: Stream, budget: CallBudget): Promise<ProxyHeader> {
  let wanted = 1;
  for (;;) {
    if (!(await stream.wait(wanted, budget.left))) throw endError(stream);
    const bytes = stream.peek(fixedBytes + blockBytesMax);
    const step = parse(bytes);
    if (step.kind === "more") {
      wanted = Math.max(step.wanted, bytes.length + 1);
    } else if (step.kind === "invalid") {
      throw invalid(stream, step.reason);
    } else {
      stream.consume(step.bytes);
      return step.header;
    }
  }
}

type Step =
  /** The header is not complete, and has at least `wanted` bytes. */
  | { kind: "more"; wanted: number }
  | { kind: "invalid"; reason: string }
  | { kind: "header"; header: ProxyHeader; bytes: number };

function failInvalid(reason: string): Step {
  return { kind: "invalid", reason };
}

function parse(bytes: Uint8Array): Step {
  const text = matches(bytes, textStart);
  if (text === "whole") return parseText(bytes);
  const binary = matches(bytes, signature);
  if (binary === "whole") return parseBinary(bytes);
  if (text === "part" || binary === "part") return { kind: "more", wanted: bytes.length + 1 };
  return failInvalid("the stream does not begin with a PROXY header");
}

function matches(bytes: Uint8Array, wanted: Uint8Array): "no" | "part" | "whole" {
  const length = Math.min(bytes.length, wanted.length);
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== wanted[i]) return "no";
  }
  return length === wanted.length ? "whole" : "part";
}

function parseText(bytes: Uint8Array): Step {
  const lineEnd = bytes.subarray(0, textBytesMax).indexOf(10);
  if (lineEnd < 0) {
    return bytes.length < textBytesMax
      ? { kind: "more", wanted: bytes.length + 1 }
      : failInvalid(`the line does not end within ${textBytesMax} bytes`);
  }
  if (bytes[lineEnd - 1] !== 13) return failInvalid("the line does not end with CR LF");
  const line = asciiDecoder.decode(bytes.subarray(0, lineEnd - 1));
  const [, family, ...fields] = line.split(" ");
  const header = family === "UNKNOWN" ? UNKNOWN : parseTextFields(family, fields);
  return header === null
    ? failInvalid("the line is malformed")
    : { kind: "header", header, bytes: lineEnd + 1 };
}

const UNKNOWN: ProxyHeader = Object.freeze({ command: "PROXY", source: null, destination: null });

function parseTextFields(family: string, fields: readonly string[]): ProxyHeader | null {
  const wanted = family === "TCP4" ? 4 : family === "TCP6" ? 6 : null;
  if (wanted === null || fields.length !== 4) return null;
  const [sourceName, destinationName, sourcePort, destinationPort] = fields;
  const source = parseTextAddress(wanted, sourceName, sourcePort);
  const destination = parseTextAddress(wanted, destinationName, destinationPort);
  if (source === null || destination === null) return null;
  return { command: "PROXY", source, destination };
}

function parseTextAddress(family: 4 | 6, hostname: string, port: string): SocketAddress | null {
  const ip = parseIp(hostname);
  if (ip === null || ip.family !== family || ip.scope !== 0) return null;
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return null;
  return { hostname: ip.family === 6 ? formatIpv6(ip.bytes) : hostname, port: Number(port) };
}

function parseBinary(bytes: Uint8Array): Step {
  if (bytes.length < fixedBytes) return { kind: "more", wanted: fixedBytes };
  const [version, command] = [bytes[12] >>> 4, bytes[12] & 15];
  const [family, transport] = [bytes[13] >>> 4, bytes[13] & 15];
  if (version !== 2) return failInvalid(`the version is ${version}`);
  if (command > COMMAND.PROXY) return failInvalid(`the command is ${command}`);
  const blockBytes = (bytes[14] << 8) | bytes[15];
  const total = fixedBytes + blockBytes;
  const local = command === COMMAND.LOCAL;
  if (!local && (family > FAMILY.unix || transport > transportMax)) {
    return failInvalid(`the address family is 0x${bytes[13].toString(16).padStart(2, "0")}`);
  }
  const addressBytes = addressBytesOf[family] ?? 0;
  if (!local && blockBytes < addressBytes) {
    return failInvalid(`${blockBytes} bytes are too few for its addresses`);
  }
  if (bytes.length < total) return { kind: "more", wanted: total };
  if (local) {
    const header: ProxyHeader = { command: "LOCAL", source: null, destination: null, tlvs: [] };
    return { kind: "header", header, bytes: total };
  }
  const tlvs = parseTlvs(bytes.subarray(fixedBytes + addressBytes, total));
  if (tlvs === null && family === FAMILY.unspecified) {
    // The protocol does not define the contents of such a block, so it is skipped.
    return { kind: "header", header: { ...UNKNOWN, tlvs: [] }, bytes: total };
  }
  if (tlvs === null) return failInvalid("a TLV is longer than the header");
  if (!checksumHolds(bytes.subarray(0, total), fixedBytes + addressBytes)) {
    return failInvalid("its CRC32c is wrong");
  }
  const addresses = parseAddresses(family, bytes.subarray(fixedBytes, total));
  return { kind: "header", header: { command: "PROXY", ...addresses, tlvs }, bytes: total };
}

function parseAddresses(
  family: number,
  block: Uint8Array,
): { source: Address | null; destination: Address | null } {
  const port = (at: number) => (block[at] << 8) | block[at + 1];
  switch (family) {
    case FAMILY.ipv4: {
      const hostname = (at: number) => block.subarray(at, at + 4).join(".");
      return {
        source: { hostname: hostname(0), port: port(8) },
        destination: { hostname: hostname(4), port: port(10) },
      };
    }
    case FAMILY.ipv6: {
      const hostname = (at: number) => formatIpv6(block.subarray(at, at + 16));
      return {
        source: { hostname: hostname(0), port: port(32) },
        destination: { hostname: hostname(16), port: port(34) },
      };
    }
    case FAMILY.unix:
      return { source: unixAddress(block, 0), destination: unixAddress(block, unixBytes) };
    default:
      return { source: null, destination: null };
  }
}

/** An abstract name begins with NUL and ends with the field; a path ends at its first NUL. */
function unixAddress(block: Uint8Array, at: number): UnixAddress {
  const field = block.slice(at, at + unixBytes);
  const abstract = field[0] === 0 && field.some((byte) => byte !== 0);
  const text = pathDecoder.decode(field);
  return { path: abstract ? text.replace(/\0+$/, "") : text.replace(/\0.*$/s, "") };
}

/** The TLVs; null when a length reaches beyond the header. */
function parseTlvs(bytes: Uint8Array): ProxyTlv[] | null {
  const tlvs: ProxyTlv[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 3) return null;
    const length = (bytes[at + 1] << 8) | bytes[at + 2];
    const end = at + 3 + length;
    if (end > bytes.length) return null;
    tlvs.push({ type: bytes[at], value: bytes.slice(at + 3, end) });
    at = end;
  }
  return tlvs;
}

/** Checks the checksum, which covers the whole header with its own four bytes as zeros. */
function checksumHolds(header: Uint8Array, tlvsAt: number): boolean {
  for (let at = tlvsAt; at < header.length;) {
    const length = (header[at + 1] << 8) | header[at + 2];
    if (header[at] === tlvCrc32c) {
      if (length !== 4) return false;
      const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
      const given = view.getUint32(at + 3, false);
      return crc32c(header.slice().fill(0, at + 3, at + 7)) === given;
    }
    at += 3 + length;
  }
  return true;
}

function whatOf(stream: Stream): string {
  return `${PROXY_HEADER.action} from ${peerOf(stream)}`;
}

function endError(stream: Stream): NetworkError {
  const bytesDone = stream.buffered;
  return new NetworkError(
    `Cannot ${whatOf(stream)}: the peer closed after ${bytesDone} bytes`,
    { code: "RecvFailed", operation: PROXY_HEADER.operation, bytesDone, endOfStream: true },
  );
}

function invalid(stream: Stream, reason: string): NetworkError {
  return new NetworkError(`Cannot ${whatOf(stream)}: ${reason}`, {
    code: "RecvFailed",
    operation: PROXY_HEADER.operation,
    errno: ERRNO.EPROTO,
  });
}
