/**
 * The Bun side of the port: `bun:ffi`, fetched synchronously through `process.getBuiltinModule`,
 * because an import would fail in other runtimes, and `Bun.connect({ fd })` as the doorbell.
 *
 * Modules of the runtime are loaded when they are needed: `node:fs` takes 2 ms, `node:crypto` 6 ms
 * of every start.
 *
 * @module
 */
import { type Libc, LIBC_SYMBOLS, muslLoaderPath } from "./libc.ts";
import {
  type Doorbell,
  type FileFacts,
  type ForeignFunction,
  type ForeignType,
  type OpenLibrary,
  type Runtime,
  SYMBOLS,
} from "./symbols.ts";

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

interface BunHasher {
  update(bytes: Uint8Array): BunHasher;
  digest(encoding: "hex"): string;
}

interface BunNamespace {
  CryptoHasher: new (algorithm: "sha256") => BunHasher;
  connect(options: { fd: number; socket: Record<string, unknown> }): Promise<BunSocket>;
  readonly isMainThread: boolean;
}

interface FileSystem {
  lstatSync(path: string, options: { throwIfNoEntry: false }): Stats | undefined;
  readFileSync(path: string, encoding: "utf8"): string;
}

interface Stats {
  mode: number;
  uid: number;
}

interface ProcessNamespace {
  getBuiltinModule(name: string): unknown;
  env: Record<string, string | undefined>;
  arch: string;
  cwd(): string;
  geteuid(): number;
}

const { Bun: bun, process } = globalThis as unknown as {
  Bun: BunNamespace;
  process: ProcessNamespace;
};

/** `uname -m` for Node's names. */
const MACHINES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

const TYPES: Record<ForeignType, string> = {
  u32: "u32",
  i32: "i32",
  bytes: "ptr",
  address: "ptr",
  size: "usize",
  count: "i64_fast",
};

function ffi(): BunFfi {
  return process.getBuiltinModule("bun:ffi") as BunFfi;
}

function fileSystem(): FileSystem {
  return process.getBuiltinModule("node:fs") as FileSystem;
}

function symbols(
  path: string,
  functions: Record<string, ForeignFunction>,
): Record<string, ForeignCall> {
  const table: Record<string, unknown> = {};
  for (const [name, { args, returns }] of Object.entries(functions)) {
    table[name] = { args: args.map((type) => TYPES[type]), returns: TYPES[returns] };
  }
  return ffi().dlopen(path, table).symbols;
}

function open(path: string): OpenLibrary {
  return {
    library: symbols(path, SYMBOLS) as unknown as OpenLibrary["library"],
    view: (address, sizeBytes) => ffi().toArrayBuffer(address, 0, sizeBytes),
  };
}

/**
 * A name that C reads as empty, which stands for the program itself. Bun refuses an empty name, but
 * passes a NUL character on to C. After a failure Bun tries the name below the working directory,
 * where C reads only the path of the directory.
 */
const THE_PROGRAM = "\0";

/** The path of the C library that this process runs on, from the list of its mappings. */
function mappedLibc(): string {
  const found = /\s(\/.*\/(?:libc\.so(?:\.6)?|libc-2\.\d+\.so|ld-musl-[^/\n]*))$/m
    .exec(fileSystem().readFileSync("/proc/self/maps", "utf8"))?.[1];
  if (found === undefined) {
    throw new Error(
      "the C library of this process is unknown, or its file was replaced; restart the process",
    );
  }
  const musl = /\/ld-musl-|\/libc\.so$/.test(found);
  return musl ? muslLoaderPath(bunRuntime.machine) : found;
}

function libc(): Libc {
  try {
    return symbols(THE_PROGRAM, LIBC_SYMBOLS) as unknown as Libc;
  } catch {
    // musl does not know the program by an empty name.
    return symbols(mappedLibc(), LIBC_SYMBOLS) as unknown as Libc;
  }
}

function fileFacts(path: string): FileFacts | null {
  const facts = fileSystem().lstatSync(path, { throwIfNoEntry: false });
  return facts === undefined ? null : { mode: facts.mode, owner: facts.uid };
}

/**
 * The socket opens asynchronously. Calls of `ref`, `unref` and `close` before that take effect when
 * it is open.
 */
function openDoorbell(fd: number, onWake: () => void): Doorbell {
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
  // Modules of a compiled program have names below /$bunfs, which does not exist.
  get standalone(): boolean {
    return import.meta.url.startsWith("file:///$bunfs/");
  },
  open,
  libc,
  workingDirectory: () => process.cwd(),
  fileFacts,
  user: () => process.geteuid(),
  sha256: (bytes) => new bun.CryptoHasher("sha256").update(bytes).digest("hex"),
  sha256Ahead: null,
  // A worker that is terminated frees its sockets while its event loop may still run, so no other
  // descriptor may be known to that loop under the data of one of them.
  get packets() {
    return bun.isMainThread;
  },
  openDoorbell,
  // Bun polls an eventfd only as a ReadableStream, which keeps the process alive and costs more.
  openEvent: null,
  programs: null,
  environment: (name) => process.env[name],
};
