/**
 * Puts `uringnet/net` in the place of Bun's `node:net`, for programs that are run by
 * `bun --preload`.
 *
 * @module
 */
import process from "node:process";

interface Plugins {
  plugin(plugin: {
    name: string;
    setup(build: {
      module(name: string, load: () => { loader: "object"; exports: object }): void;
    }): void;
  }): void;
}

const runtime = process.getBuiltinModule("node:net") as unknown as Record<string, unknown>;
const { default: ours } = await import("../../src/adapters/net.ts");
Object.assign(runtime, ours);

const net = await import("./internals/net.ts");
const binding = await import("./internals/binding.ts");
const { Bun } = globalThis as unknown as { Bun: Plugins };
Bun.plugin({
  name: "internals of uringnet/net",
  setup(build) {
    build.module("internal/net", () => ({ loader: "object", exports: net }));
    build.module("internal/test/binding", () => ({ loader: "object", exports: binding }));
  },
});
