// nats: a cluster of three; the server that the client is on is killed, and the client goes on with
// another: its subscriptions are there again.
import { connect, StringCodec } from "nats";
import process from "node:process";
import { host, say } from "./lib.mjs";

const codec = StringCodec();
const members = process.argv[2].split(",").map((member) => member.split(":").map(Number));
const connection = await connect({
  servers: members.map(([port]) => `${host}:${port}`),
  reconnectTimeWait: 100,
  maxReconnectAttempts: -1,
});
const subscription = connection.subscribe("echo");
(async () => {
  for await (const message of subscription) message.respond(message.data);
})();
say(codec.decode((await connection.request("echo", codec.encode("before"))).data));
const server = Number(connection.getServer().split(":").at(-1));
const reconnected = (async () => {
  for await (const { type } of connection.status()) if (type === "reconnect") return;
})();
const [, pid] = members.find(([port]) => port === server);
process.kill(pid, "SIGKILL");
await reconnected;
const other = Number(connection.getServer().split(":").at(-1));
say(other !== server && members.some(([port]) => port === other));
say(
  codec.decode((await connection.request("echo", codec.encode("after"), { timeout: 30_000 })).data),
);
await connection.close();
say("ended");
