// The two halves as web streams: compression on the way, with pipeThrough and pipeTo.
//
//   deno run --allow-ffi examples/streams.ts      bun examples/streams.ts
import { type Connection, Network } from "../mod.ts";

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** Receives a compressed stream and sends it back as it was before. */
async function decompress({ readable, writable }: Connection): Promise<void> {
  await (readable as Bytes).pipeThrough(new DecompressionStream("gzip")).pipeTo(writable);
}

await using network = await Network.start();
await using listener = await network.bind("127.0.0.1:0");
const client = await network.dial(listener.localAddress);
const server = await listener.accept();
const served = decompress(server);

const text = "the same words, again and again; ".repeat(10_000);
const source = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
await source.pipeTo(client.writable); // Closing the writable side half-closes the connection.

const received = await new Response(client.readable as Bytes).text();
console.log(`sent ${client.sink.bytesSent < 10_000 ? "few" : "many"} bytes`);
console.log(`received ${received.length} characters, as they were: ${received === text}`);
await served;
await Promise.all([client.close(), server.close()]);
