/**
 * Every example runs, in this runtime and with no more permissions than it says, and prints what it
 * should. The README shows one of them.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { assert, suite } from "./harness.ts";
import { type Ran, run } from "./package/tools.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Expectation {
  output: string[];
  /** Deno's permissions besides --allow-ffi. */
  permissions?: string[];
}

const EXPECTED: Readonly<Record<string, Expectation>> = {
  "chat.ts": { output: ["heard: good morning, good morning"] },
  "echo.ts": { output: ["echoed: hello"] },
  "framed_rpc.ts": { output: ["1 + 2 = 3", "3 + 4 + 5 = 12", "nothing = 0"] },
  "metrics.ts": {
    permissions: ["--allow-net"],
    output: [
      "echo_inbound_connections_total 1",
      "echo_inbound_bytes_total 14",
      "echo_outbound_bytes_total 14",
    ],
  },
  "proxy.ts": { output: ["proxied: PING", "half close passed on: true"] },
  "streams.ts": {
    output: ["sent few bytes", "received 330000 characters, as they were: true"],
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

function runExample(name: string, permissions: string[]): Promise<Ran> {
  const path = join(root, "examples", name);
  const options = ["run", "--quiet", "--no-prompt", "--allow-ffi", ...permissions];
  const command = "Bun" in globalThis ? [path, "--once"] : [...options, path, "--once"];
  // A limit, so that one that hangs is ended and not left behind.
  return run(["timeout", "25", process.execPath, ...command], { cwd: root });
}

/** Code that a reader of the README sees: without indentation and blank lines. */
function statements(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

const test = suite("examples");

test("each example has an expectation", () => {
  const names = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"));
  assert.equal(names.sort(), Object.keys(EXPECTED).sort());
});

for (const [name, { output, permissions = [] }] of Object.entries(EXPECTED)) {
  test(`examples/${name} prints what it should, and nothing to stderr`, async () => {
    const result = await runExample(name, permissions);
    assert.is(result.errors, "");
    assert.is(result.code, 0);
    assert.equal(statements(result.output), output);
  });

  test(`examples/${name} is short and imports no package`, () => {
    const text = readFileSync(join(root, "examples", name), "utf8");
    assert.ok(text.split("\n").length <= 61, "60 lines at most");
    for (const [, specifier] of text.matchAll(/\bfrom "([^"]+)"/g)) {
      const allowed = /^(?:node:.*|\.\.\/mod\.ts)$/.test(specifier) ||
        (name === "metrics.ts" && specifier === "../deps.ts");
      assert.ok(allowed, `imports ${specifier}`);
    }
  });
}

test("the echo server in the README is the one in examples/echo.ts", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const block = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)]
    .map(([, code]) => code).find((code) => code.includes("async function echo"));
  assert.ok(block !== undefined, "the README shows an echo server");
  const text = readFileSync(join(root, "examples", "echo.ts"), "utf8");
  const example = statements(text.replace('once ? "127.0.0.1:0" : ', ""));
  const shown = statements(block as string).filter((line) => !line.startsWith("import"));
  const missing = shown.filter((line) => !example.includes(line));
  assert.equal(missing, []);
  assert.ok(shown.length <= 10, `ten lines at most, not ${shown.length}`);
});

test.run();
