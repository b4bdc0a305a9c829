/**
 * The few functions of the C library that are needed to find and make the library's file. Each
 * runtime reaches them without searching for a file.
 *
 * A bare name such as "libc.so.6" is never opened: Deno resolves it against the working directory
 * when `--allow-ffi` has a list, and Bun tries the working directory after a failure. A fixed path
 * is avoided as well: the process may run on another C library than the system's, and two C
 * libraries in one process do not work.
 *
 * - glibc: `dlopen("")` stands for the program itself and all libraries that it was started with.
 * - musl: the name of the dynamic loader, an absolute path that musl compares with its own name
 *   before it opens anything.
 *
 * A C library from `LD_LIBRARY_PATH` is that of the runtime itself, from its first instruction on.
 * This module cannot undo that.
 *
 * @module
 */
import type { ForeignFunction, ForeignType } from "./symbols.ts";

/** One function, called a few times at a start. */
function rarely<
  const Args extends readonly ForeignType[],
  const Returns extends ForeignType,
>(args: Args, returns: Returns): { args: Args; returns: Returns; rare: true } {
  return { args, returns, rare: true };
}

export const LIBC_SYMBOLS = {
  memfd_create: rarely(["bytes", "u32"], "i32"), //                   name, flags
  write: rarely(["i32", "bytes", "size"], "count"), //                fd, from, length
  pread: rarely(["i32", "bytes", "size", "size"], "count"), //        fd, to, length, offset
  fcntl: rarely(["i32", "i32", "size"], "i32"), //                    fd, command, argument
  poll: rarely(["bytes", "size", "i32"], "i32"), //                   descriptors, count, timeout
  close: rarely(["i32"], "i32"), //                                   fd
} as const satisfies Record<string, ForeignFunction>;

/** Each returns -1 on failure. Lengths that come back are numbers or bigints. */
export interface Libc {
  // deno-lint-ignore camelcase
  memfd_create(name: Uint8Array, flags: number): number;
  write(fd: number, bytes: Uint8Array, length: number): number | bigint;
  pread(fd: number, bytes: Uint8Array, length: number, offset: number): number | bigint;
  fcntl(fd: number, command: number, argument: number): number;
  poll(descriptors: Uint8Array, count: number, timeoutMs: number): number;
  close(fd: number): number;
}

/** The path that musl's loader has as its own name. `machine` is a name of `uname -m`. */
export function muslLoaderPath(machine: string): string {
  return `/lib/ld-musl-${machine}.so.1`;
}
