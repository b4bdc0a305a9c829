/**
 * Programs that know nothing of the library, run with the preload in this runtime: every way to get
 * at `node:net`, and the servers and clients above it, with the library's own numbers as the proof
 * that the bytes went over the ring.
 *
 *   <folder>/report.ts          a second preload: prints the numbers when the program ends
 *   <folder>/node_modules/...   packages, CommonJS and ESM
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { assert, suite } from "../harness.ts";
import { ROOT } from "../package/program.ts";
import { type Ran, run, tool } from "../package/tools.ts";

interface Context {
  folder: string;
}

const inDeno = "Deno" in globalThis;
const REGISTER = join(ROOT, "src", "adapters", "register.ts");

const REPORT = `import { registeredNetwork } from ${JSON.stringify(pathToFileURL(REGISTER).href)};
globalThis[Symbol.for("test.ring")] = () => registeredNetwork().stats();
process.on("exit", () => {
  const { inboundConnections, outboundConnections, inboundBytes } = registeredNetwork().stats();
  console.log("ring", inboundConnections, outboundConnections, inboundBytes);
});
`;

/** Sends "ping" to an echo server of its own; \`net\` is the module under test. */
const PING = `
function ping(net, createServer = net.createServer, connect = net.connect) {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.pipe(socket));
    server.listen(0, "127.0.0.1", () => {
      const client = connect(server.address().port, "127.0.0.1");
      client.on("error", reject);
      client.on("data", (data) => {
        client.destroy();
        server.close(() => resolve(String(data) + " " + (client instanceof net.Socket)));
      });
      client.write("ping");
    });
  });
}
`;

/** Files below the folder. Each package exports its ping as \`run\`. */
const FILES: Readonly<Record<string, string>> = {
  "package.json": `{ "name": "app", "type": "module", "dependencies": {
    "with-commonjs": "1.0.0", "with-esm": "1.0.0", "required-esm": "1.0.0" } }`,
  "report.ts": REPORT,
  "node_modules/with-commonjs/package.json":
    `{ "name": "with-commonjs", "version": "1.0.0", "main": "./index.js" }`,
  "node_modules/with-commonjs/index.js": `${PING}
const net = require("net");
const { connect, createServer } = require("node:net");
exports.run = () => ping(net, createServer, connect);
exports.same = net === require("node:net");
`,
  "node_modules/with-esm/package.json":
    `{ "name": "with-esm", "version": "1.0.0", "type": "module", "exports": "./index.js" }`,
  "node_modules/with-esm/index.js": `${PING}
import net, { connect, createServer, Socket } from "net";
import * as all from "node:net";
export const run = () => ping(net, createServer, connect);
export const same = Socket === net.Socket && all.connect === connect && all.default === net;
`,
  "node_modules/required-esm/package.json":
    `{ "name": "required-esm", "version": "1.0.0", "type": "module",
      "exports": { ".": "./index.js", "./package.json": "./package.json" } }`,
  "node_modules/required-esm/index.js": `export { one } from "./one.js";
`,
  "node_modules/required-esm/one.js": `import { createRequire } from "node:module";
export const one = createRequire(import.meta.url)("required-esm/package.json").version;
`,
  "required_esm.cjs": `
console.log(require("required-esm").one);
import("./dynamic.mjs");
`,
  "no_delay.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const socket = net.connect(1, "127.0.0.1").on("error", () => {});
const handles = Object.getPrototypeOf(socket._handle);
const { setNoDelay } = handles;
let without = new Set();
handles.setNoDelay = function (on) {
  if (on) without.add(this);
  return setNoDelay.call(this, on);
};
for (const [protocol, server] of [
  ["http", http2.createServer()],
  ["https", http2.createSecureServer({ key, cert })],
]) {
  without = new Set();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "session");
  const session = http2.connect(protocol + "://localhost:" + server.address().port, { ca: cert });
  await Promise.all([accepted, once(session, "connect")]);
  console.log(protocol + ": " + without.size);
  session.close();
  server.close();
}
`,
  "waiting.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import tls from "node:tls";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
// The servers' ends do not keep the process alive either.
const silent = (server) => server.on("connection", (socket) => socket.unref()).unref();
const host = "127.0.0.1";
const secure = silent(tls.createServer({ key, cert }, (socket) => socket.write("x")));
await once(secure.listen(0, host), "listening");
const client = tls.connect({ port: secure.address().port, host, ca: cert });
const [data] = await once(client, "data");
console.log("tls: " + data);
client.unref();
const served = silent(https.createServer({ key, cert }, (_, response) => response.end("y")));
served.keepAliveTimeout = 0;
await once(served.listen(0, host), "listening");
const agent = new https.Agent({ keepAlive: true });
const where = { port: served.address().port, host, ca: cert, agent };
for (const use of ["first", "second"]) {
  const [answer] = await once(https.get(where), "response");
  answer.setEncoding("utf8");
  for await (const text of answer) console.log(use + " answer: " + text);
  await new Promise((resolve) => setTimeout(resolve, 10));
}
setTimeout(() => {
  console.log("a connection keeps the process alive");
  process.exit();
}, 2_000).unref();
`,
  "refused.mjs": `import http from "node:http";
import https from "node:https";
const { setInterval: set, clearInterval: clear } = globalThis;
const timers = new Set();
globalThis.setInterval = (...args) => {
  const timer = set(...args);
  timers.add(timer);
  return timer;
};
globalThis.clearInterval = (timer) => {
  timers.delete(timer);
  clear(timer);
};
for (const server of [http.createServer(), https.createServer()]) {
  try {
    server.listen(65_536);
  } catch ({ code }) {
    console.log(code + " " + timers.size);
  }
}
`,
  "shapes.mjs": `import process from "node:process";
for (const name of ["net", "http", "https", "tls", "http2"]) {
  const module = process.getBuiltinModule(name);
  for (const key of ["Server", "Socket", "connect", "createServer", "createSecureServer"]) {
    if (typeof module[key] !== "function") continue;
    console.log(name + "." + key + " " + module[key].length + " " + module[key].name);
  }
}
`,
  "left.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
