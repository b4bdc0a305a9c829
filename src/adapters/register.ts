/**
 * A preload that puts `uringnet/net` in the place of `node:net`, in an unmodified program:
 *
 * ```sh
 * deno run --allow-ffi ... --preload https://host/path/src/adapters/register.ts program.ts
 * bun --preload uringnet/register program.ts
 * ```
 *
 * A module that imports `net` gets this library's, with or without the prefix `node:`, by `import`,
 * by `require` or by `process.getBuiltinModule`, also in `node_modules` and in Deno's cache.
 * Servers and clients of `node:tls`, `node:http`, `node:https` and `node:http2` use it as well.
 * `URINGNET_REGISTER_LOG=1` prints a line for each module that imports one of these.
 * docs/REGISTER.md lists the limits of each runtime.
 *
 * @module
 */
import type { Network } from "../../mod.ts";
import net, { netNetwork } from "./net.ts";
import { install } from "./register/install.ts";
import type { NetModule } from "./register/node_modules.ts";

install(net as unknown as NetModule, import.meta.url);

/** The network that carries all of it, for its metrics. */
export function registeredNetwork(): Network {
  return netNetwork();
}
