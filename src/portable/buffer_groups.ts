/**
 * The groups of provided read buffers: what a buffer ring of the kernel is for io_uring.
 *
 * @module
 */

export interface ProvidedBuffer {
  readonly id: number;
  readonly slab: number;
  readonly offset: number;
  readonly length: number;
}

/** Groups of the core: single, multishot, bulk. */
const GROUP_COUNT = 3;

export class BufferGroups {
  readonly #groups: ProvidedBuffer[][] = Array.from({ length: GROUP_COUNT }, () => []);

  provide(group: number, buffer: ProvidedBuffer): void {
    this.#groups[group].push(buffer);
  }

  /** The buffer that was provided last: it is the most likely to be in the processor's cache. */
  take(group: number): ProvidedBuffer | null {
    return this.#groups[group].pop() ?? null;
  }

  clear(): void {
    for (const group of this.#groups) group.length = 0;
  }
}
