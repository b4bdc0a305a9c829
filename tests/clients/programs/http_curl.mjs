// node:http driven by curl: keep-alive, 100 MiB up and down, chunked, Expect, HEAD, ranges of requests.
import http from "node:http";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Buffer } from "node:buffer";
import { address, curl } from "./curl.mjs";
import { say } from "./lib.mjs";

const megabyte = Buffer.alloc(1024 * 1024, "0123456789abcdef");
let connections = 0;
const server = http.createServer(async (asked, answer) => {
  if (asked.url === "/down") {
    answer.setHeader("content-length", 100 * megabyte.length);
    for (let count = 0; count < 100; count++) {
      if (!answer.write(megabyte)) await new Promise((resolve) => answer.once("drain", resolve));
    }
    answer.end();
  } else if (asked.method === "PUT" || asked.method === "POST") {
    const hash = createHash("sha256");
    let count = 0;
    for await (const chunk of asked) {
      hash.update(chunk);
      count += chunk.length;
    }
    answer.end(`${count} ${hash.digest("hex").slice(0, 8)}`);
  } else {
    answer.end(`${asked.method} ${asked.url}`);
  }
});
server.on("connection", () => connections++);
const base = await address(server);
say(await curl(`${base}/a`));
const before = connections;
say(await curl(`${base}/1`, `${base}/2`, `${base}/3`), connections - before);
say((await curl(`${base}/down`)).length);
const folder = mkdtempSync(join(tmpdir(), "uringnet-curl-"));
const file = join(folder, "body");
writeFileSync(file, Buffer.concat(Array(100).fill(megabyte)));
say(await curl("-T", file, `${base}/up`));
say(await curl("-H", "Transfer-Encoding: chunked", "--data-binary", `@${file}`, `${base}/up`));
say(await curl("-H", "Expect: 100-continue", "-d", "small", `${base}/up`));
say((await curl("-I", `${base}/head`)).split("\r\n")[0]);
say(await curl("--http1.0", `${base}/old`));
rmSync(folder, { recursive: true });
server.close();
server.closeAllConnections();
