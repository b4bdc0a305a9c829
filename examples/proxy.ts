// A TCP proxy: every connection to one address is carried on to another, buffers and half closes
// included.
//
//   deno run --allow-ffi examples/proxy.ts 127.0.0.1:7001 127.0.0.1:6379
//   bun examples/proxy.ts unix:/tmp/proxy.sock 127.0.0.1:6379
//
// With --once it puts itself before an upper-case server and ends.
import process from "node:process";
import { copyBidirectional, Network, serve, type Server } from "../mod.ts";

async function proxy(address: string, target: () => string): Promise<[Server, string]> {
  const listener = await network.bind(address);
  const server = serve(listener, async (client) => {
    await using upstream = await network.dial(target());
    await copyBidirectional(client, upstream);
  });
  const local = listener.localAddress;
  return [server, "port" in local ? `${local.hostname}:${local.port}` : `unix:${local.path}`];
}

await using network = await Network.start();
const [address = "127.0.0.1:7001", target = "127.0.0.1:6379"] = process.argv.slice(2);
if (address === "--once") await selfTest();
else await (await proxy(address, () => target))[0].finished;

async function selfTest(): Promise<void> {
  const upper = await network.bind("127.0.0.1:0");
  await using _upper = serve(upper, async ({ stream, sink }) => {
    for await (const line of stream.lines()) await sink.send(`${line.toUpperCase()}\n`);
    await sink.send("bye\n");
  });
  const { port } = upper.localAddress as { port: number };
  const [server, front] = await proxy("127.0.0.1:0", () => `127.0.0.1:${port}`);
  await using _server = server;
  await using client = await network.dial(front);
  await client.sink.send("ping\n");
  console.log("proxied:", (await client.stream.recvUntil("\n")).text().trimEnd());
  await client.sink.close();
  const last = (await client.stream.recvUntil("\n")).text().trimEnd();
  console.log("half close passed on:", last === "bye" && await client.stream.recvSome() === null);
}
