/**
 * Foreign libraries planted where a search by name would find them: in the working directory, in
 * LD_LIBRARY_PATH, in the package's folder. Each leaves a mark when it is opened, and none may.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { EMBEDDED } from "../../ffi/embedded.ts";
import { assert, suite } from "../harness.ts";
import { PRINTED, PROGRAM } from "./program.ts";
import { serveCheckout } from "./served_checkout.ts";
import { emptyDirectory, pack, type Ran, run, tool } from "./tools.ts";

/** A network in the main thread and in each of three workers, then the copies in the process. */
const WORKERS = `import { readFileSync } from "node:fs";
import { Network } from "SPECIFIER";

const network = await Network.start({ backend: "io_uring" });
for (let i = 0; i < 3; i++) {
  const worker = new Worker(new URL("./worker.ts", import.meta.url).href, { type: "module" });
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = reject;
  });
  worker.terminate();
}
await network.close();
const mappings = readFileSync("/proc/self/maps", "utf8").split("\\n");
const copies = mappings.filter((line) => line.includes("/memfd:liburingnet"));
console.log("copies", new Set(copies.map((line) => line.split(/ +/)[4])).size);
`;

const WORKER = `import { Network } from "SPECIFIER";

const network = await Network.start({ backend: "io_uring" });
await network.close();
postMessage("done");
`;

const PLANTED = `#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void leave_mark(void) {
  int fd = open(MARK, O_CREAT | O_WRONLY, 0666);
  if (fd >= 0) close(fd);
}
`;

interface Context {
  base: ReturnType<typeof emptyDirectory>;
  /** Made by the constructor of each planted library. */
  mark: string;
  /** A working directory with planted libraries and the programs; the package is installed. */
  app: string;
  /** Planted libraries, for LD_LIBRARY_PATH. */
  path: string;
}

const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
const NAMES = [EMBEDDED[machine].soname, "liburingnet.so"];

const test = suite<Context>("planted libraries", {} as Context, { timeoutMs: 360_000 });

/** Plants a library under each of these names. */
function plant(context: Context, folder: string, names: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  for (const name of names) cpSync(join(context.base.path, "planted.so"), join(folder, name));
}

function writePrograms(folder: string, specifier: string): void {
  const texts = { "program.ts": PROGRAM, "workers.ts": WORKERS, "worker.ts": WORKER };
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(folder, name), text.replace("SPECIFIER", specifier));
  }
}

test.before(async (context) => {
  context.base = emptyDirectory();
  const { path } = context.base;
  Object.assign(context, { mark: join(path, "mark"), app: join(path, "app") });
  context.path = join(path, "libraries");
  writeFileSync(join(path, "planted.c"), PLANTED);
  const flags = ["-shared", "-fPIC", `-DMARK="${context.mark}"`, "-o", join(path, "planted.so")];
  execFileSync(process.env.CC || "cc", [...flags, join(path, "planted.c")]);
  const installed = join(context.app, "node_modules", "uringnet");
  const tarball = await pack(path);
  for (const folder of [installed, join(context.app, "vendor")]) {
    mkdirSync(folder, { recursive: true });
    const unpack = ["tar", "-xzf", tarball, "-C", folder, "--strip-components=1"];
    assert.is((await run(unpack, { cwd: path })).code, 0);
  }
  writeFileSync(join(context.app, "package.json"), '{ "name": "app", "type": "module" }\n');
  // Not in LD_LIBRARY_PATH: a C library there is that of the runtime itself.
  plant(context, context.app, [...NAMES, "libc.so.6"]);
  plant(context, context.path, NAMES);
  plant(context, installed, [...NAMES, "libc.so.6"]);
  plant(context, join(installed, "ffi"), [...NAMES, "libc.so.6"]);
  plant(context, join(installed, "ffi", "build"), NAMES);
});

test.before.each((context) => {
  rmSync(context.mark, { force: true });
});

test.after((context) => {
  context.base[Symbol.dispose]();
});

function start(context: Context, command: string[], env: Record<string, string> = {}) {
  const paths = { LD_LIBRARY_PATH: context.path, DENO_DIR: join(context.base.path, "cache") };
  return run(command, { cwd: context.app, env: { ...paths, ...env } });
}

