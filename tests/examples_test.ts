/**
 * Every example runs, in this runtime and with no more permissions than it says, and prints what it
 * should. The README shows one of them.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { certificate } from "./adapters/certificate.ts";
import { assert, suite } from "./harness.ts";
import { freePort } from "./support/free_port.ts";
import { emptyDirectory, type Ran, run } from "./package/tools.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Expectation {
  output: string[];
  /** Deno's permissions besides --allow-ffi. */
  permissions?: string[];
  /** Arguments before "--once". */
  files?: () => string[];
}

const EXPECTED: Readonly<Record<string, Expectation>> = {
  "chat.ts": {
    output: [
      "heard: good morning, good morning",
      "the slow reader was shown out, and the others read on: true",
    ],
  },
  "echo.ts": { output: ["echoed: hello"] },
  "framed_rpc.ts": { output: ["1 + 2 = 3", "3 + 4 + 5 = 12", "nothing = 0"] },
  "graceful_shutdown.ts": {
    output: ["draining 50 connections", "bye", "all are answered: true"],
  },
  "http.ts": {
    output: [
      "HTTP/1.1 200 OK",
      "HTTP/1.1 200 OK",
      "helloHTTP/1.1 404 Not Found",
      "nothing here",
    ],
  },
  "metrics.ts": {
    permissions: ["--allow-net"],
    output: [
      "echo_inbound_connections_total 1",
      "echo_inbound_bytes_total 14",
      "echo_outbound_bytes_total 14",
    ],
  },
  "proxy.ts": { output: ["proxied: PING", "half close passed on: true"] },
  "redis.ts": {
    output: [
      "+OK $5 hello",
      ":1 :2 -ERR value is not an integer or out of range",
      ":2 *2 $1 b $1 a",
      ":1",
      "*3 $7 message $4 news $5 extra",
    ],
  },
  "streams.ts": {
    output: ["sent few bytes", "received 330000 characters, as they were: true"],
  },
  "tls.ts": {
    permissions: ["--allow-read"],
    files: certificateFiles,
    output: [
      "the certificate is trusted: true",
      "echoed: hello, nobody else reads this",
      "without the authority: DEPTH_ZERO_SELF_SIGNED_CERT",
    ],
  },
  "timeouts_and_aborts.ts": {
    output: [
      "Timeout after 5 bytes, still there: 01234",
      "the next call continues: 01234567",
      "aborted: no longer wanted",
      "Timeout, a part was sent: true",
      "the sink is closed: true",
      "ConnectionFailed: ECONNREFUSED",
    ],
  },
};

/** A key and its certificate, as files. */
function certificateFiles(): string[] {
  const { key, cert } = certificate();
  const paths = [join(folder.path, "key.pem"), join(folder.path, "cert.pem")];
  writeFileSync(paths[0], key);
  writeFileSync(paths[1], cert);
  return paths;
}

function runExample(
  name: string,
  permissions: string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const path = join(root, "examples", name);
  const options = ["run", "--quiet", "--no-prompt", ...permissions];
  const program = [path, ...EXPECTED[name].files?.() ?? [], "--once"];
  const command = "Bun" in globalThis ? program : [...options, ...program];
  // A limit, so that one that hangs is ended and not left behind.
  return run(["timeout", "25", process.execPath, ...command], { cwd: root, env });
}

/** Code that a reader of the README sees: without indentation and blank lines. */
function statements(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

const folder = emptyDirectory();
const test = suite("examples");

test.after(() => folder[Symbol.dispose]());

test("each example has an expectation", () => {
  const names = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"));
  assert.equal(names.sort(), Object.keys(EXPECTED).sort());
});

for (const [name, { output, permissions = [] }] of Object.entries(EXPECTED)) {
  test(`examples/${name} prints what it should, and nothing to stderr`, async () => {
    const result = await runExample(name, ["--allow-ffi", ...permissions]);
    assert.is(result.errors, "");
    assert.is(result.code, 0);
    assert.equal(statements(result.output), output);
  });

  test(`examples/${name} prints the same on the portable backend`, async () => {
    const env = { URINGNET_BACKEND: "portable" };
    const result = await runExample(name, ["--allow-net", "--allow-env", ...permissions], env);
    assert.is(result.errors, "");
    assert.is(result.code, 0);
    assert.equal(statements(result.output), output);
  });

  test(`examples/${name} is short and imports no package`, () => {
    const text = readFileSync(join(root, "examples", name), "utf8");
    assert.ok(text.split("\n").length <= 61, "60 lines at most");
    for (const [, specifier] of text.matchAll(/\bfrom "([^"]+)"/g)) {
      const allowed = /^(?:node:.*|\.\.\/mod\.ts)$/.test(specifier) ||
        (name === "metrics.ts" && specifier === "../deps.ts") ||
        (name === "tls.ts" && specifier === "../src/adapters/duplex.ts") ||
        specifier.startsWith(`./${name.replace(".ts", "")}/`);
      assert.ok(allowed, `imports ${specifier}`);
    }
  });
}

