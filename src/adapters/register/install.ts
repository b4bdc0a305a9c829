/**
 * Puts `uringnet/net` in the place of `node:net`, and servers and clients of `node:http`,
 * `node:https`, `node:http2` and `node:tls` on top of it, for everything that is loaded afterwards.
 *
 * In Bun the module's object is changed in place, because imports and `require` both lead to it.
 * Bun reads named exports from it when `node:net` is first imported, so no module may import
 * `node:net` before this one has run. `deno_hooks.ts` describes Deno.
 *
 * @module
 */
import { denoHooks } from "./deno_hooks.ts";
import { type NetModule, nodeModules, replace } from "./node_modules.ts";
import { patchBunHttp } from "./patch_bun_http.ts";
import { patchBunWorkers } from "./patch_bun_workers.ts";
import { patchAgents, patchClients } from "./patch_clients.ts";
import { patchServers } from "./patch_servers.ts";
import { registerLog } from "./register_log.ts";
import { patchTlsSockets } from "./tls_sockets.ts";

let installed = false;

/**
 * Installs `net`, the default export of `uringnet/net`. Once for each thread. `entry` is the URL of
 * the preload: workers get it too, and its folder is that of the adapters, as it stands in stacks.
 */
export function install(net: NetModule, entry: string): void {
  if (installed) return;
  installed = true;
  // All of them are evaluated before any is replaced: their classes extend the runtime's own.
  const [http, https, tls, http2] = ["http", "https", "tls", "http2"].map(nodeModules);
  const realNet = nodeModules("net");
  patchServers(net, { ...realNet });
  patchTlsSockets(net, tls);
  patchClients(net, { tls, http2 });
  if ("Deno" in globalThis) {
    patchAgents(net, http);
    denoHooks({ net, tls, http2 }, realNet);
    return;
  }
  patchBunHttp(net, { http, https, tls });
  patchBunWorkers(nodeModules("worker_threads"), new URL(entry));
  if (registerLog.wanted()) {
    const folder = new URL(".", entry).pathname;
    registerLog.tellCallers(net.Socket.prototype, "connect", folder);
    registerLog.tellCallers(net.Server.prototype, "listen", folder);
  }
  for (const name of Object.keys(net)) {
    // Bun's own modules call these with arguments that only Bun's own functions understand.
    const internal = name.startsWith("_") && name in realNet;
    if (!internal) replace(realNet, name, net[name]);
  }
}
