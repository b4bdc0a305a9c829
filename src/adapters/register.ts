/**
 * A preload after which `node:net` is `uringnet/net`, in a program that knows nothing of it:
 *
 * ```sh
 * deno run --allow-ffi ... --preload https://host/path/src/adapters/register.ts program.ts
 * bun --preload uringnet/register program.ts
 * ```
 *
 * A module that imports `node:net` gets this library's: bare or with its prefix, by `import`, by
 * `require` or by `process.getBuiltinModule`, also in `node_modules` and in Deno's cache. Servers
 * and clients of `node:tls`, `node:http`, `node:https` and `node:http2` stand on it as well.
 * `URINGNET_REGISTER_LOG=1` prints a line for each module that got one of them. docs/REGISTER.md
 * says what each runtime does not allow.
 *
 * @module
 */
import type { Network } from "../../mod.ts";
import net, { netNetwork } from "./net.ts";
import { install } from "./register/install.ts";
import type { NetModule } from "./register/node_modules.ts";

install(net as unknown as NetModule, import.meta.url);

/** The network that carries everything: for its numbers. */
export function registeredNetwork(): Network {
  return netNetwork();
}
