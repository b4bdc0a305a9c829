/**
 * Servers of `node:tls` and `node:http2`, and in Deno of `node:http` and `node:https`, extend the
 * runtime's own `net.Server`: its `listen` is replaced, so that all of them listen on the ring.
 *
 * @module
 */
import { type Exports, type NetModule, replace } from "./node_modules.ts";
import { listenAsNetServer, type OuterServer } from "./listen_on_ring.ts";

/** `listen` forms that name a handle of the runtime: those stay with it. */
function namesHandle(args: readonly unknown[]): boolean {
  const [first] = args;
  if (first === null || typeof first !== "object") return false;
  const { _handle, handle } = first as { _handle?: unknown; handle?: unknown };
  return Boolean(_handle ?? handle);
}

/** `realNet` is the runtime's own module. */
export function patchServers(net: NetModule, realNet: Exports): void {
  const { prototype } = realNet.Server;
  const original = prototype.listen;
  replace(prototype, "listen", function listen(this: OuterServer, ...args: unknown[]) {
    // The original throws for a server that listens.
    if (this._handle || namesHandle(args)) return Reflect.apply(original, this, args);
    listenAsNetServer(net, this, args);
    return this;
  });
}
