// A session with either client of NATS: publish, subscribe, request, many messages, a large one,
// drain. `encode` and `decode` are for the payloads, which the clients take and give in two forms.
import { say, text } from "./lib.mjs";

export async function session(connection, { encode, decode }) {
  const echo = connection.subscribe("echo");
  (async () => {
    for await (const message of echo) message.respond(message.data);
  })();
  say(decode((await connection.request("echo", encode("hello"))).data));
  const subscription = connection.subscribe("many", { max: 1_000 });
  for (let n = 0; n < 1_000; n++) connection.publish("many", encode(`${n}`));
  let sum = 0;
  for await (const message of subscription) sum += Number(decode(message.data));
  say(sum);
  const large = text(500_000);
  const back = await connection.request("echo", encode(large), { timeout: 30_000 });
  say(decode(back.data) === large);
  await connection.drain();
  say("ended");
}