/** Runs `examples/redis.ts` on a free port, and a client of Redis against it. */
async function withRedis(client: (port: string) => Promise<void>): Promise<void> {
  const port = String(await freePort());
  const path = join(root, "examples", "redis.ts");
  const options = ["run", "--quiet", "--no-prompt", "--allow-ffi", path];
  const command = "Bun" in globalThis ? [path] : options;
  const server = spawn(process.execPath, [...command, `127.0.0.1:${port}`], { stdio: "inherit" });
  const exited = new Promise<number | null>((resolve) => server.once("exit", resolve));
  let isRunning = true;
  void exited.then(() => isRunning = false);
  try {
    while (isRunning) {
      const { output } = await run(["redis-cli", "-p", port, "ping"], { cwd: root });
      if (output.includes("PONG")) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await client(port);
    // Deno says that a child it has killed has no exit code, whatever the child did.
    process.kill(server.pid as number, "SIGTERM");
    assert.is(await exited, 0, "SIGTERM ends it in order");
  } finally {
    server.kill("SIGKILL");
  }
}

const noRedis = ["redis-cli", "redis-benchmark"].every((name) => existsSync(`/usr/bin/${name}`))
  ? null
  : "redis-tools are not installed";

test.skipIf(
  noRedis,
  "redis-cli and redis-benchmark speak with examples/redis.ts",
  () =>
    withRedis(async (port) => {
      const cli = async (...words: string[]) => {
        const { output } = await run(["redis-cli", "-p", port, ...words], { cwd: root });
        return output.trim().replaceAll("\n", " ");
      };
      assert.is(await cli("set", "key", "a \u20ac value"), "OK");
      assert.is(await cli("get", "key"), "a \u20ac value");
      assert.is(await cli("mget", "key", "none"), "a \u20ac value");
      assert.is(await cli("incr", "n"), "1");
      assert.is(await cli("incrby", "n", "41"), "42");
      assert.is(await cli("rpush", "list", "a", "b", "c"), "3");
      assert.is(await cli("lpush", "list", "z"), "4");
      assert.is(await cli("lrange", "list", "-2", "-1"), "b c");
      assert.match(await cli("get", "list"), /WRONGTYPE/);
      assert.match(await cli("nonsense"), /ERR unknown command 'nonsense'/);
      assert.match(await cli("get"), /ERR wrong number of arguments for 'get'/);
      assert.is(await cli("expire", "key", "100"), "1");
      assert.match(await cli("ttl", "key"), /^(?:100|9\d)$/);
      assert.is(await cli("del", "key", "list", "none"), "2");
      assert.is(await cli("get", "key"), "");
      const tests = ["-t", "ping,set,get,incr,lpush", "-n", "2000", "-q", "-P", "16"];
      const ran = await run(["redis-benchmark", "-p", port, ...tests], { cwd: root });
      assert.is(ran.code, 0, ran.errors);
      assert.match(ran.output, /GET: [\d.]+ requests per second/);
      assert.is(await cli("incr", "n"), "43");
    }),
  { timeoutMs: 120_000 },
);

test("the echo server in the README is the one in examples/echo.ts", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const block = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)]
    .map(([, code]) => code).find((code) => code.includes("serve(listener"));
  assert.ok(block !== undefined, "the README shows an echo server");
  const text = readFileSync(join(root, "examples", "echo.ts"), "utf8");
  const example = statements(text.replace('once ? "127.0.0.1:0" : ', ""));
  const shown = statements(block as string).filter((line) => !line.startsWith("import"));
  const missing = shown.filter((line) => !example.includes(line));
  assert.equal(missing, []);
  assert.ok(shown.length <= 10, `ten lines at most, not ${shown.length}`);
});

test.run();
