// A chat: what one says, all others get. One buffer is shared by all sends.
//
//   deno run --allow-ffi examples/chat.ts      bun examples/chat.ts      then: nc 127.0.0.1 7002
//
// With --once three guests meet, one speaks, and it ends.
import process from "node:process";
import { type Connection, IoBuf, type Listener, Network } from "../mod.ts";

/** A guest with more than this unread is too slow and is shown out. */
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

async function host(guest: Connection): Promise<void> {
  await using _closed = guest;
  guests.add(guest);
  try {
    await guest.sink.send(`welcome, ${guests.size} here\n`);
    for (let data; (data = await guest.stream.recvSome()) !== null;) say(data, guest);
  } finally {
    guests.delete(guest);
  }
}

async function open(listener: Listener): Promise<void> {
  for await (const guest of listener) host(guest).catch((error) => console.error(error.message));
}

await using network = await Network.start();
const once = process.argv.includes("--once");
const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7002");
const closed = open(listener);
if (once) await selfTest();
await closed;

async function selfTest(): Promise<void> {
  const visitors: Connection[] = [];
  for (let i = 0; i < 3; i++) {
    const visitor = await network.dial(listener.localAddress);
    (await visitor.stream.recv("welcome, 1 here\n".length)).release();
    visitors.push(visitor);
  }
  await visitors[0].sink.send("good morning");
  const heard = visitors.slice(1).map(async ({ stream }) => (await stream.recv(12)).text());
  console.log("heard:", (await Promise.all(heard)).join(", "));
  await Promise.all(visitors.map((visitor) => visitor.close()));
  await listener.close();
}
