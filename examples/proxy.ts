// A TCP proxy: every connection to one address is carried on to another.
//
//   deno run --allow-ffi examples/proxy.ts 127.0.0.1:7001 127.0.0.1:6379
//   bun examples/proxy.ts unix:/tmp/proxy.sock 127.0.0.1:6379
//
// With --once it puts itself before an upper-case server and ends.
import process from "node:process";
import { type Connection, type Listener, Network, type Sink, type Stream } from "../mod.ts";

/** Carries one direction until its end. The received buffer itself is sent on, without a copy. */
async function carry(from: Stream, to: Sink): Promise<void> {
  for (let data; (data = await from.recvSome()) !== null;) await to.send(data);
  await to.close(); // Passes the half close on; the other direction continues.
}

async function serve(client: Connection, target: string): Promise<void> {
  await using _client = client;
  await using server = await network.dial(target);
  try {
    await Promise.all([carry(client.stream, server.sink), carry(server.stream, client.sink)]);
  } catch {
    client.reset(); // One side was cut off: so is the other.
    server.reset();
  }
}

async function run(listener: Listener, target: string): Promise<void> {
  for await (const client of listener) {
    serve(client, target).catch((error) => console.error(`${error.code}: ${error.message}`));
  }
}

await using network = await Network.start();
const [address = "127.0.0.1:7001", target = "127.0.0.1:6379"] = process.argv.slice(2);
if (address === "--once") await selfTest();
else await run(await network.bind(address), target);

async function selfTest(): Promise<void> {
  await using shouting = await network.bind("127.0.0.1:0");
  await using listener = await network.bind("127.0.0.1:0");
  if (!("port" in shouting.localAddress)) return;
  const running = run(listener, `127.0.0.1:${shouting.localAddress.port}`);
  const client = await network.dial(listener.localAddress);
  const server = await shouting.accept();
  await client.sink.send("ping");
  await client.sink.close();
  for await (const data of server.stream) {
    await server.sink.send(new TextDecoder().decode(data).toUpperCase());
  }
  await server.close();
  console.log("proxied:", (await client.stream.recv(4)).text());
  console.log("half close passed on:", (await client.stream.recvSome()) === null);
  await client.close();
  await listener.close();
  await running;
}
