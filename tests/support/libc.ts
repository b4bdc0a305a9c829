/**
 * What tests need of the C library and the runtimes do not give: writing to any descriptor.
 *
 * @module
 */
import process from "node:process";

type Write = (fd: number, bytes: Uint8Array, length: bigint) => number | bigint;

function open(): Write {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  // deno-lint-ignore no-explicit-any
  const { Bun, Deno } = globalThis as any;
  // deno-lint-ignore no-explicit-any
  const ffi = Bun === undefined ? null : (process as any).getBuiltinModule("bun:ffi");
  const load = (path: string): Write =>
    ffi === null
      ? Deno.dlopen(path, { write: { parameters: ["i32", "buffer", "usize"], result: "isize" } })
        .symbols.write
      : ffi.dlopen(path, { write: { args: ["i32", "ptr", "usize"], returns: "i64" } })
        .symbols.write;
  try {
    return load("libc.so.6");
  } catch {
    return load(`libc.musl-${machine}.so.1`);
  }
}

const call = open();

/** write(2): how many bytes were taken, or -1. */
export function write(fd: number, bytes: Uint8Array): number {
  return Number(call(fd, bytes, BigInt(bytes.length)));
}
