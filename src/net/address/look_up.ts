/**
 * Resolves the address that a user wrote to numeric addresses. The ring sees only numeric
 * addresses, so every fault of an address is reported here.
 *
 * @module
 */
import { errnoText } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { messageOf, NetworkError } from "../../base/network_error.ts";
import type { Ring } from "../../ring/ring.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "./address.ts";
import { interleave } from "./interleave.ts";
import { parseIp } from "./ip.ts";

/** RFC 6761: "localhost" is the loopback interface; no resolver is asked. */
const LOOPBACK = ["127.0.0.1", "::1"];

/** The number of a network interface; throws when no interface has the name. */
export type InterfaceIndex = (name: string) => number;

/** The interface does not exist, or no memory is left to ask for it. */
class InterfaceError extends Error {
  /** Positive. */
  readonly errno: number;

  constructor(name: string, errno: number) {
    super(`interface "${name}": ${errnoText(errno)}`);
    this.errno = errno;
  }
}

/**
 * The number of a network interface: the kernel takes the scope of an IPv6 address as a number.
 * `name` has at most 15 characters. Throws an InterfaceError.
 */
export function interfaceIndex(ring: Ring, name: string): number {
  const { blocks, port } = ring;
  const index = blocks.withText(name, (block, length) => port.interfaceIndex(block, length));
  if (index < 0) throw new InterfaceError(name, -index);
  return index;
}

/** A numeric address with its interface by number; null for a name. */
function numeric(hostname: string, interfaceIndex: InterfaceIndex): string | null {
  const ip = parseIp(hostname);
  if (ip === null) return null;
  if (typeof ip.scope === "number") return hostname;
  return `${hostname.slice(0, hostname.indexOf("%"))}%${interfaceIndex(ip.scope)}`;
}

/**
 * The numeric addresses in the order in which a dial tries them. A path resolves to itself. With a
 * `family`, only addresses of that family.
 */
export async function lookUp(
  host: Host,
  address: SocketAddress | UnixAddress,
  interfaceIndex: InterfaceIndex,
  family: 4 | 6 | null = null,
): Promise<(SocketAddress | UnixAddress)[]> {
  if (isUnix(address)) return [address];
  const { port } = address;
  const found = await hostnames(host, address.hostname, interfaceIndex);
  const wanted = found.filter((one) => family === null || familyOf(one) === family);
  const chosen = interleave(wanted, familyOf).slice(0, LIMITS.dialAddressCountMax);
  return chosen.map((hostname) => ({ hostname, port }));
}

async function hostnames(
  host: Host,
  name: string,
  interfaceIndex: InterfaceIndex,
): Promise<readonly string[]> {
  const hostname = numeric(name, interfaceIndex);
  if (hostname !== null) return [hostname];
  if (/^(.*\.)?localhost\.?$/i.test(name)) return LOOPBACK;
  const found = await host.resolve(name);
  return found.map((entry) => {
    const answer = numeric(entry.address, interfaceIndex);
    if (answer === null) throw new Error(`"${entry.address}" was found, which is not an address`);
    return answer;
  });
}

const FAILED_LOOKUPS = {
  BindFailed: { attempt: "Cannot bind", operation: "bind" },
  ConnectionFailed: { attempt: "Cannot connect to", operation: "dial" },
} as const;

/** The error of a bind or a dial. `name` is the address as given, `cause` the lookup's failure. */
export function lookUpError(
  code: keyof typeof FAILED_LOOKUPS,
  name: string,
  cause: unknown,
): NetworkError {
  const { attempt, operation } = FAILED_LOOKUPS[code];
  return new NetworkError(`${attempt} ${name}: name lookup failed: ${messageOf(cause)}`, {
    code,
    operation,
    errno: cause instanceof InterfaceError ? cause.errno : null,
    cause,
  });
}

function familyOf(hostname: string): 4 | 6 {
  return hostname.includes(":") ? 6 : 4;
}
