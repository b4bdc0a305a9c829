/**
 * The Bun side of the port: `bun:ffi`, reached synchronously through `process.getBuiltinModule` so
 * that no other runtime trips over the specifier, and `Bun.connect({ fd })` as the bell.
 *
 * @module
 */
import { type Bell, type ForeignType, type OpenLibrary, type Runtime, SYMBOLS } from "./symbols.ts";

type ForeignCall = (...args: unknown[]) => unknown;

interface BunFfi {
  dlopen(path: string, symbols: unknown): { symbols: Record<string, ForeignCall> };
  /** The second argument is the offset, the third the length. */
  toArrayBuffer(pointer: unknown, byteOffset: number, sizeBytes: number): ArrayBuffer;
  ptr(view: Uint8Array): number;
}

interface BunSocket {
  ref(): void;
  unref(): void;
  terminate(): void;
}

interface BunNamespace {
  connect(options: { fd: number; socket: Record<string, unknown> }): Promise<BunSocket>;
}

interface ProcessNamespace {
  getBuiltinModule(name: string): unknown;
  env: Record<string, string | undefined>;
  arch: string;
}

const { Bun: bun, process } = globalThis as unknown as {
  Bun: BunNamespace;
  process: ProcessNamespace;
};

const MFD_CLOEXEC = 1;

/** `uname -m` for Node's names. */
const MACHINES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

const TYPES: Record<ForeignType, string> = { u32: "u32", i32: "i32", bytes: "ptr", address: "ptr" };

function ffi(): BunFfi {
  return process.getBuiltinModule("bun:ffi") as BunFfi;
}

function open(path: string): OpenLibrary {
  const table: Record<string, unknown> = {};
  for (const [name, { args, returns }] of Object.entries(SYMBOLS)) {
    table[name] = { args: args.map((type) => TYPES[type]), returns: TYPES[returns] };
  }
  const opened = ffi().dlopen(path, table);
  return {
    library: opened.symbols as unknown as OpenLibrary["library"],
    view: (address, sizeBytes) => ffi().toArrayBuffer(address, 0, sizeBytes),
  };
}

function anonymousFile(name: string, bytes: Uint8Array): { path: string; close(): void } {
  const libc = ffi().dlopen("libc.so.6", {
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    write: { args: ["i32", "ptr", "usize"], returns: "i64_fast" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols as Record<"memfd_create" | "write" | "close", ForeignCall>;
  const fd = libc.memfd_create(new TextEncoder().encode(`${name}\0`), MFD_CLOEXEC) as number;
  if (fd < 0) throw new Error("memfd_create failed");
  let written = 0;
  while (written < bytes.length) {
    const rest = bytes.slice(written);
    const count = Number(libc.write(fd, rest, rest.length));
    if (count <= 0) throw new Error(`write to an anonymous file stopped at ${written} bytes`);
    written += count;
  }
  return { path: `/proc/self/fd/${fd}`, close: () => void libc.close(fd) };
}

/** The socket opens asynchronously: what was asked of it before is done when it is there. */
function openBell(fd: number, onWake: () => void): Bell {
  let socket: BunSocket | null = null;
  let held = false;
  let closed = false;
  const settle = (opened: BunSocket) => {
    socket = opened;
    if (closed) opened.terminate();
    else if (held) opened.ref();
    else opened.unref();
  };
  const handlers = { open: settle, data: onWake, close() {}, error() {}, drain() {} };
  const opened = bun.connect({ fd, socket: handlers }).then(settle);
  return {
    opened,
    ref() {
      held = true;
      socket?.ref();
    },
    unref() {
      held = false;
      socket?.unref();
    },
    close() {
      closed = true;
      socket?.terminate();
    },
  };
}

export const bunRuntime: Runtime = {
  name: "bun",
  get machine(): string {
    return MACHINES[process.arch] ?? process.arch;
  },
  open,
  anonymousFile,
  openBell,
  environment: (name) => process.env[name],
};
