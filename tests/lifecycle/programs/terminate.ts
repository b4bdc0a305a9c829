/**
 * Starts workers with a network under load and terminates them at random moments: while they load
 * the library, right after they opened their rings, and under full load; one or two at a time.
 *
 *   terminate.ts ROUNDS SEED
 *
 * @module
 */
import process from "node:process";
import { Network } from "../../../mod.ts";
import { connect, expectAlive, pause, settledDescriptors } from "../../contract/fixture.ts";
import { deferred, Random } from "../../harness.ts";
import { openSignals } from "./open_signals.ts";

const [rounds, seed] = process.argv.slice(-2).map(Number);
const WARM_UP = 3;
/** A worker that says nothing for so long has hung. */
const HANG_MS = 60_000;
/** Where in its life a worker is terminated, and how long after that at most. */
const MOMENTS: readonly [after: string, delayMsMax: number][] = [
  ["created", 60],
  ["open", 10],
  ["running", 25],
  ["running", 25],
];

openSignals();
const random = new Random(seed);

async function terminateOne(moment: number): Promise<void> {
  const [after, delayMsMax] = MOMENTS[moment];
  const worker = new Worker(new URL("./echo_worker.ts", import.meta.url), { type: "module" });
  const reached = deferred();
  const hang = setTimeout(() => reached.reject(new Error(`never "${after}"`)), HANG_MS);
  worker.onmessage = ({ data }) => data === after && reached.resolve();
  worker.onerror = (event) => reached.reject(new Error(`worker: ${event.message}`));
  worker.postMessage(random.pick(["shared", "split"]));
  if (after === "created") reached.resolve();
  await reached.promise;
  clearTimeout(hang);
  await pause(random.float() * delayMsMax);
  worker.terminate();
}

// The main thread has a network as well, which must not notice.
const network = await Network.start();
await using pair = await connect(network);
for (let i = 0; i < WARM_UP; i++) await terminateOne(MOMENTS.length - 1);
const before = await settledDescriptors();
for (let done = 0; done < rounds;) {
  const count = Math.min(random.pick([1, 1, 2]), rounds - done);
  const moments = Array.from({ length: count }, () => random.int(0, MOMENTS.length - 1));
  await Promise.all(moments.map(terminateOne));
  await expectAlive(pair);
  done += count;
  if (done % 100 < count) {
    const rssMiB = process.memoryUsage.rss() / (1 << 20);
    console.log(`${done} terminated, ${rssMiB.toFixed(0)} MiB`);
  }
}
let after = await settledDescriptors();
for (let wait = 0; wait < 30 && after > before; wait++) {
  await pause(100);
  after = await settledDescriptors();
}
await network.close();
console.log(`<descriptors ${before} ${after}>`);
