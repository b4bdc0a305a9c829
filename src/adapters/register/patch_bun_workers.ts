/**
 * Workers in Bun: each gets the preload of the main thread, through Bun's own `preload` option, and
 * with it a network of its own.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { type Exports, replace } from "./node_modules.ts";

type WorkerClass = new (...args: unknown[]) => object;

function withPreload(original: WorkerClass, preload: string): WorkerClass {
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

/** Replaces `Worker` of `node:worker_threads` and the global one; `entry` is the preload. */
export function patchBunWorkers(workerThreads: Exports, entry: URL): void {
  // A program that was bundled or compiled together with the preload is one file, which would run
  // as a whole in each worker.
  if (entry.protocol !== "file:" || !/\/register\.[jt]s$/.test(entry.pathname)) return;
  const preload = fileURLToPath(entry);
  replace(workerThreads, "Worker", withPreload(workerThreads.Worker, preload));
  const globals = globalThis as unknown as Exports;
  replace(globals, "Worker", withPreload(globals.Worker, preload));
}
