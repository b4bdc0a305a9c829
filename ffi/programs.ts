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

/** Closes a ring of the former program, and its doorbell, which the runtime has not closed. */
function closeRing(library: Library, ring: number): boolean {
  if (library.ur_ring_control(ring) === -ERRNO.EPERM) return false;
  library.ur_ring_event_back(ring);
  library.ur_ring_doorbell_back(ring);
  library.ur_ring_close(ring);
  return true;
}

/**
 * Ends what the former program of this thread has left. `end` closes the rings of this one, and is
 * called when it ends. The memory is given back by the next program, when no code can touch it any
 * more.
 */
export function separatePrograms(programs: Programs, library: Library, end: () => void): void {
  if (programs.begins()) {
    sweep((ring) => closeRing(library, ring));
    sweep((slab) => library.ur_slab_release(slab) === 0);
  }
  programs.whenEnded(end);
}
