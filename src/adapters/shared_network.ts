/**
 * The network of `connect` and `listen` of `uringnet/adapters/deno`. Each thread has one, opened
 * when it is first needed and open until the thread ends; idle, it does not keep the process alive.
 *
 * @module
 */
import { Network } from "../../mod.ts";

let network: Network | null = null;

/** Throws a NetworkError "Unsupported" when io_uring cannot be used. */
export function sharedNetwork(): Network {
  return network ??= Network.open({ connectTimeoutMs: null });
}
