// express: routes, JSON, a static answer, an error, driven by curl.
import express from "express";
import { curl } from "./curl.mjs";
import { say } from "./lib.mjs";

const app = express();
app.use(express.json());
app.get("/hello/:name", (asked, answer) => answer.send(`hello ${asked.params.name}`));
app.post("/sum", (asked, answer) => answer.json({ sum: asked.body.reduce((a, b) => a + b, 0) }));
app.get("/fails", () => {
  throw new Error("on purpose");
});
app.use((_error, _asked, answer, _next) => answer.status(500).send("handled"));
const server = await new Promise((resolve) => {
  const made = app.listen(0, "127.0.0.1", () => resolve(made));
});
const base = `http://127.0.0.1:${server.address().port}`;
say(await curl(`${base}/hello/world`));
say(await curl("-H", "content-type: application/json", "-d", "[1,2,3]", `${base}/sum`));
say(
  await curl(`${base}/fails`),
  await curl("-o", "/dev/null", "-w", "%{http_code}", `${base}/none`),
);
server.close();
server.closeAllConnections();
