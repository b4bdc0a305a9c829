/**
 * The network of the adapters that open one by themselves: `uringnet/net`, `uringnet/register` and
 * the `connect` and `listen` of `uringnet/adapters/deno`. Each thread has one, opened when it is
 * first needed and open until the thread ends; idle, it does not keep the process alive.
 *
 * @module
 */
import { Network } from "../../mod.ts";

let network: Network | null = null;

/** Throws a NetworkError "Unsupported" when io_uring cannot be used. */
export function sharedNetwork(): Network {
  // As the runtimes have it: no limit for a connect, and Nagle's algorithm until told otherwise.
  return network ??= Network.startNow({ connectTimeoutMs: null, tcpNoDelay: null });
}
