/**
 * The network of `uringnet/net` for its parts: one for each thread, opened at first use.
 *
 * @module
 */
import process from "node:process";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import { interfaceIndex } from "../net/address/look_up.ts";
import { networkAccess } from "../net/lifecycle/network_access.ts";
import type { NetworkContext } from "../net/socket/network_context.ts";
import { sharedNetwork } from "./shared_network.ts";

let current: NetworkContext | null = null;

/**
 * The largest number of turns when the process ends. Each turn sends up to 1 MiB for each socket.
 */
const LAST_TURN_COUNT_MAX = 64;

/** Throws the errors of `sharedNetwork`. */
function get(): NetworkContext {
  if (current !== null) return current;
  const context = networkAccess().coreOf(sharedNetwork()).internals();
  // In Node the kernel has the bytes when a write returns, and a program may exit or fail then.
  // An uncaught error ends a process without "exit" in Deno.
  for (const event of ["exit", "uncaughtExceptionMonitor"]) {
    process.on(event, () => sendWhatIsStaged(context));
  }
  return current = context;
}

/**
 * Sends the bytes that were written just before the end of the process, as far as the kernel takes
 * them at once.
 */
function sendWhatIsStaged({ sendRing }: NetworkContext): void {
  for (let i = 0; i < LAST_TURN_COUNT_MAX && sendRing.sendLane.canStage; i++) sendRing.turn(0);
}

/**
 * The address with the number of its interface in place of the interface's name. Null where no such
 * interface exists.
 */
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
