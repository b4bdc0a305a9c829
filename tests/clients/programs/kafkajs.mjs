// kafkajs, as far as it goes without a broker: a listener of this program answers its first request,
// ApiVersions, and sees that the next one is that for metadata.
import kafkajs from "kafkajs";
import nativeNet from "node:net";
import { once } from "node:events";
import { Buffer } from "node:buffer";
import { host, net, say } from "./lib.mjs";

const { Kafka, logLevel } = kafkajs;
const asked = [];
const server = nativeNet.createServer((socket) => {
  let buffered = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (data) => {
    buffered = Buffer.concat([buffered, data]);
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readInt32BE(0)) {
      const frame = buffered.subarray(4, 4 + buffered.readInt32BE(0));
      buffered = buffered.subarray(4 + frame.length);
      const [key, correlation] = [frame.readInt16BE(0), frame.readInt32BE(4)];
      asked.push(key);
      if (key !== 18) return socket.destroy();
      // ApiVersions 0 to 2, Metadata 0 to 6.
      const apis = [[18, 0, 2], [3, 0, 6]];
      const body = Buffer.alloc(4 + 2 + 4 + apis.length * 6 + 4);
      body.writeInt32BE(correlation, 0);
      body.writeInt32BE(apis.length, 6);
      apis.flat().forEach((value, index) => body.writeInt16BE(value, 10 + index * 2));
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length);
      socket.write(Buffer.concat([size, body]));
    }
  });
});
server.listen(0, host);
await once(server, "listening");
const { port } = server.address();
const options = { clientId: "test", brokers: [`${host}:${port}`], logLevel: logLevel.NOTHING };
options.retry = { retries: 0 };
if (net !== null) {
  options.socketFactory = ({ host, port, onConnect }) => net.connect({ host, port }, onConnect);
}
const admin = new Kafka(options).admin();
await admin.connect();
say("connected", asked);
const error = await admin.listTopics().catch((error) => error);
say(error instanceof Error, asked.slice(0, 2));
await admin.disconnect();
server.close();