for (const leave of ["resetAndDestroy", "end"]) {
  const server = https.createServer({ key, cert });
  const told = [];
  for (const name of ["clientError", "tlsClientError"]) {
    server.on(name, ({ message }) => told.push(name + " " + message));
  }
  await once(server.listen(0, "127.0.0.1"), "listening");
  const accepted = once(server, "connection");
  const client = net.connect(server.address().port, "127.0.0.1").on("error", () => {});
  client.write(Uint8Array.of(22, 3));
  const [socket] = await accepted;
  client[leave]();
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => server.close(resolve));
  console.log(told.join(", "));
}
`,
  "reset.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const server = tls.createServer({ key, cert });
await once(server.listen(0, "127.0.0.1"), "listening");
for (const side of ["server", "client"]) {
  const secured = once(server, "secureConnection");
  const accepted = once(server, "connection");
  const socket = net.connect(server.address().port, "127.0.0.1");
  const client = tls.connect({ socket, ca: cert, servername: "localhost" });
  const [[below], [peer]] = await Promise.all([accepted, secured, once(client, "secureConnect")]);
  const told = side === "server" ? peer : client;
  const lines = [];
  told.on("end", () => lines.push("end")).on("error", ({ code }) => lines.push("error " + code));
  told.resume();
  // An error of the socket below would have no listener.
  (side === "server" ? below : socket).removeAllListeners("error");
  const closed = new Promise((resolve) => told.once("close", resolve));
  (side === "server" ? socket : below).resetAndDestroy();
  lines.push("close " + await closed);
  console.log(side + ": " + lines.join(", "));
}
server.close();
`,
  "once.mjs": `import { readFileSync } from "node:fs";
import tls from "node:tls";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const server = tls.createServer({ key, cert }, (socket) => {
  let count = 0;
  socket.on("readable", () => count += (socket.read() ?? "").length);
  socket.on("end", () => {
    console.log(count + " bytes");
    socket.end();
    server.close();
  });
});
server.listen(0, "127.0.0.1", () => {
  const client = tls.connect({ port: server.address().port, host: "127.0.0.1", ca: cert });
  client.resume();
  for (let i = 0; i < 20; i++) client.write(Buffer.alloc(1_000_000));
  client.end();
});
`,
  "upgraded.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const ASKED = "STARTTLS";
