/**
 * Echoes until it is killed, and has a receive and a large send of its own in flight.
 *
 * @module
 */
import { Network } from "../../../mod.ts";

const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
console.log(`<port ${(listener.localAddress as { port: number }).port}>`);
for await (const connection of listener) {
  const echo = async () => {
    for await (const data of connection.stream) await connection.sink.send(data);
    await connection.close();
  };
  echo().catch(() => connection.reset());
}
