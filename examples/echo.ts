// An echo server.
//
//   deno run --allow-ffi examples/echo.ts      bun examples/echo.ts      then: nc 127.0.0.1 7000
//
// With --once it listens on a free port, talks to itself and ends.
import process from "node:process";
import { type Connection, Network } from "../mod.ts";

const once = process.argv.includes("--once");

async function echo(connection: Connection): Promise<void> {
  await using _closed = connection;
  for (let data; (data = await connection.stream.recvSome()) !== null;) {
    await connection.sink.send(data);
  }
}

await using network = await Network.start();
const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7000");
if (once) talk();
for await (const connection of listener) echo(connection).catch(console.error);

/** A client of this server. Closing the listener ends the loop above. */
async function talk(): Promise<void> {
  const client = await network.dial(listener.localAddress);
  await client.sink.send("hello");
  console.log("echoed:", (await client.stream.recv(5)).text());
  await client.close();
  await listener.close();
}
