/**
 * Puts `uringnet/net` in the place of Deno's `node:net`, for programs that are run by
 * `deno run --preload`.
 *
 * @module
 */
import { registerHooks } from "node:module";
import "../../src/adapters/net.ts";

const project = new URL("../../", import.meta.url).href;
const ours = new URL("../../src/adapters/net.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const wanted = specifier === "node:net" || specifier === "net";
    if (!wanted || context.parentURL?.startsWith(project)) return next(specifier, context);
    return { url: ours, shortCircuit: true };
  },
});
