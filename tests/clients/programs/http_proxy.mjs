// http-proxy-middleware in express: bodies up and down, a changed answer, a WebSocket, and a server
// that is gone.
import express from "express";
import { createProxyMiddleware, responseInterceptor } from "http-proxy-middleware";
import http from "node:http";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { address, curl } from "./curl.mjs";
import { hash, say, text } from "./lib.mjs";

const path = fileURLToPath(new URL("../node_modules/ws/wrapper.mjs", import.meta.url));
const { default: WebSocket, WebSocketServer } = await import(path);

const large = text(2 * 1024 * 1024);
const target = http.createServer((asked, answer) => {
  if (asked.method === "POST") asked.pipe(answer);
  else answer.end(asked.url === "/large" ? large : `asked for ${asked.url}`);
});
const sockets = new WebSocketServer({ server: target });
sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
const behind = await address(target);

const change = responseInterceptor((body) => Promise.resolve(`${body}`.toUpperCase()));
const app = express();
app.use(
  "/changed",
  createProxyMiddleware({ target: behind, selfHandleResponse: true, on: { proxyRes: change } }),
);
const passed = createProxyMiddleware({ target: behind, ws: true });
app.use("/", passed);
const server = http.createServer(app);
server.on("upgrade", passed.upgrade);
const base = await address(server);

say(await curl(`${base}/small`), await curl(`${base}/changed/small`));
say(hash(await curl(`${base}/large`)) === hash(large));
const up = await curl("-H", "expect:", "--data-binary", large.slice(0, 100_000), base);
say(up === large.slice(0, 100_000));
const socket = new WebSocket(base.replace("http", "ws"));
await once(socket, "open");
socket.send("hello");
say(String((await once(socket, "message"))[0]));
socket.close();
await once(socket, "close");
target.close();
target.closeAllConnections();
say(await curl("-o", "/dev/null", "-w", "%{http_code}", `${base}/gone`));
server.close();
server.closeAllConnections();
say("ended");
