/**
 * Puts `uringnet/net` in the place of Deno's `node:net`, for programs that are run by
 * `deno run --preload`.
 *
 * @module
 */
import { registerHooks } from "node:module";
import "../../src/adapters/net.ts";

const project = new URL("../../", import.meta.url).href;
const url = (path: string) => new URL(path, import.meta.url).href;

const REPLACED: Readonly<Record<string, string>> = {
  "net": url("../../src/adapters/net.ts"),
  "node:net": url("../../src/adapters/net.ts"),
  "internal/net": url("./internals/net.ts"),
  "internal/test/binding": url("./internals/binding.ts"),
};

registerHooks({
  resolve(specifier, context, next) {
    const replaced = Object.hasOwn(REPLACED, specifier) ? REPLACED[specifier] : undefined;
    if (replaced === undefined || context.parentURL?.startsWith(project)) {
      return next(specifier, context);
    }
    return { url: replaced, shortCircuit: true };
  },
});
