// Budgets and AbortSignal on every call. A call that ends early loses nothing.
//
//   deno run --allow-ffi examples/timeouts_and_aborts.ts      bun examples/timeouts_and_aborts.ts
import { Network, NetworkError } from "../mod.ts";

await using network = await Network.start({ connectTimeoutMs: 2_000 });
await using listener = await network.bind("127.0.0.1:0");
const client = await network.dial(listener.localAddress);
const server = await listener.accept();

// A budget is one of the whole call. Five of eight bytes come in time: none is lost.
await server.sink.send("01234");
try {
  await client.stream.recv(8, { timeoutMs: 500 });
} catch (error) {
  if (!(error instanceof NetworkError) || error.code !== "Timeout") throw error;
  console.log(`${error.code} after ${error.bytesDone} bytes, still there: ${text(5)}`);
}
await server.sink.send("567");
console.log("the next call continues:", (await client.stream.recv(8)).text());

// An abort rejects with the signal's reason, at once.
const abort = new AbortController();
const pending = client.stream.recv(1, { signal: abort.signal });
abort.abort(new Error("no longer wanted"));
console.log("aborted:", await pending.catch((error) => error.message));

// A send to a peer that does not read. Its budget ends it, and a part is on its way, so that the
// half ends with it.
try {
  await client.sink.send(new Uint8Array(64 << 20), { timeoutMs: 500 });
} catch (error) {
  if (!(error instanceof NetworkError)) throw error;
  console.log(`${error.code}, a part was sent: ${error.bytesDone > 0}`);
  console.log("the sink is closed:", client.sink.closed);
}

// Connecting, lookup included, has a budget too.
await network.dial("127.0.0.1:1").catch((error) => console.log(`${error.code}: ${error.errno}`));
client.reset();
server.reset();

function text(length: number): string {
  return new TextDecoder().decode(client.stream.peek(length));
}
