/**
 * The access of adapters to the inside of a `Network`, which programs do not have. The class is in
 * `mod.ts`, which has only public exports, so the class registers its internal functions here. This
 * layer does not know the class and takes a network as `object`.
 *
 * @module
 */
import type { NetworkConfig } from "../config/config.ts";
import type { NetworkCore } from "./network_core.ts";

export interface NetworkAccess {
  /**
   * Like `Network.start`, but synchronous. Throws a NetworkError "Unsupported" where io_uring
   * cannot be used.
   */
  startNow(config: NetworkConfig): object;
  /** The inside of a network. Throws TypeError for any other object. */
  coreOf(network: object): NetworkCore;
}

let access: NetworkAccess | null = null;

/** Called once, when `mod.ts` is loaded. */
export function setNetworkAccess(given: NetworkAccess): void {
  access = given;
}

export function networkAccess(): NetworkAccess {
  if (access === null) throw new Error("No access to networks: mod.ts was not loaded");
  return access;
}
