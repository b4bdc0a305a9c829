/**
 * The Deno side of the port: `Deno.dlopen`, external array buffers, and a socket of `node:net` as
 * the doorbell (Deno 2.7.12 or newer adopts a descriptor there; it needs no permission).
 *
 * The runtime is reached through `globalThis` with local types, so that type checkers of other
 * runtimes read this file without Deno's declarations.
 *
 * @module
 */
import process from "node:process";
import { builtinModule } from "../src/base/builtin_module.ts";
import { runtimeNet } from "../src/base/runtime_net.ts";
import { type Libc, LIBC_SYMBOLS, muslLoaderPath } from "./libc.ts";
import {
  type Doorbell,
  type FileFacts,
  type ForeignFunction,
  type ForeignType,
  type OpenLibrary,
  type Programs,
  type Runtime,
  SYMBOLS,
} from "./symbols.ts";

type ForeignCall = (...args: unknown[]) => unknown;

interface DoorbellSocket {
  ref(): void;
  unref(): void;
  destroy(): void;
  resume(): void;
  on(event: "data" | "error", listener: () => void): void;
}

interface DoorbellSocketClass {
  new (options: { fd: number; readable: boolean; writable: boolean }): DoorbellSocket;
}

/** A handle below `node:net`, which reads from any kind of descriptor. */
interface PipeHandle {
  /** 0, or an error code of libuv. */
  open(fd: number): number;
  onread: () => void;
  readStart(): number;
  ref(): void;
  unref(): void;
  close(): void;
}

interface NodeCrypto {
  createHash(algorithm: "sha256"): {
    update(bytes: Uint8Array): { digest(encoding: "hex"): string };
  };
}

interface ProcessNamespace {
  binding(name: "pipe_wrap"): { Pipe: new (type: number) => PipeHandle };
}

interface DenoNamespace {
  dlopen(path: string, symbols: unknown): { symbols: Record<string, ForeignCall> };
  UnsafePointerView: { getArrayBuffer(pointer: unknown, sizeBytes: number): ArrayBuffer };
  permissions: {
    querySync(descriptor: { name: string; variable?: string; host?: string }): {
      state: string;
      /** Granted for a list of paths. */
      partial?: boolean;
    };
  };
  env: { get(name: string): string | undefined };
  /** "x86_64" or "aarch64"; "x86_64-unknown-linux-gnu"; whether `deno compile` made the program. */
  build: { arch: string; target: string; standalone?: boolean };
}

// Undefined in Bun, where no function of this file is called.
const { Deno: deno, addEventListener } = globalThis as unknown as {
  Deno: DenoNamespace;
  addEventListener(type: "unload", listener: () => void): void;
};

const TYPES: Record<ForeignType, string> = {
  u32: "u32",
  i32: "i32",
  bytes: "buffer",
  address: "pointer",
  size: "usize",
  count: "isize",
};

const { toHex } = Uint8Array.prototype as unknown as { toHex(): string };

type Table = Record<string, ForeignFunction>;

/** A structure of one byte, which no function looks at. */
const UNUSED_TYPE = { struct: ["u8"] };
const UNUSED = new Uint8Array(1);

/**
 * Deno compiles a fast call for each function, 0.05 ms of a start, unless a structure is in its
 * signature. So a rare function gets one more argument of such a type than it has. The ABIs of
 * x86-64 and of aarch64 pass that in a register behind the others, where C does not look.
 */
function symbols(path: string, functions: Table): Record<string, ForeignCall> {
  const table: Record<string, unknown> = {};
  for (const [name, { args, returns, rare }] of Object.entries(functions)) {
    const parameters: unknown[] = args.map((type) => TYPES[type]);
    if (rare) parameters.push(UNUSED_TYPE);
    table[name] = { parameters, result: TYPES[returns] };
  }
  const opened = { ...deno.dlopen(path, table).symbols };
  for (const [name, { rare }] of Object.entries(functions)) {
    if (!rare) continue;
    const call = opened[name];
    opened[name] = (...args) => call(...args, UNUSED);
  }
  return opened;
}

function open(path: string): OpenLibrary {
  return {
    library: symbols(path, SYMBOLS) as unknown as OpenLibrary["library"],
    view: (address, sizeBytes) => deno.UnsafePointerView.getArrayBuffer(address, sizeBytes),
  };
}

/** Functions of the C library. With a list in --allow-ffi, Deno refuses the empty path. */
function fromProcess(functions: Table): Record<string, ForeignCall> {
  const path = deno.build.target.includes("musl") ? muslLoaderPath(deno.build.arch) : "";
  if (deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    throw new Error("the C library is out of reach: run with --allow-ffi, without a list of paths");
  }
  return symbols(path, functions);
}

const PATH_MAX_BYTES = 4_096;

