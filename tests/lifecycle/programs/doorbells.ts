/**
 * Starts networks in a runtime that cannot adopt their doorbells: a descriptor that is not open is
 * handed to it in place of the real one. Prints `<refused N>`, `<leaked N>` and `<unhandled N>`.
 *
 * @module
 */
import process from "node:process";
import { bunRuntime } from "../../../ffi/bun.ts";
import { denoRuntime } from "../../../ffi/deno.ts";
import { host } from "../../../ffi/host.ts";
import type { Runtime } from "../../../ffi/symbols.ts";
import { NetworkError } from "../../../mod.ts";
import { resolveConfig } from "../../../src/net/config/config.ts";
import { doorbellsOpened, openNetwork } from "../../../src/net/lifecycle/open_network.ts";
import { openRings } from "../../../src/net/lifecycle/open_rings.ts";
import { settledDescriptors } from "../../contract/fixture.ts";
import { openSignals } from "./open_signals.ts";

const NOT_OPEN = 9_999;
const ROUNDS = 10;

// The loader keeps one library for each instance of its module. This is one of its own.
const specifier = "../../../ffi/native.ts?doorbells";
const { openNative }: typeof import("../../../ffi/native.ts") = await import(specifier);
const real = "Bun" in globalThis ? bunRuntime : denoRuntime;

openSignals();

let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);

let adopts = true;
const openDoorbell: Runtime["openDoorbell"] = (fd, onWake) =>
  real.openDoorbell(adopts ? fd : NOT_OPEN, onWake);
const realEvent = real.openEvent;
const openEvent: Runtime["openEvent"] = realEvent === null
  ? null
  : (fd, onWake) => realEvent(adopts ? fd : NOT_OPEN, onWake);
const runtime = Object.create(real, {
  openDoorbell: { value: openDoorbell },
  openEvent: { value: openEvent },
});

async function start(topology: "shared" | "split") {
  const native = openNative(runtime);
  const config = resolveConfig({ ring: { topology } });
  const context = openNetwork(native, host, config, await openRings(native, host, config));
  await doorbellsOpened(context);
  return context;
}

// The runtime's own descriptors are open after a first network.
const context = await start("shared");
context.recvRing.close();
adopts = false;
const before = await settledDescriptors();
let refused = 0;
for (let round = 0; round < ROUNDS; round++) {
  await start(round % 2 === 0 ? "shared" : "split").catch((error) => {
    if (error instanceof NetworkError && error.code === "Unsupported") refused++;
    else console.log(error);
  });
}
console.log(`<refused ${refused} of ${ROUNDS}>`);
console.log(`<leaked ${await settledDescriptors() - before}>`);
console.log(`<unhandled ${unhandled}>`);
