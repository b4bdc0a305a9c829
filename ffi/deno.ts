/**
 * The Deno side of the port: `Deno.dlopen`, external array buffers, and a socket of `node:net` as
 * the bell (Deno 2.7.12 or newer adopts a descriptor there; it needs no permission).
 *
 * The runtime is reached through `globalThis` with local types, so that type checkers of other
 * runtimes read this file without Deno's declarations.
 *
 * @module
 */
import { type Bell, type ForeignType, type OpenLibrary, type Runtime, SYMBOLS } from "./symbols.ts";

type ForeignCall = (...args: unknown[]) => unknown;

interface BellSocket {
  ref(): void;
  unref(): void;
  destroy(): void;
  resume(): void;
  on(event: "data" | "error", listener: () => void): void;
}

interface NodeNet {
  Socket: new (options: { fd: number; readable: boolean; writable: boolean }) => BellSocket;
}

interface ProcessNamespace {
  getBuiltinModule(name: "node:net"): NodeNet;
}

interface DenoNamespace {
  dlopen(path: string, symbols: unknown): { symbols: Record<string, ForeignCall> };
  UnsafePointerView: { getArrayBuffer(pointer: unknown, sizeBytes: number): ArrayBuffer };
  permissions: { querySync(descriptor: { name: "env"; variable: string }): { state: string } };
  env: { get(name: string): string | undefined };
  /** "x86_64", "aarch64" */
  build: { arch: string };
}

// In Bun this is undefined, and nothing here is called.
const { Deno: deno, process } = globalThis as unknown as {
  Deno: DenoNamespace;
  process: ProcessNamespace;
};

/**
 * Deno's own `node:net`, whatever `uringnet/register` puts in its place later. Not by an import: in
 * Bun, where this file is loaded as well, that would fix the named exports of `node:net` too early.
 */
const net = deno === undefined ? null : process.getBuiltinModule("node:net");

const MFD_CLOEXEC = 1;

const TYPES: Record<ForeignType, string> = {
  u32: "u32",
  i32: "i32",
  bytes: "buffer",
  address: "pointer",
};

function open(path: string): OpenLibrary {
  const table: Record<string, unknown> = {};
  for (const [name, { args, returns }] of Object.entries(SYMBOLS)) {
    table[name] = { parameters: args.map((type) => TYPES[type]), result: TYPES[returns] };
  }
  const opened = deno.dlopen(path, table);
  return {
    library: opened.symbols as unknown as OpenLibrary["library"],
    view: (address, sizeBytes) => deno.UnsafePointerView.getArrayBuffer(address, sizeBytes),
  };
}

function anonymousFile(name: string, bytes: Uint8Array): { path: string; close(): void } {
  const libc = deno.dlopen("libc.so.6", {
    memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  }).symbols as Record<"memfd_create" | "write" | "close", ForeignCall>;
  const fd = libc.memfd_create(new TextEncoder().encode(`${name}\0`), MFD_CLOEXEC) as number;
  if (fd < 0) throw new Error("memfd_create failed");
  let written = 0;
  while (written < bytes.length) {
    const rest = bytes.subarray(written);
    const count = Number(libc.write(fd, rest, BigInt(rest.length)));
    if (count <= 0) throw new Error(`write to an anonymous file stopped at ${written} bytes`);
    written += count;
  }
  return { path: `/proc/self/fd/${fd}`, close: () => void libc.close(fd) };
}

function openBell(fd: number, onWake: () => void): Bell {
  const socket = new net!.Socket({ fd, readable: true, writable: false });
  socket.unref();
  socket.on("data", onWake);
  // The other end lives in the library and is closed after this one; an error here can only mean
  // that the thread is ending.
  socket.on("error", () => socket.destroy());
  socket.resume();
  return {
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
    close: () => void socket.destroy(),
  };
}

function environment(name: string): string | undefined {
  if (deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
    return undefined;
  }
  return deno.env.get(name);
}

export const denoRuntime: Runtime = {
  name: "deno",
  get machine(): string {
    return deno.build.arch;
  },
  open,
  anonymousFile,
  openBell,
  environment,
};
