// A plain TCP proxy between a load generator and the server of the test. The
// second argument says which: "redis" for redis-benchmark, "postgres" for pgbench.
import net from "node:net";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import process from "node:process";
import { host, port, say } from "./lib.mjs";

let errors = 0;
const proxy = net.createServer({ allowHalfOpen: true }, (client) => {
  const server = net.connect({ host, port, allowHalfOpen: true });
  client.pipe(server).pipe(client);
  for (const [one, other] of [[client, server], [server, client]]) {
    one.on("error", (error) => {
      // A client that has what it wanted may reset.
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") errors++;
      other.destroy();
    });
  }
});
proxy.listen(0, host);
await once(proxy, "listening");
const own = proxy.address().port;

async function run(command, ...args) {
  const child = spawn(command, args, { env: { ...process.env, LC_ALL: "C" } });
  let output = "";
  child.stdout.on("data", (chunk) => output += chunk);
  child.stderr.on("data", (chunk) => output += chunk);
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${output}`);
  return output;
}

function postgresProgram(name) {
  const root = "/usr/lib/postgresql";
  const version = readdirSync(root).sort().at(-1);
  const path = `${root}/${version}/bin/${name}`;
  return existsSync(path) ? path : name;
}

if (process.argv[3] === "redis") {
  const options = ["-h", host, "-p", `${own}`, "-P", "16", "-c", "50", "-n", "200000", "-q"];
  const output = await run("redis-benchmark", ...options, "-t", "set,get,lpush,lrange_100");
  say(
    "redis-benchmark",
    (output.match(/requests per second/g) ?? []).length,
    /error/i.test(output),
  );
} else {
  const where = ["-h", host, "-p", `${own}`, "-U", "test"];
  const pgbench = postgresProgram("pgbench");
  await run(pgbench, "-i", "-q", "-s", "2", ...where, "postgres");
  const output = await run(pgbench, "-c", "8", "-j", "2", "-t", "500", ...where, "postgres");
  say("pgbench", /number of transactions actually processed: (\d+\/\d+)/.exec(output)?.[1]);
  say("failed", /number of failed transactions: (\d+)/.exec(output)?.[1]);
}
say("errors", errors);
proxy.close();
