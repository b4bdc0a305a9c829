// An echo server.
//
//   deno run --allow-ffi examples/echo.ts      bun examples/echo.ts      then: nc 127.0.0.1 7000
//
// With --once it listens on a free port, talks to itself and ends.
import process from "node:process";
import { Network, serve } from "../mod.ts";

const once = process.argv.includes("--once");

await using network = await Network.start();
const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7000");
const server = serve(listener, async ({ stream, sink }) => {
  for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
});
if (once) await talk();
await server.finished;

/** A client of this server. */
async function talk(): Promise<void> {
  await using client = await network.dial(listener.localAddress);
  await client.sink.send("hello");
  console.log("echoed:", (await client.stream.recv(5)).text());
  void server.close();
}
