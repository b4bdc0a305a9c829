/**
 * Accepts until it has no descriptor left, looks at what waiting costs, frees some, and goes on.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { type Connection, Network } from "../../../mod.ts";
import { openSignals } from "./open_signals.ts";

openSignals();

const total = Number(process.argv.at(-1));
const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const { port } = listener.localAddress as { port: number };
const accepted: Connection[] = [];
let count = 0;
let answeredCount = 0;
const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

async function echo(connection: Connection): Promise<void> {
  for (let data = await connection.stream.recvSome(); data !== null;) {
    await connection.sink.send(data);
    answeredCount++;
    data = await connection.stream.recvSome();
  }
}

const accepting = (async () => {
  while (count < total) {
    const connection = await listener.accept();
    count++;
    accepted.push(connection);
    void echo(connection).catch(() => {});
  }
})();

// Both runtimes open descriptors of their own when timers are first used.
await pause(1);
console.log(`<port ${port}>`);
// Descriptors have run out when a file cannot be opened either. Each peer says one word.
for (let left = true; left || answeredCount < count; await pause(20)) {
  try {
    closeSync(openSync("/dev/null", "r"));
  } catch {
    left = false;
  }
}
const atLimit = count;
const before = network.stats().ringEnters;
await pause(500);
console.log(`<limit ${atLimit} enters ${network.stats().ringEnters - before}>`);
while (count < total) {
  await Promise.all(accepted.splice(0, 5).map((connection) => connection.close()));
  await pause(20);
}
await accepting;
console.log(`<accepted ${count}>`);
await network.close();
