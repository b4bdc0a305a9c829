// fastify: routes, JSON with a schema, a stream, driven by curl.
import fastify from "fastify";
import { Readable } from "node:stream";
import { curl } from "./curl.mjs";
import { say } from "./lib.mjs";

const app = fastify();
app.get("/hello/:name", ({ params }) => ({ hello: params.name }));
app.post(
  "/sum",
  { schema: { body: { type: "array", items: { type: "number" } } } },
  ({ body }) => ({
    sum: body.reduce((a, b) => a + b, 0),
  }),
);
app.get("/stream", (_, reply) => reply.send(Readable.from(["a", "b", "c"])));
const base = await app.listen({ port: 0, host: "127.0.0.1" });
say(await curl(`${base}/hello/world`));
say(await curl("-H", "content-type: application/json", "-d", "[1,2,3]", `${base}/sum`));
say(await curl("-H", "content-type: application/json", "-d", '["x"]', `${base}/sum`));
say(await curl(`${base}/stream`));
await app.close();
say("closed");
