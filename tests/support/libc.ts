/**
 * Calls of the C library that tests need and the runtimes do not offer: writing to any descriptor,
 * the options of a socket, and the network namespace of the calling thread.
 *
 * @module
 */
import process from "node:process";

interface Symbols {
  write(fd: number, bytes: Uint8Array, length: bigint): number | bigint;
  getsockopt(fd: number, level: number, name: number, to: Uint8Array, size: Uint8Array): number;
  open(path: Uint8Array, flags: number): number;
  close(fd: number): number;
  unshare(flags: number): number;
  setns(fd: number, kind: number): number;
}

function load(): Symbols {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  // deno-lint-ignore no-explicit-any
  const { Bun, Deno } = globalThis as any;
  // deno-lint-ignore no-explicit-any
  const ffi = Bun === undefined ? null : (process as any).getBuiltinModule("bun:ffi");
  const from = (path: string): Symbols =>
    ffi === null
      ? Deno.dlopen(path, {
        write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
        getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
        open: { parameters: ["buffer", "i32"], result: "i32" },
        close: { parameters: ["i32"], result: "i32" },
        unshare: { parameters: ["i32"], result: "i32" },
        setns: { parameters: ["i32", "i32"], result: "i32" },
      }).symbols
      : ffi.dlopen(path, {
        write: { args: ["i32", "ptr", "usize"], returns: "i64" },
        getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
        open: { args: ["ptr", "i32"], returns: "i32" },
        close: { args: ["i32"], returns: "i32" },
        unshare: { args: ["i32"], returns: "i32" },
        setns: { args: ["i32", "i32"], returns: "i32" },
      }).symbols;
  try {
    return from("libc.so.6");
  } catch {
    return from(`libc.musl-${machine}.so.1`);
  }
}

const symbols = load();

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

const O_CLOEXEC = 0o2000000;
const CLONE_NEWNET = 0x40000000;

/** open(2) for reading: a descriptor that children do not inherit, or -1. */
export function open(path: string): number {
  return symbols.open(new TextEncoder().encode(`${path}\0`), O_CLOEXEC);
}

/** close(2): whether it succeeded. */
export function close(fd: number): boolean {
  return symbols.close(fd) === 0;
}

/** unshare(2): gives the calling thread a network namespace of its own. False where refused. */
export function unshareNetwork(): boolean {
  return symbols.unshare(CLONE_NEWNET) === 0;
}

/** setns(2): moves the calling thread into a network namespace. */
export function enterNetwork(fd: number): boolean {
  return symbols.setns(fd, CLONE_NEWNET) === 0;
}
