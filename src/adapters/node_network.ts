/**
 * The one network of a thread on which `uringnet/net` stands. It is opened at first use, lives as
 * long as the thread, and does not keep an idle process alive.
 *
 * How a network is opened is the business of the package's entry points: they hand in the way.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../net/address.ts";
import { interfaceIndex } from "../net/interface_index.ts";
import type { NetworkContext } from "../net/network_context.ts";

let opener: (() => NetworkContext) | null = null;
let current: NetworkContext | null = null;

/** Says how the network is opened; the first way stays. */
function provide(open: () => NetworkContext): void {
  opener ??= open;
}

/** The network. Throws a NetworkError "Unsupported" where io_uring cannot be used. */
function get(): NetworkContext {
  if (current !== null) return current;
  if (opener === null) throw new Error("no network was provided: import uringnet/net");
  return current = opener();
}

/** An address whose interface, if it names one, is known by number; null where there is none. */
function numeric(
  context: NetworkContext,
  address: SocketAddress | UnixAddress,
): SocketAddress | UnixAddress | null {
  if ("path" in address || !address.hostname.includes("%")) return address;
  const [hostname, scope] = address.hostname.split("%");
  if (/^\d+$/.test(scope)) return address;
  try {
    return { ...address, hostname: `${hostname}%${interfaceIndex(context.recvRing, scope)}` };
  } catch {
    return null;
  }
}

export const nodeNetwork = { get, numeric, provide };
