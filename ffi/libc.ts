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
import type { ForeignFunction } from "./symbols.ts";

/** All of them are called a few times at a start. */
export const LIBC_SYMBOLS = {
  // name, flags
  memfd_create: { args: ["bytes", "u32"], returns: "i32", rare: true },
  // fd, from, length
  write: { args: ["i32", "bytes", "size"], returns: "count", rare: true },
  // fd, to, length, offset
  pread: { args: ["i32", "bytes", "size", "size"], returns: "count", rare: true },
  // fd, command, argument
  fcntl: { args: ["i32", "i32", "size"], returns: "i32", rare: true },
  // descriptors, count, timeout
  poll: { args: ["bytes", "size", "i32"], returns: "i32", rare: true },
  // fd
  close: { args: ["i32"], returns: "i32", rare: true },
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
