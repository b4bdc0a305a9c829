// A server that ends without losing a request: SIGTERM stops accepting, requests in progress are
// answered, and connections that do not end within the budget are reset.
//
//   deno run --allow-ffi examples/graceful_shutdown.ts      bun examples/graceful_shutdown.ts
//   then: (echo slow; sleep 2) | nc 127.0.0.1 7005, and meanwhile: kill -TERM <process>
//
// With --once 50 clients ask, the process gets SIGTERM in the middle, and all are answered.
import process from "node:process";
import { Network, serve } from "../mod.ts";

const once = process.argv.includes("--once");
const WORK_MS = 1_000;

const network = await Network.start();
const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7005");
let begun = 0;
const server = serve(listener, async ({ stream, sink }, { signal }) => {
  // The signal ends the wait for another request, not the work on this one.
  for await (const request of stream.lines({ signal })) {
    begun++;
    await new Promise((resolve) => setTimeout(resolve, WORK_MS));
    await sink.send(`${request} is done\n`);
  }
}, { drainTimeoutMs: 10_000 });

process.once("SIGTERM", async () => {
  console.log(`draining ${server.connections} connections`);
  await server.close();
  await network.close();
  console.log("bye");
});

if (once) await selfTest();

async function selfTest(): Promise<void> {
  const clients = await Network.start();
  const answers = Array.from({ length: 50 }, async (_, i) => {
    await using client = await clients.dial(listener.localAddress);
    await client.sink.send(`request ${i}\n`);
    return (await client.stream.recvUntil("\n")).text();
  });
  while (begun < 50) await new Promise((resolve) => setTimeout(resolve, 1));
  process.kill(process.pid, "SIGTERM");
  const wanted = answers.map((_, i) => `request ${i} is done\n`);
  const got = await Promise.all(answers);
  await server.finished;
  await clients.close();
  console.log("all are answered:", got.every((answer, i) => answer === wanted[i]));
}
