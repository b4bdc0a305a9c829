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

/** Numeric addresses in the order in which they should be tried; paths stand for themselves. */
export async function lookUp(
  host: Host,
  address: SocketAddress | UnixAddress,
  interfaceIndex: InterfaceIndex,
): Promise<(SocketAddress | UnixAddress)[]> {
  if (isUnix(address)) return [address];
  const { port } = address;
  const hostname = numeric(address.hostname, interfaceIndex);
  if (hostname !== null) return [{ hostname, port }];
  if (/^(.*\.)?localhost\.?$/i.test(address.hostname)) {
    return LOOPBACK.map((loopback) => ({ hostname: loopback, port }));
  }
  const found = await host.resolve(address.hostname);
  return found.slice(0, LIMITS.dialAddressCountMax).map((entry) => {
    const answer = numeric(entry.address, interfaceIndex);
    if (answer === null) throw new Error(`"${entry.address}" was found, which is no address`);
    return { hostname: answer, port };
  });
}
