/**
 * Calls of the C library that tests need and the runtimes do not offer: sockets without a library
 * of a runtime between them and the kernel, their options, and the network namespace of the calling
 * thread.
 *
 * @module
 */
import process from "node:process";

interface Symbols {
  write(fd: number, bytes: Uint8Array, length: bigint): number | bigint;
  getsockopt(fd: number, level: number, name: number, to: Uint8Array, size: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, from: Uint8Array, size: number): number;
  socket(family: number, type: number, protocol: number): number;
  socketpair(family: number, type: number, protocol: number, fds: Uint8Array): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  accept(fd: number, address: null, length: null): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  send(fd: number, bytes: Uint8Array, length: bigint, flags: number): number | bigint;
  recv(fd: number, bytes: Uint8Array, length: bigint, flags: number): number | bigint;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  dup(fd: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  open(path: Uint8Array, flags: number): number;
  unshare(flags: number): number;
  setns(fd: number, kind: number): number;
}

/** i: int, p: bytes, n: size_t or ssize_t. The last letter is what is returned. */
const SIGNATURES: Readonly<Record<keyof Symbols, string>> = {
  write: "ipnn",
  getsockopt: "iiippi",
  setsockopt: "iiipii",
  socket: "iiii",
  socketpair: "iiipi",
  connect: "ipii",
  bind: "ipii",
  listen: "iii",
  accept: "ippi",
  getsockname: "ippi",
  send: "ipnin",
  recv: "ipnin",
  shutdown: "iii",
  close: "ii",
  dup: "ii",
  fcntl: "iiii",
  open: "pii",
  unshare: "ii",
  setns: "iii",
};

const DENO_TYPES: Readonly<Record<string, string>> = { i: "i32", p: "buffer", n: "usize" };
const BUN_TYPES: Readonly<Record<string, string>> = { i: "i32", p: "ptr", n: "u64" };
/** ssize_t */
const DENO_RESULTS: Readonly<Record<string, string>> = { i: "i32", n: "isize" };
const BUN_RESULTS: Readonly<Record<string, string>> = { i: "i32", n: "i64" };

function load(): Symbols {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  // deno-lint-ignore no-explicit-any
  const { Bun, Deno } = globalThis as any;
  const inBun = Bun !== undefined;
  const [types, results] = inBun ? [BUN_TYPES, BUN_RESULTS] : [DENO_TYPES, DENO_RESULTS];
  const table = Object.fromEntries(
    Object.entries(SIGNATURES).map(([name, letters]) => {
      const args = Array.from(letters.slice(0, -1), (letter) => types[letter]);
      const result = results[letters[letters.length - 1]];
      return [name, inBun ? { args, returns: result } : { parameters: args, result }];
    }),
  );
  // deno-lint-ignore no-explicit-any
  const ffi = inBun ? (process as any).getBuiltinModule("bun:ffi") : Deno;
  try {
    return ffi.dlopen("libc.so.6", table).symbols;
  } catch {
    return ffi.dlopen(`libc.musl-${machine}.so.1`, table).symbols;
  }
}

/** The functions themselves: -1 is a failure, whose errno the runtimes do not show. */
export const libc: Symbols = load();

/** write(2): how many bytes were taken, or -1. */
export function write(fd: number, bytes: Uint8Array): number {
  return Number(libc.write(fd, bytes, BigInt(bytes.length)));
}

/** getsockopt(2): the option's words, or null where the descriptor has no such option. */
export function socketOption(fd: number, level: number, name: number): Int32Array | null {
  const value = new Int32Array(2);
  const size = new Int32Array([8]);
  const bytes = (words: Int32Array) => new Uint8Array(words.buffer);
  const result = libc.getsockopt(fd, level, name, bytes(value), bytes(size));
  return result < 0 ? null : value.subarray(0, size[0] / 4);
}

const O_CLOEXEC = 0o2000000;
const CLONE_NEWNET = 0x40000000;

/** open(2) for reading: a descriptor that children do not inherit, or -1. */
export function open(path: string): number {
  return libc.open(new TextEncoder().encode(`${path}\0`), O_CLOEXEC);
}

/** close(2): whether it succeeded. */
export function close(fd: number): boolean {
  return libc.close(fd) === 0;
}

/** unshare(2): gives the calling thread a network namespace of its own. False where refused. */
export function unshareNetwork(): boolean {
  return libc.unshare(CLONE_NEWNET) === 0;
}

/** setns(2): moves the calling thread into a network namespace. */
export function enterNetwork(fd: number): boolean {
  return libc.setns(fd, CLONE_NEWNET) === 0;
}
