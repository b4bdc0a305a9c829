/**
 * From an address as users write it to numeric ones, which is all that the ring may see: what is
 * wrong with an address shows here.
 *
 * @module
 */
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "./address.ts";
import { parseIp } from "./ip.ts";

/** RFC 6761: "localhost" is the loopback interface, without asking anybody. */
const LOOPBACK = ["127.0.0.1", "::1"];

/** The number of a network interface; throws when there is none of that name. */
export type InterfaceIndex = (name: string) => number;

/** A numeric address with its interface by number; null for a name. */
function numeric(hostname: string, interfaceIndex: InterfaceIndex): string | null {
  const ip = parseIp(hostname);
  if (ip === null) return null;
  if (typeof ip.scope === "number") return hostname;
  return `${hostname.slice(0, hostname.indexOf("%"))}%${interfaceIndex(ip.scope)}`;
}

/**
 * Numeric addresses in the order in which they should be tried; paths stand for themselves. With a
 * `family` only those of that one.
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
  const chosen = interleaved(wanted).slice(0, LIMITS.dialAddressCountMax);
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
    if (answer === null) throw new Error(`"${entry.address}" was found, which is no address`);
    return answer;
  });
}

function familyOf(hostname: string): 4 | 6 {
  return hostname.includes(":") ? 6 : 4;
}

/**
 * Families in turn, beginning with the first address's (RFC 8305, section 4): a family that does
 * not work costs one delay, not one for each of its addresses.
 */
function interleaved(hostnames: readonly string[]): string[] {
  if (hostnames.length < 3) return [...hostnames];
  const first = familyOf(hostnames[0]);
  const ours = hostnames.filter((one) => familyOf(one) === first);
  const others = hostnames.filter((one) => familyOf(one) !== first);
  const result: string[] = [];
  for (let i = 0; i < Math.max(ours.length, others.length); i++) {
    if (i < ours.length) result.push(ours[i]);
    if (i < others.length) result.push(others[i]);
  }
  return result;
}
