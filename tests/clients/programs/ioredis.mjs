// ioredis: commands, a pipeline of 1,000, a value of 1 MiB, pub/sub, a blocked command.
import Redis from "ioredis";
import { event, hash, host, net, port, say, text } from "./lib.mjs";

/** How ioredis is given a stream: a class of connectors. */
class Connector {
  check() {
    return true;
  }
  disconnect() {
    this.stream?.end();
  }
  connect() {
    this.stream = net.connect(port, host);
    return Promise.resolve(this.stream);
  }
}

const options = { host, port, ...(net === null ? {} : { Connector }) };
const redis = new Redis(options);
await redis.flushall();
say(await redis.set("key", "value"), await redis.get("key"));
const pipeline = redis.pipeline();
for (let n = 0; n < 1_000; n++) pipeline.incr("counter");
const results = await pipeline.exec();
say(results.length, results.at(-1));
const large = text(1024 * 1024);
await redis.set("large", large);
say(hash(await redis.get("large")) === hash(large));
say(await redis.call("nonsense").catch((error) => error.message.slice(0, 19)));
const subscriber = new Redis(options);
await subscriber.subscribe("channel");
const message = event(subscriber, "message");
await redis.publish("channel", "hello");
say(await message);
const blocked = subscriber.duplicate();
const popped = blocked.blpop("list", 5);
await redis.rpush("list", "item");
say(await popped);
await Promise.all([redis.quit(), subscriber.quit(), blocked.quit()]);
say("ended");
