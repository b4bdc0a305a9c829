/**
 * The shared library with the fault table of `ffi/shim/faults.c`, beside the ordinary one in the
 * same process: networks from `mod.ts` stay healthy, those from here do as the table says.
 *
 * It is built when it is missing or older than its sources.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { bunRuntime } from "../../ffi/bun.ts";
import { denoRuntime } from "../../ffi/deno.ts";
import { host } from "../../ffi/host.ts";
import { type NetworkConfig, resolveConfig } from "../../src/net/config/config.ts";
import type { NetworkContext } from "../../src/net/socket/network_context.ts";
import { NetworkCore } from "../../src/net/lifecycle/network_core.ts";
import { openNetwork } from "../../src/net/lifecycle/open_network.ts";
import { tryRings } from "../../src/net/lifecycle/open_rings.ts";
import type { NativePort } from "../../src/ring/port.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const path = `${root}ffi/build/liburingnet-faults.so`;

function build(option: string): string {
  const { status, stdout, stderr } = spawnSync("sh", [`${root}scripts/build.sh`, option], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Cannot build ${path}:\n${stderr}`);
  return stdout.trim();
}

/**
 * The soname carries the hash of the sources. An emulated machine has the library without them, and
 * without a compiler.
 */
function isUpToDate(): boolean {
  if (!existsSync(`${root}ffi/shim.c`)) return true;
  return existsSync(path) && readFileSync(path).includes(Buffer.from(build("--faults-name")));
}

/** The port of this thread on the library with faults. The environment is as before afterwards. */
async function openPort(): Promise<NativePort> {
  if (!isUpToDate()) build("--faults");
  const runtime = "Bun" in globalThis ? bunRuntime : denoRuntime;
  // The loader keeps one library for each instance of its module. This is one of its own.
  const specifier = "../../ffi/native.ts?faults";
  const native: typeof import("../../ffi/native.ts") = await import(specifier);
  const before = process.env.URINGNET_LIBRARY;
  process.env.URINGNET_LIBRARY = path;
  try {
    return native.openNative(runtime);
  } finally {
    if (before === undefined) delete process.env.URINGNET_LIBRARY;
    else process.env.URINGNET_LIBRARY = before;
  }
}

const port = await openPort();

/** A network that does as the fault table says. */
export class FaultyNetwork extends NetworkCore {
  readonly context: NetworkContext;

  constructor(config: NetworkConfig = {}) {
    const resolved = resolveConfig(config);
    const rings = tryRings(port, resolved, resolved.ring.entries);
    if (typeof rings === "number") throw new Error(`Cannot open the rings: errno ${-rings}`);
    const context = openNetwork(port, host, resolved, rings);
    super(context, "io_uring", () => {});
    this.context = context;
  }
}

type Control = {
  // deno-lint-ignore camelcase
  ur_fault_set(...values: number[]): number;
  // deno-lint-ignore camelcase
  ur_fault_count(index: number): number;
  // deno-lint-ignore camelcase
  ur_fault_held(): number;
};

function openControl(): Control {
  const numbers = (count: number, last: string) => [...Array(count - 1).fill("u32"), last];
  // deno-lint-ignore no-explicit-any
  const { Bun, Deno } = globalThis as any;
  if (Bun !== undefined) {
    // deno-lint-ignore no-explicit-any
    const ffi = (process as any).getBuiltinModule("bun:ffi");
    return ffi.dlopen(path, {
      ur_fault_set: { args: numbers(7, "i32"), returns: "i32" },
      ur_fault_count: { args: ["u32"], returns: "i32" },
      ur_fault_held: { args: [], returns: "i32" },
    }).symbols;
  }
  return Deno.dlopen(path, {
    ur_fault_set: { parameters: numbers(7, "i32"), result: "i32" },
    ur_fault_count: { parameters: ["u32"], result: "i32" },
    ur_fault_held: { parameters: [], result: "i32" },
  }).symbols;
}

/** The C side of the table. */
export const control: Control = openControl();
