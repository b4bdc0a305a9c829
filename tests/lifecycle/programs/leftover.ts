/**
 * Prints what the process has open, first and one second later: `<kinds ...>`. With the argument
 * "network" it opens and closes two networks in between, with "nothing" it only waits.
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { Network } from "../../../mod.ts";

/** Deno makes descriptors of its own half a second after its start. */
const LATER_MS = 1_000;

/** The descriptors by what they are, without numbers: "socket", "anon_inode:[eventpoll]". */
function kinds(): string {
  const found: string[] = [];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      found.push(readlinkSync(`/proc/self/fd/${fd}`).replace(/:\[\d+\]$/, ""));
    } catch {
      // The directory's own.
    }
  }
  return found.filter((name) => !name.startsWith("/")).sort().join(" ");
}

console.log(`<first ${kinds()}>`);
for (let i = 0; i < 2 && process.argv[2] === "network"; i++) {
  const network = await Network.start();
  const listener = await network.bind("127.0.0.1:0");
  const [client] = await Promise.all([network.dial(listener.localAddress), listener.accept()]);
  await client.sink.send("x");
  await network.close();
}
await new Promise((resolve) => setTimeout(resolve, LATER_MS));
console.log(`<later ${kinds()}>`);
