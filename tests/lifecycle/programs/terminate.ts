/**
 * Starts workers with a network under load and terminates them at random points.
 *
 * @module
 */
import { Network } from "../../../mod.ts";
import { connect, expectAlive, settledDescriptors } from "../../contract/fixture.ts";
import { openSignals } from "./open_signals.ts";

openSignals();

const WARM_UP = 2;
const ROUNDS = 20;

async function round(): Promise<void> {
  const url = new URL("./echo_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  await new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new Error(`worker: ${event.message}`));
  });
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  worker.terminate();
}

// The main thread has a network as well, which must not notice.
const network = await Network.start();
await using pair = await connect(network);
for (let i = 0; i < WARM_UP; i++) await round();
const before = await settledDescriptors();
for (let i = 0; i < ROUNDS; i++) {
  await round();
  await expectAlive(pair);
}
let after = await settledDescriptors();
for (let wait = 0; wait < 20 && after > before; wait++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  after = await settledDescriptors();
}
await network.close();
console.log(`<descriptors ${before} ${after}>`);
