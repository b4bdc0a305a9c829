// amqplib: a queue, acknowledgements, a large message, a confirm channel.
import amqp from "amqplib";
import { host, port, say, text } from "./lib.mjs";

const connection = await amqp.connect({ protocol: "amqp", hostname: host, port });
const channel = await connection.createConfirmChannel();
await channel.prefetch(50);
const { queue } = await channel.assertQueue("", { exclusive: true });
const large = text(500_000);
let count = 0;
let bytes = 0;
const done = new Promise((resolve) =>
  channel.consume(queue, (message) => {
    channel.ack(message);
    bytes += message.content.length;
    if (++count === 501) resolve();
  })
);
for (let n = 0; n < 500; n++) channel.sendToQueue(queue, Buffer.from(`message ${n}`));
channel.sendToQueue(queue, Buffer.from(large));
await channel.waitForConfirms();
await done;
say(count, bytes);
await channel.close();
await connection.close();
say("ended");
