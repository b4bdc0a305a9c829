// Two nodes of libp2p: TCP, noise and yamux. 10 MiB in one stream, 20 streams at once over one
// connection, the end of a node.
import { noise, pureJsCrypto } from "@chainsafe/libp2p-noise";
import { yamux } from "@chainsafe/libp2p-yamux";
import { tcp } from "@libp2p/tcp";
import { createLibp2p } from "libp2p";
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import process from "node:process";
import { hash, host, say } from "./lib.mjs";

const PIECE = 64 * 1024;
const data = Buffer.alloc(10 * 1024 * 1024, "0123456789abc");

const node = () =>
  createLibp2p({
    addresses: { listen: [`/ip4/${host}/tcp/0`] },
    transports: [tcp()],
    // The cipher of noise is not among those of node:crypto in Bun.
    connectionEncrypters: [noise({ crypto: pureJsCrypto })],
    streamMuxers: [yamux()],
  });

const [server, client] = [await node(), await node()];
const received = new Promise((resolve) => {
  server.handle("/bulk", async (stream) => {
    const digest = createHash("sha256");
    for await (const chunk of stream) digest.update(chunk.subarray());
    resolve(digest.digest("hex").slice(0, 16));
    await stream.close();
  });
});
const bulk = await client.dialProtocol(server.getMultiaddrs(), "/bulk");
for (let start = 0; start < data.length; start += PIECE) {
  if (!bulk.send(data.subarray(start, start + PIECE))) await bulk.onDrain();
}
await bulk.close();
say(await received === hash(data));

await server.handle("/echo", async (stream) => {
  for await (const chunk of stream) stream.send(chunk);
  await stream.close();
});
const echo = async (index) => {
  const stream = await client.dialProtocol(server.getMultiaddrs(), "/echo");
  stream.send(Buffer.from(`message ${index}`));
  await stream.close();
  let answer = "";
  for await (const chunk of stream) answer += Buffer.from(chunk.subarray());
  return answer;
};
const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => echo(index)));
say(answers.join(), client.getConnections().length);

const gone = new Promise((resolve) => client.addEventListener("peer:disconnect", resolve));
await server.stop();
await gone;
say(client.getConnections().length);
await client.stop();
// Its timers keep the process for some more seconds.
process.exit(0);