function upgrade(socket) {
  const secured = new tls.TLSSocket(socket, { isServer: true, key, cert });
  secured.on("error", ({ code }) => console.log(code));
  secured.on("data", (chunk) => secured.write("echo of " + chunk));
}
const ways = {
  unshift(socket) {
    socket.once("data", (chunk) => {
      socket.pause();
      socket.unshift(chunk.subarray(ASKED.length));
      upgrade(socket);
    });
  },
  texts(socket) {
    socket.setEncoding("latin1");
    socket.once("readable", () => {
      socket.read(ASKED.length);
      upgrade(socket);
    });
  },
  onread() {},
};
const onread = { buffer: Buffer.alloc(ASKED.length), callback: () => upgrade(connected) };
let connected;
for (const way of Object.keys(ways)) {
  const server = net.createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const options = { port: server.address().port, host: "127.0.0.1" };
  connected = net.connect(way === "onread" ? { ...options, onread } : options);
  const [[accepted]] = await Promise.all([once(server, "connection"), once(connected, "connect")]);
  const [asked, socket] = way === "onread" ? [connected, accepted] : [accepted, connected];
  ways[way](asked);
  // The question and the first bytes of TLS leave as one write.
  socket.cork();
  socket.write(ASKED);
  const client = tls.connect({ socket, ca: cert, servername: "localhost" });
  while (socket.writableLength === ASKED.length) await new Promise(setImmediate);
  socket.uncork();
  client.write(way);
  console.log(String(await new Promise((resolve) => {
    client.once("data", resolve);
    client.once("close", () => resolve("closed"));
    setTimeout(resolve, 60_000, "stands still").unref();
  })));
  client.destroy();
  asked.destroy();
  server.close();
}
`,
  "goaway.mjs": `import { Buffer } from "node:buffer";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
const server = http2.createServer();
server.on("session", (session) => session.on("error", () => {}));
server.on("stream", (stream) => {
  stream.on("error", () => {});
  stream.respond();
  stream.end("x");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
function frame(type, flags, stream, content) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, content]);
}
const [none, eight] = [Buffer.alloc(0), Buffer.alloc(8)];
const goaway = [Buffer.from("PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"), frame(4, 0, 0, none)];
goaway.push(frame(7, 0, 0, eight));
const get = Buffer.from([0x82, 0x84, 0x86, 0x41, 1, 97]);
for (let i = 0; i < 10; i++) goaway.push(frame(1, 5, 2 * i + 1, get), frame(6, 0, 0, eight));
for (let i = 0; i < 200; i++) {
  const client = net.connect(server.address().port, "127.0.0.1");
  client.on("error", () => {});
  client.resume();
  client.end(Buffer.concat(goaway));
  await once(client, "close");
}
server.close(() => console.log("closed"));
`,
  "native_below.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const server = tls.createServer({ key, cert }, (socket) => socket.pipe(socket));
await once(server.listen(0, "127.0.0.1"), "listening");
const Socket = Object.getPrototypeOf(tls.TLSSocket.prototype).constructor;
const socket = new Socket().connect(server.address().port, "127.0.0.1");
await once(socket, "connect");
const client = tls.connect({ socket, ca: cert, servername: "localhost" });
client.write("x");
console.log(Socket !== net.Socket, String((await once(client, "data"))[0]));
client.destroy();
server.close();
`,
  "channels.mjs": `import diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import http from "node:http";
const server = http.createServer((_, answer) => answer.end());
for (const event of ["asyncStart", "asyncEnd"]) {
  diagnostics.subscribe("tracing:net.server.listen:" + event, (told) => {
    console.log(event + " " + (told.server === server) + " " + server.listening);
  });
}
diagnostics.subscribe("net.server.socket", ({ socket }) => console.log(socket.server === server));
await once(server.listen(0, "127.0.0.1"), "listening");
const { port } = server.address();
const [answer] = await once(http.get({ port, host: "127.0.0.1", agent: false }), "response");
await once(answer.resume(), "end");
server.close();
`,
  "inherits.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { inherits } from "node:util";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
for (const module of [http, https]) {
  function Mine(options) {
    module.Server.call(this, options);
    this.on("request", (_, answer) => answer.end());
  }
  inherits(Mine, module.Server);
  const server = new Mine({ key, cert });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  const where = { port, host: "127.0.0.1", ca: cert, agent: false };
  const [answer] = await once(module.get(where), "response");
  console.log(answer.statusCode);
  await once(answer.resume(), "end");
  server.close();
}
`,
  "whole.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
const server = https.createServer({ key, cert }, (_, answer) => {
  answer.setHeader("connection", "close");
  answer.end(Buffer.alloc(2_000_000));
});
await once(server.listen(0, "127.0.0.1"), "listening");
const { port } = server.address();
for (const waitMs of [0, 50]) {
  const where = { port, host: "127.0.0.1", ca: cert, agent: false };
  const [answer] = await once(https.get(where), "response");
  let count = 0;
  answer.on("data", ({ length }) => void (count += length)).pause();
  // The server is done meanwhile, and the connection ends behind bytes that nobody has read.
  setTimeout(() => answer.resume(), waitMs);
  const [end] = await Promise.race(["end", "error"].map((name) => 
    new Promise((resolve) => answer.once(name, (error) => resolve([error?.code ?? "whole"])))));
  console.log(end + " " + count);
}
server.close();
`,
  "looked_up.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import tls from "node:tls";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
