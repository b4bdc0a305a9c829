/**
 * The groups of provided read buffers, the counterpart of the kernel's buffer rings.
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

  /**
   * Takes the buffer that was provided last, which is the most likely to be in the processor's
   * cache.
   */
  take(group: number): ProvidedBuffer | null {
    return this.#groups[group].pop() ?? null;
  }

  clear(): void {
    for (const group of this.#groups) group.length = 0;
  }
}
