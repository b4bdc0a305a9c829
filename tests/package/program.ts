/**
 * The user's program of the package tests: `SPECIFIER` is replaced by the imported module.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** Echoes 100,000 bytes through a network, and says so. */
export const PROGRAM = `import { IOVEC_BATCH_SIZE, Network, probe } from "SPECIFIER";

const network = await Network.start({ backend: "io_uring" });
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

/** The output of the program. */
export const PRINTED = "echoed 100000 true 32 true\n";

/** The root of this checkout, with a slash at the end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A program that knows nothing of the package. */
export const UNMODIFIED = `import net, { connect } from "node:net";
import http from "node:http";

const echo = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1", () => {
  const client = connect(echo.address().port, "127.0.0.1", () => client.write("ping"));
  client.once("data", (data) => {
    console.log("echoed", String(data));
    client.end();
    echo.close();
  });
});
const server = http.createServer((_, answer) => answer.end("pong")).listen(0, "127.0.0.1", () => {
  http.get({ port: server.address().port, host: "127.0.0.1", agent: false }, async (answer) => {
    for await (const chunk of answer) console.log("answered", String(chunk));
    server.close();
  });
});
`;

/** A second preload, which says what the ring carried; with the place of the first as SPECIFIER. */
export const REPORT = `import process from "node:process";
import { registeredNetwork } from "SPECIFIER";

process.on("exit", () => {
  const { inboundConnections, outboundConnections } = registeredNetwork().stats();
  console.log("ring", inboundConnections, outboundConnections);
});
`;

/** The lines of both, for either order of the first two. */
export const REPORTED = ["answered pong", "echoed ping", "ring 2 2"];
