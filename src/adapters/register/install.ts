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
import { fileURLToPath } from "node:url";
import { clusterProcesses } from "./cluster_processes.ts";
import { denoHooks } from "./deno_hooks.ts";
import { type NetModule, nodeModules, replace } from "./node_modules.ts";
import { patchBunHttp } from "./patch_bun_http.ts";
import { patchBunSend } from "./patch_bun_send.ts";
import { patchBunWorkers } from "./patch_bun_workers.ts";
import { patchAgents, patchClients } from "./patch_clients.ts";
import { patchServers } from "./patch_servers.ts";
import { registerLog } from "./register_log.ts";
import { patchTlsSockets } from "./tls_sockets.ts";

let installed = false;

/**
 * Installs `net`, the default export of `uringnet/net`. Once for each thread, and not in a worker
 * process of `node:cluster`. `entry` is the URL of the preload. Workers are started with it, and
 * stack traces show its folder as that of the adapters.
 */
export function install(net: NetModule, entry: string): void {
  if (installed) return;
  installed = true;
  if (clusterProcesses.isWorker()) return;
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
  patchBunSend(net, nodeModules("child_process"));
  patchBunWorkers(nodeModules("worker_threads"), new URL(entry));
  if (registerLog.wanted()) {
    const folder = fileURLToPath(new URL(".", entry));
    registerLog.tellCallers(net.Socket.prototype, "connect", folder);
    registerLog.tellCallers(net.Server.prototype, "listen", folder);
  }
  const createServer = clusterProcesses.createServerBeside(net.createServer, realNet.createServer);
  for (const name of Object.keys(net)) {
    // Bun's own modules call these with arguments that only Bun's own functions understand.
    const internal = name.startsWith("_") && name in realNet;
    if (!internal) replace(realNet, name, name === "createServer" ? createServer : net[name]);
  }
}
