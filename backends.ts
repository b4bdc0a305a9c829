/**
 * Picks the runtime and the backend. Apart from `mod.ts` and the doctor, this is the only file that
 * imports the core (`src/`), the unsafe room (`ffi/`) and the portable backend (`src/portable`).
 *
 *   "io_uring"   the library is loaded; a refusal is the error
 *   "portable"   no library is looked for; of ffi/ only the clock and the timers run
 *   "auto"       io_uring where the library loads and `probe()` allows it, else portable
 *
 * "auto" never asks for a permission: where Deno would have to ask for FFI, FFI counts as refused.
 *
 * @module
 */
import { bunRuntime } from "./ffi/bun.ts";
import { denoRuntime, foreignCallRefusal } from "./ffi/deno.ts";
import { host } from "./ffi/host.ts";
import { openNative, prepareNative } from "./ffi/native.ts";
import type { Runtime } from "./ffi/symbols.ts";
import { messageOf } from "./src/base/network_error.ts";
import type { SlabMemory, SlabSource } from "./src/buf/slab.ts";
import {
  askedBackend,
  type Backend,
  BACKEND_VARIABLE,
  fallbackNotice,
  portableError,
  portableRefusal,
} from "./src/net/config/backend.ts";
import { type Capabilities, featuresOf } from "./src/net/config/capabilities.ts";
import type { ResolvedConfig } from "./src/net/config/config.ts";
import { explainRefusal } from "./src/net/config/refusal.ts";
import { PortableNative } from "./src/portable/portable_native.ts";
import type { NativePort } from "./src/ring/port.ts";

/** The runtime's side of ffi/, or null in another runtime. */
export function runtime(): Runtime | null {
  if ("Bun" in globalThis) return bunRuntime;
  return "Deno" in globalThis ? denoRuntime : null;
}

/** Loads the library of this thread, once. Throws with the reason. */
export function native(): NativePort {
  const found = runtime();
  if (found === null) throw new Error("uringnet runs in Deno and in Bun; this is neither");
  return openNative(found);
}

/**
 * Prepares {@link native} for the start of a network, without blocking, where that will be called.
 */
export async function prepare(config: ResolvedConfig["backend"]): Promise<void> {
  const found = runtime();
  if (found === null || askedBackend(config, backendVariable()) === "portable") return;
  if ("Deno" in globalThis && foreignCallRefusal() !== null) return;
  await prepareNative(found);
}

let portablePort: PortableNative | null = null;

/** In Deno a macrotask costs more than the turns that it saves. */
const macrotask = "Bun" in globalThis ? host.setMacrotask : null;

/** The portable backend of this thread. */
export function portable(): PortableNative {
  return portablePort ??= new PortableNative(host, macrotask);
}

/** Finds out whether io_uring can be used here. Never throws, and closes all that it opens. */
export function probeIoUring(): Capabilities {
  try {
    const port = native();
    const system = port.system();
    const result = port.probe();
    return {
      supported: result >= 0,
      reason: result >= 0 ? null : explainRefusal(-result, system),
      kernel: system.kernel,
      features: featuresOf(Math.max(result, 0)),
    };
  } catch (cause) {
    return { supported: false, reason: messageOf(cause), kernel: null, features: featuresOf(0) };
  }
}

/**
 * Whether "auto" may use io_uring. Found out once for each thread, because a probe opens a ring.
 */
let allowed = false;

/** The reason why "auto" does not take io_uring; null when it does. */
export function autoRefusal(): string | null {
  if (allowed) return null;
  const refusal = "Deno" in globalThis ? foreignCallRefusal() : null;
  if (refusal !== null) return refusal;
  const { supported, reason } = probeIoUring();
  allowed = supported;
  return reason;
}

/** The value of `URINGNET_BACKEND`, if it may be read without a prompt. */
export function backendVariable(): string | undefined {
  return runtime()?.environment(BACKEND_VARIABLE);
}

/** The value of `URINGNET_LIBRARY`, likewise. */
export function libraryVariable(): string | undefined {
  return runtime()?.environment("URINGNET_LIBRARY");
}

export interface Choice {
  readonly backend: Backend;
  /**
   * The reason why "auto" did not choose io_uring; null when it did, or when a backend was named.
   */
  readonly fallback: string | null;
  /** Whether "auto" chose io_uring, so that a later refusal is a reason to fall back. */
  readonly mayFallBack: boolean;
}

/** Chooses the backend. Throws RangeError for a variable that names no backend. */
export function chooseBackend(config: ResolvedConfig["backend"]): Choice {
  const asked = askedBackend(config, backendVariable());
  if (asked !== "auto") return { backend: asked, fallback: null, mayFallBack: false };
  const fallback = autoRefusal();
  if (fallback !== null) return { backend: "portable", fallback, mayFallBack: false };
  return { backend: "io_uring", fallback: null, mayFallBack: true };
}

let told = false;

/**
 * The portable port for a network of this configuration. Reports the reason when "auto" chose it.
 * Throws a NetworkError "Unsupported" for options that `node:net` cannot set.
 */
export function portableFor(config: ResolvedConfig, fallback: string | null): PortableNative {
  const refusal = portableRefusal(config);
  if (refusal !== null) throw portableError(refusal, fallback);
  if (fallback !== null) tell(config, fallback);
  return portable();
}

function tell({ onFallback }: ResolvedConfig, reason: string): void {
  if (onFallback !== null) return void onFallback(reason);
  if (told) return;
  told = true;
  host.warn(fallbackNotice(reason));
}

/** The source of a pool's memory. */
export interface PoolSource extends SlabSource {
  /** Whether the kernel can see it, as io_uring needs. */
  readonly visible: boolean;
}

const { setTimer, warn } = host;

/** The source of memory that the library maps. A portable network can use such pools as well. */
export function visibleSource(port: NativePort): PoolSource {
  const mapSlab = (sizeBytes: number): SlabMemory | null => {
    const slab = port.mapSlab(sizeBytes);
    if (slab !== null) portable().lend(slab);
    return slab;
  };
  return { visible: true, mapSlab, setTimer, warn };
}

/** Plain memory. */
export function plainSource(): PoolSource {
  const port = portable();
  return { visible: false, mapSlab: (sizeBytes) => port.mapSlab(sizeBytes), setTimer, warn };
}

/**
 * The source for a pool that is made before a network: visible memory where "auto" would take
 * io_uring.
 */
export function poolSource(): PoolSource {
  const { backend } = chooseBackend("auto");
  return backend === "portable" ? plainSource() : visibleSource(native());
}
