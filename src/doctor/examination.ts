/**
 * The examination of the doctor. It asks for no permission, and closes all that it opens. An
 * unknown answer is null.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { arch, release } from "node:os";
import process from "node:process";
import {
  autoRefusal,
  backendVariable,
  chooseBackend,
  libraryVariable,
  native,
  probeIoUring,
} from "../../backends.ts";
import { loadedLibrary, type RuntimeFacts, runtimeFacts } from "../../ffi/inspect.ts";
import { Network } from "../../mod.ts";
import { messageOf } from "../base/network_error.ts";
import type { Backend } from "../net/config/backend.ts";
import { type Features, featuresOf } from "../net/config/capabilities.ts";

/**
 * 0: io_uring works. 1: only the portable backend works. 2: neither works, or `URINGNET_BACKEND`
 * names no backend that works, so that no network without a named backend starts.
 */
export type ExitCode = 0 | 1 | 2;

export interface Examination {
  readonly runtime: RuntimeFacts;
  readonly system: {
    readonly platform: string;
    readonly machine: string;
    readonly kernel: string | null;
    /** `kernel.io_uring_disabled`; null when unknown, or where the kernel has no such switch. */
    readonly ioUringDisabled: string | null;
    /** Whether a seccomp filter is installed; null when unknown. */
    readonly seccompFilter: boolean | null;
    /** -1: not limited. Null when unknown. */
    readonly memlockBytes: number | null;
  };
  readonly library: { readonly place: string | null; readonly refusal: string | null };
  readonly ioUring: {
    readonly works: boolean;
    readonly refusal: string | null;
    readonly features: Features;
  };
  readonly portable: { readonly works: boolean; readonly refusal: string | null };
  /** The value of `URINGNET_BACKEND`; null when it is not set. */
  readonly variable: string | null;
  /** The backend of a network whose configuration names none; null: none works. */
  readonly backend: Backend | null;
  readonly exitCode: ExitCode;
}

/** Examines the runtime, the system and both backends. Never rejects. */
export async function examine(): Promise<Examination> {
  const runtime = runtimeFacts();
  const refusal = autoRefusal();
  const { supported, features } = refusal === null
    ? probeIoUring()
    : { supported: false, features: featuresOf(0) };
  const library = examineLibrary(runtime, refusal);
  // The error of loading says more than the refusal alone.
  const reason = library.refusal ?? refusal;
  const ioUring = { works: supported, refusal: reason, features };
  const portable = await examinePortable(runtime);
  const backend = chosen(ioUring.works, portable.works);
  const exitCode = backend === null ? 2 : ioUring.works ? 0 : 1;
  return {
    runtime,
    system: examineSystem(runtime, library.refusal === null),
    library,
    ioUring,
    portable,
    variable: backendVariable() ?? null,
    backend,
    exitCode,
  };
}

function chosen(ioUring: boolean, portable: boolean): Examination["backend"] {
  try {
    const { backend } = chooseBackend("auto");
    return (backend === "io_uring" ? ioUring : portable) ? backend : null;
  } catch {
    return null; // The variable names no backend, which the report says.
  }
}

function examineLibrary(runtime: RuntimeFacts, refusal: string | null): Examination["library"] {
  if (runtime.permissions?.ffi === "missing") return { place: null, refusal };
  try {
    native();
    return { place: loadedLibrary(), refusal: null };
  } catch (error) {
    return { place: null, refusal: messageOf(error) + foreignMachine() };
  }
}

/** `e_machine` of ELF files, at this place of their header. */
const MACHINE_AT = 18;
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/** The loader says of a library of another machine that it is not there. */
function foreignMachine(): string {
  const path = libraryVariable();
  if (path === undefined || path === "") return "";
  try {
    const header = firstBytes(path, MACHINE_AT + 2);
    const machine = header.readUInt16LE(MACHINE_AT);
    if (header.toString("latin1", 1, 4) !== "ELF") return `\n  ${path} is not a shared library`;
    if (machine === MACHINES[arch()]) return "";
    return `\n  ${path} is for another machine (ELF machine ${machine}); this one is ${arch()}`;
  } catch {
    return ""; // Not there, or not to be read: the loader has said enough.
  }
}

/** The file may be of any size, or have no end. */
function firstBytes(path: string, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  const fd = openSync(path, "r");
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, count, 0));
  } finally {
    closeSync(fd);
  }
}

/** Opens a network and a listener of the loopback interface. */
async function examinePortable(runtime: RuntimeFacts): Promise<Examination["portable"]> {
  if (runtime.permissions?.net === "missing") {
    const refusal = "Deno was run without --allow-net, which the portable backend needs; add it";
    return { works: false, refusal };
  }
  try {
    await using network = await Network.start({ backend: "portable" });
    await using _listener = await network.bind("127.0.0.1:0");
    return { works: true, refusal: null };
  } catch (error) {
    return { works: false, refusal: messageOf(error) };
  }
}

function examineSystem(runtime: RuntimeFacts, loaded: boolean): Examination["system"] {
  const known = loaded ? native().system() : null;
  const seccomp = /^Seccomp:\s*(\d)/m.exec(fileText("/proc/self/status") ?? "")?.[1];
  const disabled = known?.disabled ?? fileText("/proc/sys/kernel/io_uring_disabled")?.trim();
  return {
    platform: process.platform,
    machine: arch(),
    kernel: known?.kernel ?? kernelRelease(runtime),
    ioUringDisabled: disabled === undefined || disabled === "" ? null : disabled,
    seccompFilter: seccomp === undefined ? null : seccomp === "2",
    memlockBytes: known?.memlockBytes ?? null,
  };

  function fileText(path: string): string | null {
    const read = runtime.permissions?.read;
    if (read !== undefined && read !== "granted") return null;
    try {
      return readFileSync(path, "utf8");
    } catch {
      return null; // Not Linux, or Deno without all permissions.
    }
  }
}

function kernelRelease(runtime: RuntimeFacts): string | null {
  const sys = runtime.permissions?.sys;
  return sys === undefined || sys === "granted" ? release() : null;
}
