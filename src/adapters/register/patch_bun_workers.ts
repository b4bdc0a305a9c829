/**
 * Workers in Bun: each gets the preload of the main thread, through Bun's own `preload` option, and
 * with it a network of its own.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { type Exports, replace } from "./node_modules.ts";

type WorkerClass = new (...args: unknown[]) => object;

/** The entry point of this preload. */
const REGISTER = new URL("../register.ts", import.meta.url);

function withPreload(original: WorkerClass): WorkerClass {
  const preload = fileURLToPath(REGISTER);
  const replaced: WorkerClass = new Proxy(original, {
    construct(target, [file, given, ...rest], newTarget) {
      const options = given as { preload?: string | string[] } | undefined;
      const own = options?.preload ?? [];
      const all = [preload, ...Array.isArray(own) ? own : [own]];
      const subclass = newTarget === replaced ? target : newTarget;
      return Reflect.construct(target, [file, { ...options, preload: all }, ...rest], subclass);
    },
  });
  return replaced;
}

/** Replaces `Worker` of `node:worker_threads` and the global one. */
export function patchBunWorkers(workerThreads: Exports): void {
  // A compiled program has no file of this preload to name.
  if (REGISTER.protocol !== "file:") return;
  replace(workerThreads, "Worker", withPreload(workerThreads.Worker));
  const globals = globalThis as unknown as Exports;
  replace(globals, "Worker", withPreload(globals.Worker));
}
