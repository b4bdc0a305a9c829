// gRPC above node:http2, both ends: calls, an error, a stream of answers, one in both directions,
// 500 calls at once, and an end that waits for the calls under way.
import { Buffer } from "node:buffer";
import grpc from "@grpc/grpc-js";
import { event, host, say, text } from "./lib.mjs";

const coded = {
  requestSerialize: (value) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes) => JSON.parse(bytes.toString()),
  responseSerialize: (value) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes) => JSON.parse(bytes.toString()),
};
const method = (name, requestStream, responseStream) => (
  { path: `/test.Echo/${name}`, requestStream, responseStream, ...coded }
);
const service = {
  One: method("One", false, false),
  Many: method("Many", false, true),
  Both: method("Both", true, true),
};
const pad = text(20_000);
const server = new grpc.Server();
server.addService(service, {
  One({ request }, done) {
    if (request.fails) done({ code: grpc.status.NOT_FOUND, details: "nothing there" });
    else done(null, request);
  },
  Many(call) {
    for (let n = 0; n < 50; n++) call.write({ n, pad });
    call.end();
  },
  Both(call) {
    call.on("data", (value) => call.write(value));
    call.on("end", () => call.end());
  },
});
const port = await new Promise((resolve, reject) => {
  const credentials = grpc.ServerCredentials.createInsecure();
  server.bindAsync(
    `${host}:0`,
    credentials,
    (error, bound) => error ? reject(error) : resolve(bound),
  );
});
const Client = grpc.makeGenericClientConstructor(service, "Echo");
const client = new Client(`${host}:${port}`, grpc.credentials.createInsecure());
const one = (request) =>
  new Promise((resolve) => {
    client.One(request, (error, value) => resolve(error ? [error.code, error.details] : value));
  });
say(await one({ hello: "there" }), await one({ fails: true }));
let count = 0;
for await (const part of client.Many({})) count += part.pad === pad ? 1 : 0;
say(count);
const both = client.Both();
const ended = event(both, "end");
let echoed = 0;
both.on("data", () => echoed++);
for (let n = 0; n < 200; n++) both.write({ n });
both.end();
await ended;
say(echoed);
const all = await Promise.all(Array.from({ length: 500 }, (_, n) => one({ n })));
say(all.every((value, n) => value.n === n));
client.close();
await new Promise((resolve) => server.tryShutdown(resolve));
say("ended");