for (const server of [
  http.createServer(),
  https.createServer({ key, cert }),
  tls.createServer({ key, cert }),
  http2.createServer(),
]) {
  const told = [];
  const tell = () => told.push(server.listening + " " + typeof (server.address() ?? "none").port);
  server.listen(0, "localhost");
  tell();
  await once(server, "listening");
  tell();
  server.close();
  await once(server, "close");
  server.on("listening", () => told.push("listens after close"));
  server.listen(0, "localhost");
  server.close((error) => told.push(error?.code ?? "closed"));
  await once(server, "close");
  // A lookup of the same name that begins later ends later.
  await once(http.createServer().listen(0, "localhost").unref(), "listening");
  tell();
  console.log(told.join(", "));
}
process.exit();
`,
  "plain.mjs": `import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
const [key, cert] = process.argv.slice(2).map((file) => readFileSync(file));
for (const heard of [[], ["clientError"], ["tlsClientError"], ["tlsClientError", "clientError"]]) {
  const server = https.createServer({ key, cert });
  const told = [];
  for (const name of heard) {
    server.on(name, (error, socket) => {
      told.push(name + " " + (error instanceof Error));
      if (name === "clientError") socket.destroy();
    });
  }
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = net.connect(server.address().port, "127.0.0.1").on("error", () => {}).resume();
  client.write("GET / HTTP/1.1\\r\\n\\r\\n");
  await new Promise((resolve) => client.once("close", resolve));
  await new Promise((resolve) => server.close(resolve));
  console.log(told.join(", ") || "closed");
}
`,
  "sent.mjs": `import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
