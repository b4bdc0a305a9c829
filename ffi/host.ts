/**
 * Time, tasks and names of the runtime. `node:timers` and `node:dns` are the same in both.
 *
 * @module
 */
import type * as dns from "node:dns/promises";
import process from "node:process";
import * as timers from "node:timers";
import { nowMs } from "../src/base/now_ms.ts";
import { builtinModule } from "../src/base/builtin_module.ts";
import type { Host } from "../src/base/host.ts";
import { bunRuntime } from "./bun.ts";
import { denoRuntime, lookUpRefusal } from "./deno.ts";
import { Macrotasks } from "./macrotasks.ts";

interface NodeTimer {
  unref(): void;
}

interface NodeTimers {
  setTimeout(callback: () => void, delayMs: number): NodeTimer;
  clearTimeout(timer: NodeTimer): void;
  setImmediate(callback: () => void): unknown;
}

// deno-lint-ignore no-explicit-any
const { setTimeout, clearTimeout, setImmediate } = timers as any as NodeTimers;

const macrotasks = "Bun" in globalThis ? new Macrotasks(setImmediate) : null;

export const host: Host = {
  now: nowMs,

  setTimer(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },

  pause: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),

  setMacrotask(callback) {
    if (macrotasks === null) setImmediate(callback);
    else macrotasks.set(callback);
  },

  async resolve(name) {
    // Names are looked up rarely; the module for that takes 1 ms of a start.
    const { lookup } = builtinModule<typeof dns>("node:dns/promises");
    const found = await lookup(name, { all: true }).catch((cause) => {
      const refusal = "Deno" in globalThis ? lookUpRefusal(name) : null;
      throw refusal === null ? cause : new Error(`${cause.message}: ${refusal}`, { cause });
    });
    return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  },

  warn(line) {
    try {
      // deno-lint-ignore no-console
      console.warn(line);
    } catch {
      // A program has replaced the console, and its console fails.
    }
  },

  environment: (name) => ("Bun" in globalThis ? bunRuntime : denoRuntime).environment(name),

  processId: process.pid,
};
