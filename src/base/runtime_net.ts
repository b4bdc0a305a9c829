/**
 * The parts of the runtime's own `node:net` that are used as they are.
 *
 * The module is asked for by a call, not by an import: Bun fixes the names that a module exports
 * when it is first imported, which must not happen before `uringnet/register` has put others in
 * their place. Nothing is looked up twice: the adapters ask when they are loaded, before that
 * preload changes the module, and everything later gets what they got.
 *
 * The module takes 8 ms to load in Bun and 6 ms in Deno. Only the portable backend, the adapters
 * and the doorbell of a Deno that cannot wait for an eventfd need it.
 *
 * @module
 */
import type * as net from "node:net";
import { builtinModule } from "./builtin_module.ts";

type Net = typeof net;

export type RuntimeNet =
  & Pick<
    Net,
    | "createServer"
    | "connect"
    | "BlockList"
    | "Socket"
    | "SocketAddress"
    | "isIP"
    | "isIPv4"
    | "isIPv6"
    | "getDefaultAutoSelectFamily"
    | "getDefaultAutoSelectFamilyAttemptTimeout"
  >
  & {
    /** `net.Server.prototype.listen`, which `uringnet/register` replaces later. */
    readonly listen: net.Server["listen"];
  };

let kept: RuntimeNet | null = null;

/** The first call decides what all calls return. */
export function runtimeNet(): RuntimeNet {
  if (kept !== null) return kept;
  const found = builtinModule<Net>("node:net");
  kept = {
    createServer: found.createServer,
    connect: found.connect,
    listen: found.Server.prototype.listen,
    BlockList: found.BlockList,
    Socket: found.Socket,
    SocketAddress: found.SocketAddress,
    isIP: found.isIP,
    isIPv4: found.isIPv4,
    isIPv6: found.isIPv6,
    getDefaultAutoSelectFamily: found.getDefaultAutoSelectFamily,
    getDefaultAutoSelectFamilyAttemptTimeout: found.getDefaultAutoSelectFamilyAttemptTimeout,
  };
  return kept;
}
