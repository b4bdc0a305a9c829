// Remote calls in frames: four bytes of length, then JSON. Calls may overlap.
//
//   deno run --allow-ffi examples/framed_rpc.ts      bun examples/framed_rpc.ts
import { type Codec, framed, lengthPrefixed, Network, serve } from "../mod.ts";

const frames = lengthPrefixed({ maxLength: 1 << 20 });

/** A codec of one's own: JSON in frames. */
function json<In, Out>(): Codec<In, Out> {
  return {
    async decode(stream, options) {
      const frame = await frames.decode(stream, options);
      return frame === null ? null : JSON.parse(frame.text());
    },
    encode: (value) => frames.encode(JSON.stringify(value)),
  };
}

interface Call {
  add: number[];
}
interface Answer {
  sum: number;
}

// With a write buffer, the answers to calls that came together leave together.
await using network = await Network.start({ writeBufferSize: 65_536 });
const listener = await network.bind("127.0.0.1:0");
await using _server = serve(listener, async (connection) => {
  const calls = framed(connection, json<Call, Answer>());
  for await (const { add } of calls) await calls.send({ sum: add.reduce((a, b) => a + b, 0) });
});

await using client = framed(await network.dial(listener.localAddress), json<Answer, Call>());
const calls = [[1, 2], [3, 4, 5], []];
await Promise.all(calls.map((add) => client.send({ add })));
for (const add of calls) {
  const answer = await client.receive();
  console.log(`${add.join(" + ") || "nothing"} = ${answer?.sum}`);
}
