/**
 * Puts `uringnet/net` in the place of Bun's `node:net`, for programs that are run by
 * `bun --preload`.
 *
 * @module
 */
import process from "node:process";

const runtime = process.getBuiltinModule("node:net") as unknown as Record<string, unknown>;
const { default: ours } = await import("../../src/adapters/net.ts");
Object.assign(runtime, ours);
