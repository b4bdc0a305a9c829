/**
 * The numbers of `shim.h` that the core relies on. `ur_layout(i)` reports the same list from the
 * compiled library, and `verifyLayout` compares the two before anything else is called: a library
 * of another version is refused instead of being misread.
 *
 * `tests/unit/ffi/header_test.ts` compares all of them with the text of `shim.h`.
 *
 * @module
 */

/**
 * The numbers, in the order of the table in `shim/probe.c`. Build time and source hash are not
 * compared.
 */
export const LAYOUT = {
  abiVersion: 6,
  buildTime: 0,
  sourceHash: 0,
  headerWords: 64,
  rungWord: 8,
  opCapacity: 1024,
  opBytes: 32,
  completionCapacity: 2048,
  completionBytes: 16,
  blockCount: 1024,
  blockBytes: 512,
  iovecMax: 32,
  addressBytes: 128,
  bufferMax: 256,
  bufferGroups: 3,
  opFdOffset: 12,
  opFlagsOffset: 28,
  completionResultOffset: 8,
  cqeSockNonempty: 4,
  cqeBufferShift: 16,
} as const;

/** Flags of `ur_ring_open`. */
export const OPEN = { sqpoll: 1, buffers: 2, packets: 4 } as const;

const BUILD_TIME_INDEX = 1;
const SOURCE_HASH_INDEX = 2;

/** Compares the library's numbers with {@link LAYOUT}. Returns the first difference, or null. */
export function verifyLayout(read: (index: number) => number): string | null {
  let index = 0;
  for (const [name, wanted] of Object.entries(LAYOUT)) {
    const given = read(index);
    const compared = index !== BUILD_TIME_INDEX && index !== SOURCE_HASH_INDEX;
    if (compared && given !== wanted) {
      return `layout differs at "${name}": wanted ${wanted}, the library says ${given}`;
    }
    index++;
  }
  return read(index) < 0 ? null : `layout has more entries than the ${index} known ones`;
}

/** Unix seconds at which the library was compiled; 0 for the embedded, reproducible build. */
export function buildTime(read: (index: number) => number): number {
  return read(BUILD_TIME_INDEX) >>> 0;
}

/**
 * The first eight hexadecimal digits of the hash of the sources that the library was built from.
 */
export function sourceHash(read: (index: number) => number): string {
  return (read(SOURCE_HASH_INDEX) >>> 0).toString(16).padStart(8, "0");
}
