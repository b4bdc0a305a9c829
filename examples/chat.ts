// A chat: each line of one guest goes to all others. All sends share one buffer. A guest that does
// not read is disconnected.
//
//   deno run --allow-ffi examples/chat.ts      bun examples/chat.ts      then: nc 127.0.0.1 7002
//
// With --once three guests and a slow reader meet, one speaks, and it ends.
import process from "node:process";
import { type Connection, IoBuf, Network, serve } from "../mod.ts";

/** A guest with more than this unread is too slow. */
const UNREAD_BYTES_MAX = 1 << 20;

const guests = new Set<Connection>();

/** `clone` makes another handle on the same memory; `send` takes each handle over. */
function say(message: IoBuf, speaker: Connection): void {
  for (const guest of guests) {
    if (guest === speaker) continue;
    if (guest.sink.bytesQueued > UNREAD_BYTES_MAX) guest.reset();
    else guest.sink.send(message.clone()).catch(() => guests.delete(guest));
  }
  message.release();
}

await using network = await Network.start();
const once = process.argv.includes("--once");
const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7002");
const server = serve(listener, async (guest) => {
  guests.add(guest);
  try {
    await guest.sink.send(`welcome, ${guests.size} here\n`);
    for await (const line of guest.stream.lines()) say(IoBuf.from(`${line}\n`), guest);
  } finally {
    guests.delete(guest);
  }
}, { onError: (error) => once || console.error((error as Error).message) });
if (once) await selfTest();
await server.finished;

async function selfTest(): Promise<void> {
  const visitors: Connection[] = [];
  for (let i = 0; i < 4; i++) {
    const visitor = await network.dial(listener.localAddress);
    (await visitor.stream.recvUntil("\n")).release();
    visitors.push(visitor);
  }
  const [speaker, one, other] = visitors; // The fourth one does not read.
  const hear = () =>
    Promise.all([one, other].map(async ({ stream }) => (await stream.recvUntil("\n")).text()));
  await speaker.sink.send("good morning\n");
  console.log("heard:", (await hear()).map((line) => line.trimEnd()).join(", "));
  const long = `${"x".repeat(60_000)}\n`;
  while (guests.size === 4) {
    await speaker.sink.send(long);
    await hear();
  }
  console.log("the slow reader was shown out, and the others read on:", guests.size === 3);
  await Promise.all(visitors.map((visitor) => visitor.close()));
  void server.close();
}
