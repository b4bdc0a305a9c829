// haproxy in front of node:http, in HTTP mode and in TCP mode: keep-alive, bodies up and down, a
// server that goes away.
import http from "node:http";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { address, curl } from "./curl.mjs";
import { freePort } from "../../support/free_port.ts";
import { say } from "./lib.mjs";

const server = http.createServer(async (asked, answer) => {
  let count = 0;
  for await (const chunk of asked) count += chunk.length;
  answer.end(
    asked.url === "/large" ? "x".repeat(3_000_000) : `${asked.method} ${asked.url} ${count}`,
  );
});
const base = await address(server);

async function untilAccepts(port) {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const accepted = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (accepted) return;
    // No event tells when another process listens.
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const folder = mkdtempSync(join(tmpdir(), "uringnet-haproxy-"));
const [httpPort, tcpPort] = [await freePort(), await freePort()];
const target = base.slice("http://".length);
const config = `
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen web
  mode http
  option http-server-close
  bind 127.0.0.1:${httpPort}
  server one ${target}
listen plain
  mode tcp
  bind 127.0.0.1:${tcpPort}
  server one ${target}
`;
writeFileSync(join(folder, "haproxy.cfg"), config);
const child = spawn("haproxy", ["-db", "-f", join(folder, "haproxy.cfg")], { stdio: "ignore" });
const ended = once(child, "exit");
await untilAccepts(httpPort);
await untilAccepts(tcpPort);
const body = join(folder, "body");
writeFileSync(body, "y".repeat(2_000_000));
for (const port of [httpPort, tcpPort]) {
  const front = `http://127.0.0.1:${port}`;
  say(await curl(`${front}/1`, `${front}/2`, `${front}/3`));
  say((await curl(`${front}/large`)).length);
  say(await curl("-T", body, `${front}/up`));
}
server.close();
server.closeAllConnections();
await once(server, "close");
say(/503/.test(await curl(`http://127.0.0.1:${httpPort}/gone`)));
child.kill("SIGTERM");
await ended;
rmSync(folder, { recursive: true });
