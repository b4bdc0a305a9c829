/**
 * A hundred receives with budgets; says how often each ran out, and whether one did early.
 *
 * @module
 */
import { Network } from "../../../mod.ts";

const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const endings: number[] = [];
let early = 0;

async function wait(index: number): Promise<void> {
  const [client, server] = await Promise.all([
    network.dial(listener.localAddress),
    listener.accept(),
  ]);
  const timeoutMs = 100 + index * 4;
  const start = performance.now();
  endings[index] = 0;
  await client.stream.recv(10, { timeoutMs }).catch((error) => {
    if (error.code === "Timeout") endings[index]++;
    if (performance.now() - start < timeoutMs) early++;
  });
  // Nothing is lost, and the next budget is whole.
  await server.sink.send("0123456789");
  const received = await client.stream.recv(10, { timeoutMs: 5_000 });
  if (received.text() !== "0123456789") throw new Error("wrong bytes");
  await Promise.all([client.close(), server.close()]);
}

const waits = Array.from({ length: 100 }, (_, index) => wait(index));
setTimeout(() => console.log("<waiting>"), 20);
await Promise.all(waits);
const once = endings.filter((count) => count === 1).length;
console.log(`<once ${once} early ${early}>`);
await network.close();