/** Not `Deno.cwd()`, which needs --allow-read. */
function workingDirectory(): string {
  const { getcwd } = fromProcess({ getcwd: { args: ["bytes", "size"], returns: "address" } });
  const bytes = new Uint8Array(PATH_MAX_BYTES);
  if (getcwd(bytes, bytes.length) === null) throw new Error("the working directory is unknown");
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, bytes.indexOf(0)));
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
/**
 * STATX_MODE, STATX_TYPE and STATX_UID, then their offsets in `struct statx`, which is the same on
 * all machines.
 */
const STATX_MASK = 1 | 2 | 8;
const STATX_BYTES = 256;
const STATX_OWNER_AT = 20;
const STATX_MODE_AT = 28;

/** Not `Deno.lstatSync()`, which needs --allow-read. */
function fileFacts(path: string): FileFacts | null {
  let statx: ForeignCall;
  try {
    ({ statx } = fromProcess({
      statx: { args: ["i32", "bytes", "i32", "u32", "bytes"], returns: "i32" },
    }));
  } catch {
    return null; // With a list in --allow-ffi, or on a C library that is too old.
  }
  const bytes = new Uint8Array(STATX_BYTES);
  const name = new TextEncoder().encode(`${path}\0`);
  if (statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_MASK, bytes) !== 0) return null;
  const view = new DataView(bytes.buffer);
  return { mode: view.getUint16(STATX_MODE_AT, true), owner: view.getUint32(STATX_OWNER_AT, true) };
}

function user(): number | null {
  try {
    const { geteuid } = fromProcess({ geteuid: { args: [], returns: "u32" } });
    return geteuid() as number;
  } catch {
    return null;
  }
}

function sha256(bytes: Uint8Array): string {
  const { createHash } = builtinModule<NodeCrypto>("node:crypto");
  return createHash("sha256").update(bytes).digest("hex");
}

const { subtle } = crypto;
const { digest } = subtle;

/** Web Crypto is part of every start of Deno; `node:crypto` takes 6 ms to load. */
async function sha256Ahead(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex.call(new Uint8Array(await digest.call(subtle, "SHA-256", bytes)));
}

function openDoorbell(fd: number, onWake: () => void): Doorbell {
  // Deno's own, whatever `uringnet/register` has put in its place.
  const Socket = runtimeNet().Socket as unknown as DoorbellSocketClass;
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.unref();
  socket.on("data", onWake);
  // The other end belongs to the library and is closed after this one, so an error can only mean
  // that the thread is ending.
  socket.on("error", () => socket.destroy());
  socket.resume();
  return {
    opened: Promise.resolve(),
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
    close: () => void socket.destroy(),
  };
}

const PIPE_SOCKET = 0;

function openEvent(fd: number, onWake: () => void): Doorbell | null {
  let handle: PipeHandle;
  try {
    handle = new ((process as unknown as ProcessNamespace).binding("pipe_wrap").Pipe)(PIPE_SOCKET);
  } catch {
    return null; // A version of Deno without the handle uses the doorbell's socket.
  }
  if (handle.open(fd) !== 0) return null;
  handle.onread = onWake;
  if (handle.readStart() !== 0) {
    handle.close();
    return null;
  }
  handle.unref();
  return {
    opened: Promise.resolve(),
    ref: () => handle.ref(),
    unref: () => handle.unref(),
    close: () => handle.close(),
  };
}

const BEGUN = Symbol.for("uringnet.begun");

/** Deno loads a watched program anew, and in a test run one file after the other. */
const programs: Programs = {
  begins() {
    if (BEGUN in process) return false;
    Object.defineProperty(process, BEGUN, { value: true });
    return true;
  },
  // "exit" comes last, and only its listeners run after "unload". Those of the program may still
  // send, so this one is added behind them.
  whenEnded: (end) =>
    addEventListener.call(globalThis, "unload", () => void process.on("exit", end)),
};

function environment(name: string): string | undefined {
  if (deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
    return undefined;
  }
  return deno.env.get(name);
}

/**
 * The reason why Deno refused a lookup of this name, and the remedy. Null when the permission is
 * granted. A permission for a port (`--allow-net=name:443`) does not cover lookups.
 */
export function lookUpRefusal(name: string): string | null {
  const { state } = deno.permissions.querySync({ name: "net", host: name });
  return state === "granted" ? null : `Deno looks up names only with --allow-net=${name}, ` +
    "or --allow-net for every name";
}

/**
 * The reason why Deno would have to ask before it opens the library, and the remedy. Null when it
 * need not ask.
 */
export function foreignCallRefusal(): string | null {
  const { state, partial } = deno.permissions.querySync({ name: "ffi" });
  if (state === "granted" || partial === true) return null;
  return "Deno was run without --allow-ffi, which io_uring needs; add it";
}

export const denoRuntime: Runtime = {
  name: "deno",
  get machine(): string {
    return deno.build.arch;
  },
  get standalone(): boolean {
    return deno.build.standalone === true;
  },
  open,
  libc: () => fromProcess(LIBC_SYMBOLS) as unknown as Libc,
  workingDirectory,
  fileFacts,
  user,
  sha256,
  sha256Ahead,
  packets: false,
  openDoorbell,
  openEvent,
  programs,
  environment,
};
