/**
 * Servers of `node:tls` and `node:http2`, and in Deno of `node:http` and `node:https`, extend the
 * runtime's own `net.Server`: its `listen` is replaced, so that all of them listen on the ring.
 *
 * @module
 */
import { clusterProcesses } from "./cluster_processes.ts";
import { type Exports, includeInstances, type NetModule, replaceFunction } from "./node_modules.ts";
import { cancelListen, listenAsNetServer, type OuterServer } from "./listen_on_ring.ts";

/**
 * Whether the arguments of `listen` name a handle of the runtime, which then serves the call
 * itself.
 */
function namesHandle(args: readonly unknown[]): boolean {
  const [first] = args;
  if (first === null || typeof first !== "object") return false;
  const { _handle, handle, listen, getAsyncId } = first as Record<string, unknown>;
  if (_handle ?? handle) return true;
  // The argument is a handle itself, such as one that Deno has received from another process.
  return typeof listen === "function" && typeof getAsyncId === "function";
}

/**
 * Whether a server of exactly the runtime's `net.Server` stands for workers of `node:cluster`:
 * programs get the class of `uringnet/net`, or one that extends the runtime's.
 */
function standsForWorkers(server: object, prototype: object): boolean {
  return Object.getPrototypeOf(server) === prototype && clusterProcesses.hasWorkers();
}

/** `realNet` is the runtime's own module. */
export function patchServers(net: NetModule, realNet: Exports): void {
  const { prototype } = realNet.Server;
  const { close, listen: original } = prototype;
  replaceFunction(prototype, "close", function (this: OuterServer, ...args: unknown[]) {
    cancelListen(this);
    return Reflect.apply(close, this, args);
  });
  replaceFunction(prototype, "listen", function listen(this: OuterServer, ...args: unknown[]) {
    // For a server that listens already, the original throws.
    if (this._handle || namesHandle(args) || standsForWorkers(this, prototype)) {
      return Reflect.apply(original, this, args);
    }
    listenAsNetServer(net, this, args);
    return this;
  });
  includeInstances(net.Server, realNet.Server);
}
