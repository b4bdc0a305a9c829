/**
 * What the package tests run as a user's program: `SPECIFIER` is replaced by what they import.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** Echoes 100,000 bytes through a network, and says so. */
export const PROGRAM = `import { IOVEC_BATCH_SIZE, Network, probe } from "SPECIFIER";

const network = await Network.start();
const listener = await network.bind("127.0.0.1:0");
const accepted = listener.accept();
const client = await network.dial(listener.localAddress);
const server = await accepted;
const sent = new Uint8Array(100_000).map((_, i) => i * 7);
const sending = client.sink.send(sent);
await server.sink.send(await server.stream.recv(sent.length));
const received = (await client.stream.recv(sent.length)).toUint8Array();
await sending;
const same = received.every((byte, i) => byte === sent[i]);
await Promise.all([client.close(), server.close()]);
await network.close();
console.log("echoed", received.length, same, IOVEC_BATCH_SIZE, probe().supported);
`;

/** What it prints. */
export const PRINTED = "echoed 100000 true 32 true\n";

/** The root of this checkout, with a slash at the end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
