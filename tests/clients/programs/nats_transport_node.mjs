// @nats-io/transport-node: publish, subscribe, request, many messages, a large one, drain.
import { connect } from "@nats-io/transport-node";
import { host, port, say, text } from "./lib.mjs";

const codec = { encode: (text) => text, decode: (data) => new TextDecoder().decode(data) };
const connection = await connect({ servers: `${host}:${port}` });
const echo = connection.subscribe("echo");
(async () => {
  for await (const message of echo) message.respond(message.data);
})();
say(codec.decode((await connection.request("echo", codec.encode("hello"))).data));
const subscription = connection.subscribe("many", { max: 1_000 });
for (let n = 0; n < 1_000; n++) connection.publish("many", codec.encode(`${n}`));
let sum = 0;
for await (const message of subscription) sum += Number(codec.decode(message.data));
say(sum);
const large = text(500_000);
const back = await connection.request("echo", codec.encode(large), { timeout: 5_000 });
say(codec.decode(back.data) === large);
await connection.drain();
say("ended");
