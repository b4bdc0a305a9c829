// proxy-chain between curl and two servers: CONNECT and plain requests, directly and through a second
// proxy that wants a login; 2 MiB down and 300 KB up; a server that is gone.
import http from "node:http";
import https from "node:https";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeTunnel, createTunnel, Server } from "proxy-chain";
import { address, curl } from "./curl.mjs";
import { hash, host, say, text } from "./lib.mjs";

const folder = mkdtempSync(join(tmpdir(), "uringnet-proxy-"));
const command =
  "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 30 -subj /CN=localhost";
const made = spawnSync("openssl", command.split(" "), { cwd: folder });
if (made.status !== 0) throw new Error(String(made.stderr));
const [key, cert] = ["key", "cert"].map((name) => readFileSync(join(folder, name)));
const upload = join(folder, "upload");
writeFileSync(upload, text(300_000));

const large = text(2 * 1024 * 1024);
const serve = async (asked, answer) => {
  let count = 0;
  for await (const chunk of asked) count += chunk.length;
  answer.end(asked.url === "/large" ? large : `${asked.url} ${count}`);
};
const servers = [http.createServer(serve), https.createServer({ key, cert }, serve)];
const bases = [await address(servers[0]), await address(servers[1], "https")];

/** A proxy on a port of its own, with what it does with a request. */
async function proxy(answerTo) {
  const made = new Server({ port: 0, host, prepareRequestFunction: answerTo });
  await made.listen();
  return made;
}

const upper = await proxy(({ username, password }) => {
  return { requestAuthentication: username !== "me" || password !== "secret" };
});
const direct = await proxy(() => ({}));
const login = `http://me:secret@${host}:${upper.port}`;
const chained = await proxy(() => ({ upstreamProxyUrl: login }));
const status = ["-o", "/dev/null", "-w", "%{http_code} %{http_connect}"];

for (const { port } of [direct, chained]) {
  const through = ["-k", "-x", `http://${host}:${port}`];
  for (const base of bases) {
    say(await curl(...through, `${base}/small`));
    say(hash(await curl(...through, `${base}/large`)) === hash(large));
    say(await curl(...through, "--data-binary", `@${upload}`, `${base}/up`));
  }
  say(await curl(...through, ...status, `http://${host}:1/`));
}
const stranger = `http://you:secret@${host}:${upper.port}`;
say(await curl("-k", "-x", stranger, ...status, bases[0]));
const tunnel = await createTunnel(login, new URL(bases[0]).host);
say(await curl(`http://${tunnel}/tunnel`), await closeTunnel(tunnel, true));
for (const one of [direct, chained, upper]) await one.close(true);
for (const server of servers) {
  server.close();
  server.closeAllConnections();
}
rmSync(folder, { recursive: true });
say("ended");
