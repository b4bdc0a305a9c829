// node-redis: it has no way to be given a socket, so it runs with the preload only.
import { createClient } from "redis";
import { hash, host, port, say, text } from "./lib.mjs";

const client = createClient({ socket: { host, port } });
client.on("error", (error) => say("error", error.message));
await client.connect();
await client.flushAll();
say(await client.set("key", "value"), await client.get("key"));
const all = await Promise.all(Array.from({ length: 1_000 }, () => client.incr("counter")));
say(all.length, Math.max(...all));
const large = text(1024 * 1024);
await client.set("large", large);
say(hash(await client.get("large")) === hash(large));
const subscriber = client.duplicate();
await subscriber.connect();
const received = new Promise((resolve) =>
  subscriber.subscribe("channel", resolve).then(() => client.publish("channel", "hello"))
);
say(await received);
await subscriber.close();
await client.close();
say("ended");
