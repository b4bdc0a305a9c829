/**
 * Starts two networks with the defaults, echoes over the first, and tells which backends they have.
 *
 * @module
 */
import { Network } from "../../../mod.ts";

const first = await Network.start();
const second = await Network.start();
const listener = await first.bind("127.0.0.1:0");
const [client, server] = await Promise.all([second.dial(listener.localAddress), listener.accept()]);
await client.sink.send("hello");
const echoed = (await server.stream.recv(5)).text() === "hello";
// A network waits the whole of its budget for an answer to what a connection has received.
await Promise.all([client.close(), server.close()]);
await Promise.all([first.close(), second.close()]);
console.log(`<${first.backend} ${second.backend} ${echoed}>`);