function refused(send) {
  try {
    send();
    return "sent";
  } catch ({ name, code }) {
    return name + " " + code;
  }
}
if (process.env.SENT_CHILD) {
  process.on("message", (message) => {
    process.send(message);
    process.disconnect();
  });
} else {
  const env = { ...process.env, SENT_CHILD: "1" };
  // The child's own report would stand among the lines of this process.
  const stdio = ["ignore", "ignore", "inherit", "ipc"];
  const child = fork(fileURLToPath(import.meta.url), [], { env, stdio });
  const server = net.createServer((socket) => {
    console.log(refused(() => child.send("socket", socket)));
    socket.destroy();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  console.log(refused(() => child.send("server", server)));
  console.log(refused(() => child.send("server", server, {}, () => {})));
  await once(net.connect(server.address().port, "127.0.0.1").resume(), "close");
  child.send("plain");
  console.log("the child got " + (await once(child, "message"))[0]);
}
`,
  // The parent is the runtime's alone, the child has the library.
  "received.mjs": `import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
if (process.env.RECEIVED_CHILD) {
  await import(process.env.RECEIVED_REGISTER);
  process.on("message", (kind, handle) => {
    if (kind === "socket") return handle.end("from the child");
    handle.on("connection", (socket) => socket.end("from the child"));
    process.send("serving");
  });
  process.send("ready");
} else {
  const { default: net } = await import("node:net");
  const program = fileURLToPath(import.meta.url);
  const child = fork(program, [], { env: { ...process.env, RECEIVED_CHILD: "1" } });
  child.once("exit", (code, signal) => signal === "SIGTERM" || process.exit(1));
  await once(child, "message");
  for (const kind of ["server", "socket"]) {
    const server = net.createServer({ pauseOnConnect: true }, (socket) => child.send(kind, socket));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address();
    if (kind === "server") {
      child.send(kind, server);
      await once(child, "message");
      server.close();
    }
    let text = "";
    for await (const chunk of net.connect(port, "127.0.0.1")) text += chunk;
    console.log(kind + ": " + text);
    if (kind === "socket") server.close();
  }
  process.kill(child.pid, "SIGTERM");
  await once(child, "exit");
}
`,
  "esm.mjs": `${PING}
import net, { connect as dial, createServer as make } from "node:net";
import { run as fromEsm, same } from "with-esm";
import commonjs from "with-commonjs";
console.log(await ping(net), await ping(net, make, dial));
console.log(await fromEsm(), await commonjs.run(), same, commonjs.same);
`,
  "commonjs.cjs": `${PING}
const net = require("node:net");
console.log(net === require("net"));
ping(net)
  .then((text) => console.log(text))
  .then(() => require("with-commonjs").run())
  .then((text) => console.log(text));
`,
  "dynamic.mjs": `${PING}
import { createRequire } from "node:module";
import process from "node:process";
const dynamic = await import("node:net");
const required = createRequire(import.meta.url)("net");
const builtin = process.getBuiltinModule("node:net");
console.log(await ping(dynamic), await ping(required), await ping(builtin));
console.log(dynamic.default === required, required === builtin);
`,
  "bundled.mjs": `await import(${JSON.stringify(REGISTER)});
const { isMainThread, parentPort, Worker } = await import("node:worker_threads");
console.log(isMainThread ? "main" : "main again");
if (isMainThread) {
  new Worker("postMessage('done')", { eval: true }).on("message", (text) => {
    console.log(text);
    process.exit(0);
  });
}
`,
  "worker.mjs": `${PING}
import net, { connect, createServer } from "node:net";
import { isMainThread, parentPort, Worker as NodeWorker } from "node:worker_threads";
const result = await ping(net, createServer, connect);
if (!isMainThread) parentPort.postMessage(result);
else {
  console.log(result);
  const first = new NodeWorker(new URL(import.meta.url));
  console.log(await new Promise((resolve) => first.once("message", resolve)));
  await first.terminate();
  const second = new Worker(import.meta.url);
  console.log(await new Promise((resolve) => (second.onmessage = ({ data }) => resolve(data))));
  second.terminate();
}
`,
  "a (spaced) name.cjs": `
require("net").createServer().listen(0, "127.0.0.1", function () { this.close(); });
`,
  "changed.cjs": `
const net = require("net");
const connect = net.connect;
let calls = 0;
net.connect = (...args) => (calls++, connect(...args));
const server = net.createServer((socket) => socket.end("x")).listen(0, "127.0.0.1", () => {
  require("net").connect(server.address().port, "127.0.0.1").resume().on("close", () => {
    server.close();
    console.log("calls", calls);
  });
});
`,
};

const test = suite<Context>("register", {} as Context, { timeoutMs: 240_000 });

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), "uringnet-register-"));
  for (const [name, text] of Object.entries(FILES)) {
    const path = join(context.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  command.push("-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "30");
  command.push("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1");
  const made = spawnSync("openssl", command, { cwd: context.folder, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
});

test.after(({ folder }) => {
  rmSync(folder, { recursive: true, force: true });
});

interface Options {
  args?: string[];
  preload?: boolean;
  env?: Record<string, string>;
  flags?: string[];
}

/** Runs a file of the folder in this runtime. */
async function program(context: Context, file: string, options: Options = {}): Promise<Ran> {
  const { args = [], preload = true, env = {}, flags = ["-A"] } = options;
  const preloads = preload ? ["--preload", REGISTER, "--preload", "./report.ts"] : [];
  const start = inDeno
    ? [tool("deno"), "run", "--no-check", "--no-lock", "--quiet", ...flags]
    : [tool("bun")];
  return await run([...start, ...preloads, file, ...args], { cwd: context.folder, env });
}

/** Connections and bytes that the ring carried, from the report. */
function carried(ran: Ran): { inbound: number; outbound: number; bytes: number } {
  const found = /^ring (\d+) (\d+) (\d+)$/m.exec(ran.output);
  assert.ok(found, `a report\n${ran.output}${ran.errors}`);
  const [inbound, outbound, bytes] = found!.slice(1).map(Number);
  return { inbound, outbound, bytes };
}

function printed(ran: Ran): string {
  return ran.output.replace(/^ring .*\n/m, "");
}

test("an ESM program gets it by default and by name, and so do its packages", async (context) => {
  const ran = await program(context, "esm.mjs");
  assert.is(
    printed(ran),
    "ping true ping true\nping true ping true true true\n",
    ran.errors,
  );
  assert.is(ran.code, 0);
  assert.equal(carried(ran), { inbound: 4, outbound: 4, bytes: 32 });
});

test("a program gets it on the portable backend, which goes past it", async (context) => {
  const ran = await program(context, "esm.mjs", { env: { URINGNET_BACKEND: "portable" } });
  assert.is(printed(ran), "ping true ping true\nping true ping true true true\n", ran.errors);
  assert.is(ran.code, 0);
  assert.equal(carried(ran), { inbound: 4, outbound: 4, bytes: 32 });
});

test("a CommonJS program gets it, and so do its packages", async (context) => {
  const ran = await program(context, "commonjs.cjs");
  assert.is(printed(ran), "true\nping true\nping true\n", ran.errors);
  assert.is(ran.code, 0);
  assert.equal(carried(ran), { inbound: 2, outbound: 2, bytes: 16 });
});

test("a CommonJS program may require an ES module that imports others", async (context) => {
  const ran = await program(context, "required_esm.cjs");
  assert.is(printed(ran), "1.0.0\nping true ping true ping true\ntrue true\n", ran.errors);
  assert.equal(carried(ran), { inbound: 3, outbound: 3, bytes: 24 });
});

test("import(), createRequire() and process.getBuiltinModule() lead to it", async (context) => {
  const ran = await program(context, "dynamic.mjs");
  assert.is(printed(ran), "ping true ping true ping true\ntrue true\n", ran.errors);
  assert.equal(carried(ran), { inbound: 3, outbound: 3, bytes: 24 });
});

test("a program may replace functions of the module, as of Node's", async (context) => {
  const ran = await program(context, "changed.cjs");
  assert.is(printed(ran), "calls 1\n", ran.errors);
  assert.equal(carried(ran), { inbound: 1, outbound: 1, bytes: 1 });
});

const noBundler = inDeno ? "Bun's bundler" : null;
test.skipIf(noBundler, "a program bundled with the preload runs once", async (context) => {
  const { folder: cwd } = context;
  const build = [tool("bun"), "build", "--target=bun", "bundled.mjs", "--outfile", "once.js"];
  assert.is((await run(build, { cwd })).code, 0);
  const { output, errors } = await run([tool("bun"), "once.js"], { cwd });
  assert.is(output, "main\ndone\n", errors);
});

const noPreload = inDeno ? "Deno runs no preload in workers" : null;
test.skipIf(noPreload, "a worker gets it as well, and its own network", async (context) => {
  const ran = await program(context, "worker.mjs");
  assert.is(printed(ran), "ping true\nping true\nping true\n", ran.errors);
  // Each thread counts for itself: this is the report of the main one.
  assert.equal(carried(ran), { inbound: 1, outbound: 1, bytes: 8 });
});

const BACKENDS = ["io_uring", "portable"] as const;

for (const backend of BACKENDS) {
  test(`node:cluster shares ports as without it, beside ${backend}`, async (context) => {
    const file = join(ROOT, "tests", "adapters", "programs", "cluster.mjs");
    const ran = await program(context, file, { env: { URINGNET_BACKEND: backend } });
    const answers = Array(8).fill("worker").join(" ");
    const expected = ["net", "http"].map((kind) => `${kind} true\n${answers}\nprimary\n`).join("");
    assert.is(printed(ran), expected, ran.errors);
    assert.is(ran.code, 0);
    // The primary dials, and serves by itself; its workers are the runtime's.
    const { inbound, outbound } = carried(ran);
    assert.ok(inbound >= 2 && outbound >= 18, `${inbound} inbound, ${outbound} outbound`);
  });
}

test("sockets of HTTP/2 send without delay, at both ends", async (context) => {
  const ran = await program(context, "no_delay.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "http: 2\nhttps: 2\n", ran.errors);
  assert.is(ran.code, 0);
});

test("a client of TLS with unref(), or in an agent, lets the process end", async (context) => {
  const ran = await program(context, "waiting.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "tls: x\nfirst answer: y\nsecond answer: y\n", ran.errors);
  assert.is(ran.code, 0);
  // The agent has used its connection twice.
  assert.is(carried(ran).outbound, 2);
});

test("a server of TLS that reads once for each 'readable' gets all bytes", async (context) => {
  const ran = await program(context, "once.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "20000000 bytes\n", ran.errors);
  assert.is(ran.code, 0);
});

test("a port that listen refuses leaves no timer at a server of HTTP", async (context) => {
  const ran = await program(context, "refused.mjs");
  assert.is(printed(ran), "ERR_SOCKET_BAD_PORT 0\n".repeat(2), ran.errors);
  assert.is(ran.code, 0);
});

test("a failed handshake of https is a clientError, as in Node, and ends", async (context) => {
  const ran = await program(context, "plain.mjs", { args: ["key.pem", "cert.pem"] });
  const [clear, secure] = ["clientError true", "tlsClientError true"];
  const expected = ["closed", clear, secure, `${clear}, ${secure}`];
  assert.is(printed(ran), `${expected.join("\n")}\n`, ran.errors);
  assert.is(ran.code, 0);
});

test("a client that leaves in the middle of its handshake is told of by https", async (context) => {
  const ran = await program(context, "left.mjs", { args: ["key.pem", "cert.pem"] });
  const [reset, ended] = ["read ECONNRESET", "socket hang up"].map((message) =>
    `clientError ${message}, tlsClientError ${message}\n`
  );
  assert.is(printed(ran), reset + ended, ran.errors);
  assert.is(ran.code, 0);
});

test("a reset below a TLS socket is its error, named by close, and no end", async (context) => {
  const ran = await program(context, "reset.mjs", { args: ["key.pem", "cert.pem"] });
  const told = ["server", "client"].map((side) => `${side}: error ECONNRESET, close true\n`);
  assert.is(printed(ran), told.join(""), ran.errors);
  assert.is(ran.code, 0);
});

test("bytes that wait in a connection when it is upgraded reach TLS first", async (context) => {
  const ran = await program(context, "upgraded.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "echo of unshift\necho of texts\necho of onread\n", ran.errors);
  assert.is(ran.code, 0);
});

test("frames behind a GOAWAY, in one chunk with it, do no harm to a server", async (context) => {
  const ran = await program(context, "goaway.mjs");
  assert.is(printed(ran), "closed\n", ran.errors);
  assert.is(ran.code, 0);
});

test("TLS over a socket that the runtime has opened stays as it is", async (context) => {
  const ran = await program(context, "native_below.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "true x\n", ran.errors);
  assert.is(ran.code, 0);
});

test("channels of diagnostics_channel name the server of the program", async (context) => {
  const ran = await program(context, "channels.mjs");
  assert.is(printed(ran), "asyncStart true false\nasyncEnd true true\ntrue\n", ran.errors);
  assert.is(ran.code, 0);
});

test("servers are inherited from without class syntax", async (context) => {
  const ran = await program(context, "inherits.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "200\n200\n", ran.errors);
  assert.is(ran.code, 0);
});

test("an answer of https that ends its connection arrives whole", async (context) => {
  const ran = await program(context, "whole.mjs", { args: ["key.pem", "cert.pem"] });
  assert.is(printed(ran), "whole 2000000\n".repeat(2), ran.errors);
  assert.is(ran.code, 0);
});

test("functions keep their names and the number of their parameters", async (context) => {
  const [natively, onRing] = await Promise.all(
    [false, true].map((preload) => program(context, "shapes.mjs", { preload })),
  );
  // Bun's own `connect` has the name of its other name.
  const expected = natively.output.replace("connect 0 createConnection", "connect 0 connect");
  assert.ok(expected.includes("net.Server 2 Server"), expected);
  assert.is(printed(onRing), expected, onRing.errors);
});

test("a server listens once its host is looked up, unless it was closed", async (context) => {
  const ran = await program(context, "looked_up.mjs", { args: ["key.pem", "cert.pem"] });
  const expected = [
    "false undefined",
    "true number",
    "ERR_SERVER_NOT_RUNNING",
    "false undefined",
  ];
  assert.is(printed(ran), `${expected.join(", ")}\n`.repeat(4), ran.errors);
  assert.is(ran.code, 0);
});

test("a handle for another process is refused, as it cannot be sent", async (context) => {
  const ran = await program(context, "sent.mjs");
  const refused = "TypeError ERR_INVALID_HANDLE_TYPE\n";
  assert.is(printed(ran), refused.repeat(3) + "the child got plain\n", ran.errors);
  assert.is(ran.code, 0);
});

test("handles that another process sends are served", async (context) => {
  const env = { RECEIVED_REGISTER: pathToFileURL(REGISTER).href };
  const ran = await program(context, "received.mjs", { env, preload: false });
  assert.is(ran.output, "server: from the child\nsocket: from the child\n", ran.errors);
  assert.is(ran.code, 0);
});

test("a program that uses no network ends, and opens none", async (context) => {
  writeFileSync(join(context.folder, "idle.mjs"), `import "node:net";\nconsole.log("idle");\n`);
  const preload = ["--preload", REGISTER];
  const start = inDeno ? [tool("deno"), "run", "--no-lock", "--no-check", ...preload] : [
    tool("bun"),
    ...preload,
  ];
  // Without any permission in Deno: opening the network would need --allow-ffi.
  const ran = await run([...start, ...(inDeno ? ["--no-prompt"] : []), "idle.mjs"], {
    cwd: context.folder,
  });
  assert.is(ran.output, "idle\n", ran.errors);
  assert.is(ran.code, 0);
});

const noPermissions = inDeno ? null : "Bun has no permissions";
test.skipIf(noPermissions, "a program needs --allow-ffi and no --allow-net", async (context) => {
  const ran = await program(context, "esm.mjs", {
    flags: ["--no-prompt", "--allow-ffi", "--allow-read"],
  });
  assert.equal(carried(ran), { inbound: 4, outbound: 4, bytes: 32 });
});

test("URINGNET_REGISTER_LOG=1 names each module that got it, once", async (context) => {
  const logged = await program(context, "esm.mjs", { env: { URINGNET_REGISTER_LOG: "1" } });
  const lines = logged.errors.split("\n").filter((line) => line.startsWith("uringnet: "));
  for (const module of ["esm.mjs", "with-esm/index.js", "with-commonjs/index.js"]) {
    assert.ok(lines.some((line) => line.includes(module)), `${module} in\n${lines.join("\n")}`);
  }
  assert.is(new Set(lines).size, lines.length, "each line once");
  const spaced = await program(context, "a (spaced) name.cjs", {
    env: { URINGNET_REGISTER_LOG: "1" },
  });
  assert.match(spaced.errors, "/a (spaced) name.cjs is on the ring");
  const silent = await program(context, "esm.mjs");
  assert.not.match(silent.errors, /uringnet/);
});

/** The differences of a runtime's own servers, and the reasons why they stay. */
const DIFFERENT: Readonly<Record<string, RegExp>> = inDeno
  ? {
    // Its own looks even an IP address up first, in a later turn.
    "http: address and listening are there right after listen": /"number","IPv4",false/,
    // Its own may lose the answer.
    "https: what is no request gets 400 in TLS": /400 Bad Request/,
  }
  : {
    // Its own message is not Node's.
    "http: an address in use": /listen EADDRINUSE: address already in use 127\.0\.0\.1:PORT/,
    // Its TLS over a given socket ends both directions at once.
    "tls: a client with allowHalfOpen writes after the server has ended": /"hello","EBADF"/,
    // Its own leaves the connection open.
    "http: closeIdleConnections ends what waits": /"closed"/,
  };

/** Steps that only fail to connect, or do not try: nothing is carried. */
const SILENT = new RegExp(
  "refused|an address in use|listen twice|with options and a signal|right after listen|" +
    "leaves no connection|cannot be read|instance of|counts for nothing",
);

interface Step {
  name: string;
  result: unknown;
  carried: number[] | null;
}

/** Runs all steps natively and over a backend, and compares them. */
async function compareServers(
  context: Context,
  backend: "io_uring" | "portable",
  different: Readonly<Record<string, RegExp>>,
): Promise<void> {
  const file = join(ROOT, "tests", "adapters", "programs", "servers.mjs");
  const args = ["key.pem", "cert.pem"];
  const env = { URINGNET_BACKEND: backend };
  const [natively, onRing] = await Promise.all(
    [false, true].map((preload) => program(context, file, { args, preload, env })),
  );
  const steps = (ran: Ran): Step[] =>
    printed(ran).trim().split("\n").map((line) => JSON.parse(line));
  const expected = steps(natively);
  const actual = steps(onRing);
  assert.is(actual.length, expected.length, onRing.errors);
  assert.ok(actual.length >= 54, `${actual.length} steps`);
  for (const [index, { name, result, carried }] of actual.entries()) {
    const shown = JSON.stringify(result);
    if (name in different) assert.match(shown, different[name], name);
    else assert.is(shown, JSON.stringify(expected[index].result), name);
    assert.not.match(shown, /failed:/, name);
    const [inbound, outbound, bytesIn, bytesOut] = carried ?? [];
    if (SILENT.test(name)) continue;
    assert.ok(inbound > 0, `${name} carried ${carried}`);
    // Their clients say nothing, and may still be connecting when the step ends.
    if (name === "http: getConnections" || name === "http: maxConnections") continue;
    assert.ok(outbound > 0 && bytesOut > 0 && bytesIn > 0, `${name} carried ${carried}`);
  }
}

test("http, https, tls and http2 behave as without it, over the ring", async (context) => {
  await compareServers(context, "io_uring", DIFFERENT);
});

test("http, https, tls and http2 behave so on the portable backend too", async (context) => {
  // See "Notes" in docs/PORTABLE.md.
  const later = /"undefined",null,false/;
  const differs = inDeno
    ? { ...DIFFERENT, "http: address and listening are there right after listen": later }
    : DIFFERENT;
  await compareServers(context, "portable", differs);
});

test.run();
