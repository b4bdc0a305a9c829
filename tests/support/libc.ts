/**
 * What tests need of the C library and the runtimes do not give: writing to any descriptor, and the
 * options of a socket.
 *
 * @module
 */
import process from "node:process";

interface Symbols {
  write(fd: number, bytes: Uint8Array, length: bigint): number | bigint;
  getsockopt(fd: number, level: number, name: number, to: Uint8Array, size: Uint8Array): number;
}

function open(): Symbols {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  // deno-lint-ignore no-explicit-any
  const { Bun, Deno } = globalThis as any;
  // deno-lint-ignore no-explicit-any
  const ffi = Bun === undefined ? null : (process as any).getBuiltinModule("bun:ffi");
  const load = (path: string): Symbols =>
    ffi === null
      ? Deno.dlopen(path, {
        write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
        getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
      }).symbols
      : ffi.dlopen(path, {
        write: { args: ["i32", "ptr", "usize"], returns: "i64" },
        getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
      }).symbols;
  try {
    return load("libc.so.6");
  } catch {
    return load(`libc.musl-${machine}.so.1`);
  }
}

const symbols = open();

/** write(2): how many bytes were taken, or -1. */
export function write(fd: number, bytes: Uint8Array): number {
  return Number(symbols.write(fd, bytes, BigInt(bytes.length)));
}

/** getsockopt(2): the option's words, or null where the descriptor has no such option. */
export function socketOption(fd: number, level: number, name: number): Int32Array | null {
  const value = new Int32Array(2);
  const size = new Int32Array([8]);
  const bytes = (words: Int32Array) => new Uint8Array(words.buffer);
  const result = symbols.getsockopt(fd, level, name, bytes(value), bytes(size));
  return result < 0 ? null : value.subarray(0, size[0] / 4);
}
