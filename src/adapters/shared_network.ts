/**
 * The network of the adapters that open one by themselves: `uringnet/net`, `uringnet/register` and
 * the `connect` and `listen` of `uringnet/adapters/deno`. Each thread has one network, which is
 * opened when first needed and stays open until the thread ends. An idle network does not keep the
 * process alive.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { Network } from "../../mod.ts";
import { networkAccess } from "../net/lifecycle/network_access.ts";

let network: Network | null = null;

/** Throws a NetworkError "Unsupported" when `URINGNET_BACKEND` names one that cannot be used. */
export function sharedNetwork(): Network {
  if (network !== null) return network;
  // The defaults of the runtimes: no budget for a connect, and TCP_NODELAY off.
  const started = networkAccess().startNow({ connectTimeoutMs: null, tcpNoDelay: null });
  assert(started instanceof Network, "mod.ts starts its own networks");
  return network = started;
}