function expectClean(context: Context, ran: Ran, output: string): void {
  assert.is(existsSync(context.mark), false, "no planted library was opened");
  assert.is(ran.output, output, ran.errors);
  assert.is(ran.code, 0);
}

test("the planted library leaves its mark when it is opened", async (context) => {
  writePrograms(context.app, "uringnet");
  const env = { URINGNET_LIBRARY: "./liburingnet.so" };
  const ran = await start(context, [tool("bun"), "program.ts"], env);
  assert.is(ran.code, 1);
  assert.ok(existsSync(context.mark));
});

test("Bun, installed package: no planted library is opened", async (context) => {
  writePrograms(context.app, "uringnet");
  expectClean(context, await start(context, [tool("bun"), "program.ts"]), PRINTED);
});

test("Bun, workers: no planted library is opened, and all share one copy", async (context) => {
  writePrograms(context.app, "uringnet");
  expectClean(context, await start(context, [tool("bun"), "workers.ts"]), "copies 1\n");
});

test("Bun, compiled program: no planted library is opened", async (context) => {
  writePrograms(context.app, "uringnet");
  const build = [tool("bun"), "build", "--compile", "program.ts", "--outfile", "program"];
  assert.is((await run(build, { cwd: context.app })).code, 0);
  // Where the bundle would be, if its URL were that of a file.
  plant(context, join(context.app, "build"), NAMES);
  expectClean(context, await start(context, ["./program"]), PRINTED);
});

const deno = (...args: string[]) => [tool("deno"), "run", "--no-prompt", ...args];

test("Deno, unpacked package: no planted library is opened", async (context) => {
  writePrograms(context.app, "./vendor/mod.ts");
  expectClean(context, await start(context, deno("--allow-ffi", "program.ts")), PRINTED);
});

test("Deno, workers: no planted library is opened, and all share one copy", async (context) => {
  writePrograms(context.app, "./vendor/mod.ts");
  const ran = await start(context, deno("--allow-all", "workers.ts"));
  expectClean(context, ran, "copies 1\n");
});

test("Deno, URL import: no planted library is opened", async (context) => {
  const served = await serveCheckout();
  try {
    const ran = await start(context, deno("--allow-ffi", `${served.origin}/program.ts`));
    expectClean(context, ran, PRINTED);
  } finally {
    served.close();
  }
});

const LISTS = { "the working directory": ".", "libc.so.6": "libc.so.6", "the soname": NAMES[0] };

for (const [name, list] of Object.entries(LISTS)) {
  test(`Deno, a list in --allow-ffi with ${name}: refused, nothing is opened`, async (context) => {
    writePrograms(context.app, "./vendor/mod.ts");
    const ran = await start(context, deno(`--allow-ffi=${list}`, "program.ts"));
    assert.is(existsSync(context.mark), false, "no planted library was opened");
    assert.match(ran.errors, "--allow-ffi, without a list");
    assert.is(ran.code, 1);
  });
}

for (const name of ["bun", "deno"] as const) {
  test(`URINGNET_LIBRARY with a bare name is refused (${name})`, async (context) => {
    writePrograms(context.app, name === "bun" ? "uringnet" : "./vendor/mod.ts");
    const command = name === "bun"
      ? [tool("bun"), "program.ts"]
      : deno("--allow-ffi", "--allow-env", "program.ts");
    const ran = await start(context, command, { URINGNET_LIBRARY: "liburingnet.so" });
    assert.is(existsSync(context.mark), false, "no planted library was opened");
    assert.match(ran.errors, '"liburingnet.so" is a bare name, which could be any file');
    assert.is(ran.code, 1);
  });

  test(`URINGNET_LIBRARY with a relative path is a path (${name})`, async (context) => {
    writePrograms(context.app, name === "bun" ? "uringnet" : "./vendor/mod.ts");
    const command = name === "bun"
      ? [tool("bun"), "program.ts"]
      : deno("--allow-ffi", "--allow-env", "program.ts");
    const ran = await start(context, command, { URINGNET_LIBRARY: "vendor/none.so" });
    assert.is(existsSync(context.mark), false, "no planted library was opened");
    assert.match(ran.errors, join(context.app, "vendor/none.so"));
    assert.is(ran.code, 1);
  });
}

test.run();
