// Remote calls in frames: four bytes of length (big-endian), then JSON. Exact reads make the parser
// two lines; calls may overlap, answers come in order.
//
//   deno run --allow-ffi examples/framed_rpc.ts      bun examples/framed_rpc.ts
import { type Connection, IoBufs, type Listener, Network, NetworkError } from "../mod.ts";

const BODY_BYTES_MAX = 1 << 20;

/** Null at an orderly end, which is one between two frames. */
async function readFrame({ stream }: Connection): Promise<unknown> {
  try {
    const header = (await stream.recv(4)).toUint8Array();
    const length = new DataView(header.buffer).getUint32(0);
    if (length > BODY_BYTES_MAX) throw new RangeError(`Cannot read a frame of ${length} bytes`);
    return JSON.parse((await stream.recv(length)).text());
  } catch (error) {
    const ended = error instanceof NetworkError && error.endOfStream && error.bytesDone === 0;
    if (ended) return null;
    throw error;
  }
}

/** Header and body leave in one operation. */
function writeFrame({ sink }: Connection, value: unknown): Promise<void> {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, body.length);
  return sink.send(new IoBufs(header, body));
}

async function serve(connection: Connection): Promise<void> {
  await using _closed = connection;
  for (let call; (call = await readFrame(connection) as { add: number[] } | null) !== null;) {
    await writeFrame(connection, { sum: call.add.reduce((a, b) => a + b, 0) });
  }
}

async function run(listener: Listener): Promise<void> {
  for await (const connection of listener) serve(connection).catch(console.error);
}

// With a write buffer, the answers to calls that came together leave together.
await using network = await Network.start({ writeBufferSize: 65_536 });
const listener = await network.bind("127.0.0.1:0");
const running = run(listener);

const client = await network.dial(listener.localAddress);
const calls = [[1, 2], [3, 4, 5], []];
await Promise.all(calls.map((add) => writeFrame(client, { add })));
for (const add of calls) {
  const answer = await readFrame(client) as { sum: number };
  console.log(`${add.join(" + ") || "nothing"} = ${answer.sum}`);
}
await client.close();
await listener.close();
await running;
