// mqtt: subscribe, publish at each quality of service, a large payload, a retained message.
import mqtt from "mqtt";
import { hash, host, net, port, say, text } from "./lib.mjs";

const client = net === null
  ? mqtt.connect({ host, port, protocol: "mqtt" })
  : new mqtt.MqttClient(() => net.connect(port, host), {});
await new Promise((resolve) => client.once("connect", resolve));
await client.subscribeAsync("test/#", { qos: 2 });
const messages = [];
const seen = new Promise((resolve) =>
  client.on("message", (topic, payload) => {
    messages.push([topic, payload.length]);
    if (messages.length === 4) resolve();
  })
);
for (const qos of [0, 1, 2]) await client.publishAsync(`test/${qos}`, `message ${qos}`, { qos });
const large = text(200_000);
await client.publishAsync("test/large", large, { qos: 1 });
await seen;
say(messages.sort(), hash(large));
await client.endAsync();
say("ended");
