/**
 * Runs Node's own tests of `node:net` against `uringnet/net`, from outside of this project.
 *
 *   bun scripts/node_net/run.ts FOLDER [bun|deno] [--native] [word ...]
 *
 * FOLDER holds `test/parallel`, `test/common` and `test/fixtures` of a checkout of Node, and a
 * `package.json` that says `"type": "commonjs"`. Words choose files; `--native` leaves the
 * runtime's own `node:net` in place. Prints the files that failed, and the count.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

type RuntimeName = "bun" | "deno";

interface Outcome {
  file: string;
  ok: boolean;
  text: string;
}

const TIMEOUT_MS = 30_000;
const CONCURRENCY = 2;
const LINES_SHOWN = 8;

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../..");

function tool(name: string): string {
  return execFileSync("sh", [join(root, "scripts/tool.sh"), name], { encoding: "utf8" }).trim();
}

/** Options of Node in the first lines of a test. */
function flagsOf(text: string): string[] {
  return /^\/\/ Flags: (.*)$/m.exec(text)?.[1].split(/\s+/) ?? [];
}

function argumentsFor(runtime: RuntimeName, native: boolean, path: string): string[] {
  const text = readFileSync(path, "utf8");
  const collects = flagsOf(text).includes("--expose-gc");
  const preload = native ? [] : ["--preload", join(here, `preload_${runtime}.ts`)];
  if (runtime === "deno") {
    const flags = collects ? ["--v8-flags=--expose-gc"] : [];
    return ["run", "-A", "--quiet", "--no-lock", "--node-modules-dir=none", ...preload, ...flags];
  }
  // Bun runs suites of node:test under its own runner only.
  if (text.includes("node:test")) return ["test", ...preload];
  return [...collects ? ["--expose-gc"] : [], ...preload];
}

function environmentFor(path: string, worker: number): NodeJS.ProcessEnv {
  const options = flagsOf(readFileSync(path, "utf8")).filter((flag) =>
    flag.includes("network-family")
  );
  return {
    ...process.env,
    NODE_TEST_KNOWN_GLOBALS: "0",
    NODE_SKIP_FLAG_CHECK: "1",
    // Tests that run at a time have folders of their own.
    TEST_THREAD_ID: String(worker),
    TEST_SERIAL_ID: String(worker),
    NO_COLOR: "1",
    ...options.length > 0 ? { NODE_OPTIONS: options.join(" ") } : {},
  };
}

function runOne(command: string, args: string[], path: string, worker: number): Promise<Outcome> {
  const file = path.slice(path.lastIndexOf("/") + 1);
  return new Promise((resolve) => {
    const child = spawn(command, [...args, path], {
      cwd: join(path, "../../.."),
      env: environmentFor(path, worker),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, TIMEOUT_MS);
    child.on("close", (code) => {
      clearTimeout(timer);
      const ending = late ? `no end within ${TIMEOUT_MS} ms\n` : "";
      resolve({ file, ok: code === 0 && !late, text: ending + text });
    });
  });
}

async function main(): Promise<void> {
  const [folder, ...rest] = process.argv.slice(2);
  if (folder === undefined) throw new Error("wanted: FOLDER [bun|deno] [--native] [word ...]");
  const native = rest.includes("--native");
  const runtime: RuntimeName = rest.includes("deno") ? "deno" : "bun";
  const words = rest.filter((word) => !["--native", "bun", "deno"].includes(word));
  const parallel = join(folder, "test/parallel");
  const files = readdirSync(parallel).filter((name) =>
    name.startsWith("test-net-") &&
    (words.length === 0 || words.some((word) => name.includes(word)))
  ).sort();
  const command = tool(runtime);
  const waiting = [...files];
  let passed = 0;
  const work = async (worker: number) => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const path = join(parallel, file);
      const outcome = await runOne(command, argumentsFor(runtime, native, path), path, worker);
      if (outcome.ok) passed++;
      else console.log(`--- ${file}\n${outcome.text.split("\n").slice(0, LINES_SHOWN).join("\n")}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, worker) => work(worker)));
  console.log(`${runtime}${native ? ", native" : ""}: ${passed} of ${files.length}`);
  process.exitCode = passed === files.length ? 0 : 1;
}

await main();
