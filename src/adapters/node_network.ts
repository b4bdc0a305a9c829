/**
 * The network of `uringnet/net`, as its parts see it: opened at first use, one for each thread.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../net/address.ts";
import { interfaceIndex } from "../net/interface_index.ts";
import type { NetworkContext } from "../net/network_context.ts";
import { sharedNetwork } from "./shared_network.ts";

let current: NetworkContext | null = null;

/** Throws a NetworkError "Unsupported" where io_uring cannot be used. */
function get(): NetworkContext {
  return current ??= sharedNetwork().internals();
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

export const nodeNetwork = { get, numeric };
