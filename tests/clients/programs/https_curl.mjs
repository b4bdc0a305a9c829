// node:https and node:http2 driven by curl, with a certificate of its own.
import https from "node:https";
import http2 from "node:http2";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { address, curl } from "./curl.mjs";
import { say } from "./lib.mjs";

const folder = mkdtempSync(join(tmpdir(), "uringnet-tls-"));
const command =
  "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 30 -subj /CN=localhost";
const made = spawnSync(
  "openssl",
  [...command.split(" "), "-addext", "subjectAltName=IP:127.0.0.1"],
  {
    cwd: folder,
  },
);
if (made.status !== 0) throw new Error(String(made.stderr));
const [key, cert] = ["key", "cert"].map((name) => readFileSync(join(folder, name)));
const trust = ["--cacert", join(folder, "cert")];

const secure = https.createServer({ key, cert }, async (asked, answer) => {
  let count = 0;
  for await (const chunk of asked) count += chunk.length;
  answer.end(`${asked.socket.encrypted} ${asked.url} ${count}`);
});
const base = await address(secure, "https");
say(await curl(...trust, `${base}/a`, `${base}/b`));
say(await curl(...trust, "-d", "x".repeat(100_000), `${base}/up`));
secure.close();
secure.closeAllConnections();

const answers = (asked, answer) => answer.end(`${asked.httpVersion} ${asked.url}`);
const second = http2.createSecureServer({ key, cert, allowHTTP1: true }, answers);
const secondBase = await address(second, "https");
say(await curl(...trust, "--http2", `${secondBase}/h2`));
second.close();

const clear = http2.createServer(answers);
const clearBase = await address(clear);
say(await curl("--http2-prior-knowledge", `${clearBase}/h2c`));
clear.close();
rmSync(folder, { recursive: true });
