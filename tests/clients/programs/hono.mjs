// hono with its adapter for node:http, driven by curl.
import { Hono } from "hono";
import { serve } from "@hono/node-server";
import { curl } from "./curl.mjs";
import { say } from "./lib.mjs";

const app = new Hono();
app.get("/hello/:name", (context) => context.text(`hello ${context.req.param("name")}`));
app.post("/sum", async (context) => context.json({ sum: (await context.req.json()).length }));
const server = await new Promise((resolve) => {
  const made = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(made));
});
const base = `http://127.0.0.1:${server.address().port}`;
say(await curl(`${base}/hello/world`));
say(await curl("-d", "[1,2,3]", `${base}/sum`));
server.close();
server.closeAllConnections?.();
