/**
 * Binds to each path that is an argument, with `unlinkStale`, at a moment that it shares with other
 * processes, and prints what came of it. Listens until it is killed.
 *
 * @module
 */
import process from "node:process";
import { type Listener, Network, NetworkError } from "../../../mod.ts";

const [startMs, ...paths] = process.argv.slice(2);
/** Between two paths. */
const STEP_MS = 10;

const network = await Network.start();
const listeners: Listener[] = [];
const results: string[] = [];
console.log("<ready>");
for (const [index, path] of paths.entries()) {
  while (Date.now() < Number(startMs) + index * STEP_MS);
  try {
    listeners.push(await network.bind({ path }, { unlinkStale: true }));
    results.push("bound");
  } catch (error) {
    results.push(error instanceof NetworkError ? String(error.errno) : String(error));
  }
}
console.log(`<results ${results.join(" ")}>`);
for (const listener of listeners) void listener.accept();
