/*
 * uringnet_start.ts: the echo server that is measured while it starts: it loads the library and
 * nothing besides.
 *
 * Usage: bun uringnet_start.ts
 *        deno run --allow-ffi uringnet_start.ts
 *
 * It takes a free port; `listening PORT` on stdout says which. Loopback only. bench/build.sh makes
 * bench/build/uringnet_start.ts of it, which imports what the package has: the bundled files.
 */
import { type Connection, Network } from "../../mod.ts";

/** Runs a connection to its end; a peer that resets it is an end like another. */
async function echo(connection: Connection): Promise<void> {
  const { stream, sink } = connection;
  try {
    for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
  } catch {
    // The connection is closed below, whatever ended it.
  }
  await connection.close();
}

const network = await Network.start();
const listener = await network.bind("127.0.0.1:0", { backlog: 4_096 });
console.log(`listening ${"port" in listener.localAddress ? listener.localAddress.port : ""}`);
for await (const connection of listener) echo(connection);
