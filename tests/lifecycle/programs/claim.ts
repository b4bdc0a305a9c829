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

async function claim(path: string): Promise<string> {
  try {
    listeners.push(await network.bind({ path }, { unlinkStale: true }));
    return "bound";
  } catch (error) {
    return error instanceof NetworkError ? String(error.errno) : String(error);
  }
}

const claims: Promise<string>[] = [];
for (const [index, path] of paths.entries()) {
  while (Date.now() < Number(startMs) + index * STEP_MS);
  claims.push(claim(path));
  // The bind itself is some microtasks away.
  await new Promise((resolve) => setTimeout(resolve, 0));
}
console.log(`<results ${(await Promise.all(claims)).join(" ")}>`);
for (const listener of listeners) void listener.accept();
