// node:tls against openssl: s_client as the client of a server that wants a certificate, s_server as
// the server of a client that has one; ALPN in both.
import tls from "node:tls";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../support/free_port.ts";
import { say, text } from "./lib.mjs";

const folder = mkdtempSync(join(tmpdir(), "uringnet-openssl-"));
function openssl(command) {
  const made = spawnSync("openssl", command.split(" "), { cwd: folder });
  if (made.status !== 0) throw new Error(String(made.stderr));
}
openssl(
  "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=authority",
);
// Version 3 and no authority: what rustls, which is under Deno, asks of a certificate.
for (const name of ["localhost", "client"]) {
  const leaf = `-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:${name}`;
  const files = `-newkey rsa:2048 -nodes -keyout ${name}.key -out ${name}.crt -subj /CN=${name}`;
  openssl(`req -x509 -CA ca.crt -CAkey ca.key ${files} ${leaf} -days 30`);
}
const read = (name) => readFileSync(join(folder, name));
const ca = read("ca.crt");
const payload = text(300_000);

// The server is ours.
const server = tls.createServer({
  key: read("localhost.key"),
  cert: read("localhost.crt"),
  ca,
  requestCert: true,
  rejectUnauthorized: true,
  ALPNProtocols: ["second", "first"],
}, (socket) => {
  say("server", socket.authorized, socket.alpnProtocol, socket.getPeerCertificate().subject.CN);
  let count = 0;
  socket.on("error", () => {});
  socket.on("data", (data) => {
    count += data.length;
    if (count === payload.length) socket.end(`received ${count}\n`);
  });
});
server.on("tlsClientError", () => {});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address();

/** Runs s_client until the server has answered, and returns what it printed. */
async function client(...more) {
  const where = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", "ca.crt", "-quiet"];
  const child = spawn("openssl", [...where, ...more], { cwd: folder });
  let output = "";
  child.stdout.on("data", (data) => output += data);
  child.stderr.on("data", () => {});
  child.stdin.on("error", () => {});
  child.stdin.write(payload);
  await once(child, "close");
  return output;
}

const own = ["-cert", "client.crt", "-key", "client.key", "-alpn", "first,third"];
say(await client(...own));
say(await client(...own, "-tls1_2"));
say(await client("-alpn", "first"));
server.close();

// The client is ours.
const other = await freePort();
const files = ["-cert", "localhost.crt", "-key", "localhost.key", "-CAfile", "ca.crt"];
const how = ["-accept", `127.0.0.1:${other}`, "-Verify", "2", "-alpn", "first", "-rev"];
const child = spawn("openssl", ["s_server", ...files, ...how], { cwd: folder, stdio: "ignore" });
const ended = once(child, "exit");
for (;;) {
  const socket = connect(other, "127.0.0.1");
  const accepted = await new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
  socket.destroy();
  if (accepted) break;
  // No event tells when another process listens.
  await new Promise((resolve) => setTimeout(resolve, 25));
}
const options = {
  host: "127.0.0.1",
  port: other,
  servername: "localhost",
  ca,
  key: read("client.key"),
  cert: read("client.crt"),
  ALPNProtocols: ["first"],
};
const socket = tls.connect(options);
await once(socket, "secureConnect");
say("client", socket.authorized, socket.alpnProtocol, socket.getPeerCertificate().subject.CN);
// s_server reverses each line.
socket.write("abcdef\n");
let line = "";
socket.on("data", (data) => line += data);
while (!line.includes("\n")) await once(socket, "data");
say(line);
socket.end();
await once(socket, "close");
child.kill("SIGTERM");
await ended;
rmSync(folder, { recursive: true });
