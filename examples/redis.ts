// A small Redis: GET SET DEL INCR EXPIRE MGET LPUSH LRANGE PUBLISH SUBSCRIBE and some more, enough
// for redis-cli, redis-benchmark and ioredis. The commands are in examples/redis/.
//
//   deno run --allow-ffi examples/redis.ts 127.0.0.1:6380      then: redis-cli -p 6380
//   bun examples/redis.ts 127.0.0.1:6380
//
// With --once it talks to itself and ends.
import process from "node:process";
import { delimited, framed, Network, serve } from "../mod.ts";
import { Database } from "./redis/commands.ts";
import { Session } from "./redis/session.ts";

const [address = "127.0.0.1:6380"] = process.argv.slice(2);
const once = address === "--once";
const network = await Network.start();
const database = new Database();
const listener = await network.bind(once ? "127.0.0.1:0" : address);
const server = serve(
  listener,
  (connection, { signal }) => new Session(connection, database).run(signal),
);
process.once("SIGTERM", () => server.close({ drainTimeoutMs: 1_000 }));

if (once) await selfTest();
await server.finished;
await network.close();

async function selfTest(): Promise<void> {
  await using client = await network.dial(listener.localAddress);
  await using listening = await network.dial(listener.localAddress);
  const lines = framed(client, delimited({ delimiter: "\r\n" }));
  const ask = async (request: string, lineCount = 1) => {
    await lines.send(request);
    const answer: string[] = [];
    while (answer.length < lineCount) {
      answer.push(new TextDecoder().decode((await lines.receive()) ?? new Uint8Array(0)));
    }
    return answer.join(" ");
  };
  console.log(await ask("SET greeting hello"), await ask("GET greeting", 2));
  console.log(await ask("INCR count"), await ask("INCR count"), await ask("INCR greeting"));
  console.log(await ask("LPUSH list a b"), await ask("LRANGE list 0 -1", 5));
  const news = framed(listening, delimited({ delimiter: "\r\n" }));
  await news.send("SUBSCRIBE news");
  for (let i = 0; i < 6; i++) await news.receive();
  console.log(await ask("PUBLISH news extra"));
  const words: string[] = [];
  for (let i = 0; i < 7; i++) words.push(new TextDecoder().decode((await news.receive())!));
  console.log(words.join(" "));
  void server.close({ drainTimeoutMs: 100 });
}
