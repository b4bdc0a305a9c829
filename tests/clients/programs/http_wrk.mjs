// node:http under wrk: 50 connections, keep-alive, no answer but 200 and no broken connection.
import http from "node:http";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { address } from "./curl.mjs";
import { say } from "./lib.mjs";

let requests = 0;
const server = http.createServer((_, answer) => {
  requests++;
  answer.end("hello world");
});
const base = await address(server);
const child = spawn("wrk", ["-c", "50", "-t", "1", "-d", "2s", `${base}/`]);
let output = "";
child.stdout.on("data", (chunk) => output += chunk);
const [code] = await once(child, "close");
say(code, /Socket errors/.test(output), /Non-2xx/.test(output), requests > 1_000);
server.close();
server.closeAllConnections();
