/**
 * The embedded library as a file that no process can change: anonymous, sealed, and identified by
 * its content.
 *
 * Order of events
 * 1. The seals of the process's descriptors are read. A file that is sealed against every change,
 *    and whose bytes have the SHA-256 that the build wrote, is taken, whichever thread made it.
 * 2. Where there is none, the bytes are written to a new anonymous file, which is then sealed, and
 *    step 1 is repeated. Threads that do so at the same time agree on the lowest descriptor.
 * 3. The file stays open as long as the process lives: its path, `/proc/self/fd/N`, cannot come to
 *    mean another file, and for the same path, or the same file, the dynamic loader returns the
 *    copy that is loaded already. So all threads share one copy and its state.
 *
 * Limits: descriptors below {@link DESCRIPTOR_SEARCH_MAX} are searched. A file that gets a higher
 * number serves its own thread only.
 *
 * @module
 */
import type { Libc } from "./libc.ts";

/** One system call tells which of these are open, once for each thread. */
export const DESCRIPTOR_SEARCH_MAX = 1_024;

/**
 * `struct pollfd` in words of 32 bits: an int, and the events in one word, of which the upper half
 * comes back: zero for a regular file, which has nothing to say when it is asked for no event, and
 * POLLNVAL for a number that is no open descriptor.
 */
const POLL_WORDS = 2;
const POLL_EVENTS_AT = 1;

/** Descriptor numbers tried before giving up: each clash means one more library in the process. */
const PATH_TRIES_MAX = 8;

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
/**
 * Implies sealing. The only kind of file that `vm.memfd_noexec=2` allows; its code can still be
 * mapped and run.
 */
const MFD_NOEXEC_SEAL = 8;

const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_DUPFD_CLOEXEC = 1030;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE */
const ALL_SEALS = 1 | 2 | 4 | 8;

/** The library to find or to make. */
export interface WantedFile {
  /** The name of the file in /proc, which has no other use. */
  readonly name: string;
  readonly sizeBytes: number;
  /** The SHA-256 of the whole file, hexadecimal. */
  readonly sha256: string;
  /** How the runtime makes that out of bytes. */
  readonly digest: (bytes: Uint8Array) => string;
}

/** Whether the descriptor is a file that cannot change any more and has the wanted content. */
export function isWanted(libc: Libc, fd: number, wanted: WantedFile): boolean {
  const seals = libc.fcntl(fd, F_GET_SEALS, 0);
  if (seals < 0 || (seals & ALL_SEALS) !== ALL_SEALS) return false;
  // One byte more than wanted, to notice a longer file.
  const bytes = new Uint8Array(wanted.sizeBytes + 1);
  const count = Number(libc.pread(fd, bytes, bytes.length, 0));
  return count === wanted.sizeBytes &&
    wanted.digest(bytes.subarray(0, count)) === wanted.sha256;
}

/**
 * The lowest descriptor with the wanted file, of those that are searched below `end`, or null. One
 * system call says which numbers may be a regular file: all of them where the limit on descriptors
 * is lower, since the kernel refuses to look at so many then. A loop that looks at each answer
 * takes 0.4 ms of a start in Deno.
 */
function findFile(libc: Libc, wanted: WantedFile, end: number): number | null {
  const searchEnd = Math.min(end, DESCRIPTOR_SEARCH_MAX);
  const words = new Int32Array(searchEnd * POLL_WORDS);
  for (let fd = 0; fd < searchEnd; fd++) words[fd * POLL_WORDS] = fd;
  if (libc.poll(new Uint8Array(words.buffer), searchEnd, 0) < 0) words.fill(0);
  for (let at = words.indexOf(0); at >= 0; at = words.indexOf(0, at + 1)) {
    // A descriptor's own number is zero as well.
    if (at % POLL_WORDS !== POLL_EVENTS_AT) continue;
    const fd = (at - POLL_EVENTS_AT) / POLL_WORDS;
    if (isWanted(libc, fd, wanted)) return fd;
  }
  return null;
}

function createFile(libc: Libc, name: string): number {
  const text = new TextEncoder().encode(`${name}\0`);
  for (const kind of [MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL]) {
    const fd = libc.memfd_create(text, MFD_CLOEXEC | kind);
    if (fd >= 0) return fd;
  }
  throw new Error("memfd_create failed: no descriptor or no memory is left, or it is forbidden");
}

function fillFile(libc: Libc, fd: number, wanted: WantedFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) {
    const rest = bytes.slice(written);
    const count = Number(libc.write(fd, rest, rest.length));
    if (count <= 0) throw new Error(`write to an anonymous file stopped at ${written} bytes`);
    written += count;
  }
  if (libc.fcntl(fd, F_ADD_SEALS, ALL_SEALS) < 0) throw new Error("sealing the file failed");
  if (!isWanted(libc, fd, wanted)) {
    throw new Error(`the SHA-256 of the file differs from ${wanted.sha256}, which the build wrote`);
  }
}

/**
 * Makes a sealed file of the bytes, and returns its descriptor. A failure leaves no descriptor
 * behind.
 */
function makeFile(libc: Libc, wanted: WantedFile, bytes: Uint8Array): number {
  const fd = createFile(libc, wanted.name);
  try {
    fillFile(libc, fd, wanted, bytes);
  } catch (cause) {
    libc.close(fd);
    throw cause;
  }
  return fd;
}

/** The descriptor of the wanted file, found or made of the bytes that `read` returns. */
function libraryFile(libc: Libc, wanted: WantedFile, read: () => Uint8Array): number {
  const found = findFile(libc, wanted, DESCRIPTOR_SEARCH_MAX);
  if (found !== null) return found;
  const made = makeFile(libc, wanted, read());
  const lower = findFile(libc, wanted, made);
  if (lower === null) return made;
  libc.close(made);
  return lower;
}

/** Gives the file a higher descriptor number. */
function moveUp(libc: Libc, fd: number): number {
  const next = libc.fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
  libc.close(fd);
  if (next < 0) throw new Error("another library is loaded under every tried descriptor number");
  return next;
}

/**
 * Calls `open` with the path of the wanted file, and returns its result. The dynamic loader
 * remembers libraries by path: when another library was loaded under the same number, `open`
 * notices that and throws, and the file gets a higher number. When no number works, the file is
 * closed and the last error thrown.
 */
export function withLibraryFile<T>(
  libc: Libc,
  wanted: WantedFile,
  read: () => Uint8Array,
  open: (path: string) => T,
): T {
  let fd = libraryFile(libc, wanted, read);
  for (let left = PATH_TRIES_MAX;; left--) {
    try {
      return open(`/proc/self/fd/${fd}`);
    } catch (cause) {
      if (left > 1) {
        fd = moveUp(libc, fd);
        continue;
      }
      libc.close(fd);
      throw cause;
    }
  }
}
