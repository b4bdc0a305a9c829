/**
 * The end of a program whose thread goes on. Deno loads a watched program anew in the same thread,
 * and in a test run one file after the other, each with a heap of its own. The library knows only
 * threads, so without this the rings and sockets of the former program would stay open, its ports
 * taken, and its memory in use.
 *
 * @module
 */
import { ERRNO } from "../src/base/errno.ts";
import type { Library, Programs } from "./symbols.ts";

/**
 * The numbers of rings and slabs begin at 0, and the lowest free one is taken. So many in a row
 * that are not this thread's are taken for the end.
 */
const FOREIGN_MAX = 64;

/** Calls a function for each number from 0 on, until it has found nothing for a while. */
function sweep(end: (id: number) => boolean): void {
  for (let id = 0, foreign = 0; foreign < FOREIGN_MAX; id++) foreign = end(id) ? 0 : foreign + 1;
}

/**
 * Ends what the former program of this thread has left, and at the end of this one its rings. The
 * memory is given back by the next program, when no code can touch it any more.
 */
export function separatePrograms(
  programs: Programs,
  library: Library,
  rings: ReadonlySet<number>,
): void {
  if (programs.begins()) {
    sweep((ring) => library.ur_ring_close(ring) !== -ERRNO.EPERM);
    sweep((slab) => library.ur_slab_release(slab) === 0);
  }
  programs.whenEnded(() => rings.forEach((ring) => void library.ur_ring_close(ring)));
}
