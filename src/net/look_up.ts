/**
 * From an address as users write it to numeric ones.
 *
 * @module
 */
import type { Host } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";
import type { SocketAddress, UnixAddress } from "./address.ts";
import { parseIp } from "./ip.ts";

/** RFC 6761: "localhost" is the loopback interface, without asking anybody. */
const LOOPBACK = ["127.0.0.1", "::1"];

/** Numeric addresses in the order in which they should be tried; paths stand for themselves. */
export async function lookUp(
  host: Host,
  address: SocketAddress | UnixAddress,
): Promise<(SocketAddress | UnixAddress)[]> {
  if ("path" in address || parseIp(address.hostname) !== null) return [address];
  const { hostname, port } = address;
  if (/^(.*\.)?localhost\.?$/i.test(hostname)) {
    return LOOPBACK.map((numeric) => ({ hostname: numeric, port }));
  }
  const found = await host.resolve(hostname);
  return found.slice(0, LIMITS.dialAddressCountMax).map((entry) => ({
    hostname: entry.address,
    port,
  }));
}
