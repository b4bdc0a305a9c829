/**
 * Memory that cannot be given away. A view that a program transfers, to a byte stream perhaps,
 * would take all other views of the same memory with it.
 *
 * `node:worker_threads` is asked for by a call, when first needed: the module takes 4 ms to load in
 * Bun, which also fixes the names that a module exports when it is first imported. That must not
 * happen before `uringnet/register` has put its own `Worker` there.
 *
 * @module
 */
import type * as workerThreads from "node:worker_threads";
import { builtinModule } from "./builtin_module.ts";

type WorkerThreads = Pick<typeof workerThreads, "markAsUntransferable">;

let kept: WorkerThreads["markAsUntransferable"] | null = null;

/** From now on a transfer of the buffer throws. */
export function markAsUntransferable(buffer: ArrayBufferLike): void {
  kept ??= builtinModule<WorkerThreads>("node:worker_threads").markAsUntransferable;
  kept(buffer);
}

/**
 * Makes the first {@link markAsUntransferable} cheaper in Deno, where an import takes 0.8 ms and a
 * call 2.5. Not for Bun, see above.
 */
export async function importMarking(): Promise<void> {
  kept ??= (await import("node:worker_threads")).markAsUntransferable;
}
