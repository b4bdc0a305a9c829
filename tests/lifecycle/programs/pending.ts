/**
 * Leaves something behind, of the kind that its argument names, and ends without exit().
 *
 * @module
 */
import process from "node:process";
import { type Connection, Network, serve } from "../../../mod.ts";

const kind = process.argv.at(-1);
const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const [client, server] = await Promise.all([
  network.dial(listener.localAddress),
  listener.accept(),
]);
await client.sink.send("hello");
(await server.stream.recv(5)).release();

switch (kind) {
  case "nothing":
    break;
  case "recv":
    void client.stream.recv(1);
    break;
  case "recv with a budget":
    client.stream.recv(1, { timeoutMs: 300 }).catch((error) => console.log(`<${error.code}>`));
    break;
  case "unref'd recv":
    client.unref();
    void client.stream.recv(1);
    break;
  case "recv, then unref":
    void client.stream.recv(1);
    setTimeout(() => client.unref(), 100);
    break;
  case "aborted recv": {
    const controller = new AbortController();
    client.stream.recv(1, { signal: controller.signal }).catch(() => console.log("<aborted>"));
    setTimeout(() => controller.abort(), 100);
    break;
  }
  case "accept":
    void listener.accept();
    break;
  case "unref'd accept":
    listener.unref();
    void listener.accept();
    break;
  case "an unref'd server that is full": {
    listener.unref();
    const { promise, resolve } = Promise.withResolvers<void>();
    const handler = async (connection: Connection): Promise<void> => {
      connection.unref();
      resolve();
      await connection.stream.recvSome();
    };
    serve(listener, handler, { maxConnections: 1 });
    await network.dial(listener.localAddress);
    await promise;
    break;
  }
  case "send":
    void client.sink.send(new Uint8Array(24 << 20));
    break;
  case "unref'd send":
    client.unref();
    void client.sink.send(new Uint8Array(24 << 20));
    break;
  case "an error":
    void client.stream.recv(1);
    void listener.accept();
    setTimeout(() => {
      throw new Error("on purpose");
    }, 100);
    break;
  case "closed network":
    await network.close();
    break;
  default:
    throw new Error(`Unknown: ${kind}`);
}
console.log("<left>");
