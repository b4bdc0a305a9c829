/**
 * The parts of the runtime's own `node:net` that are used as they are: classes and functions that
 * touch no socket.
 *
 * It is asked for by a call, not by an import: Bun fixes the names that a module exports when it is
 * first imported, which must not happen before `uringnet/register` has put others in their place.
 * Nothing here is looked up later, when that has happened.
 *
 * @module
 */
import type * as net from "node:net";
import process from "node:process";

type Net = typeof net;

const found = (process as unknown as { getBuiltinModule(name: string): Net })
  .getBuiltinModule("node:net");

export const runtimeNet: Pick<
  Net,
  | "BlockList"
  | "Socket"
  | "SocketAddress"
  | "isIP"
  | "isIPv4"
  | "isIPv6"
  | "getDefaultAutoSelectFamily"
  | "getDefaultAutoSelectFamilyAttemptTimeout"
> = {
  BlockList: found.BlockList,
  Socket: found.Socket,
  SocketAddress: found.SocketAddress,
  isIP: found.isIP,
  isIPv4: found.isIPv4,
  isIPv6: found.isIPv6,
  getDefaultAutoSelectFamily: found.getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout: found.getDefaultAutoSelectFamilyAttemptTimeout,
};
