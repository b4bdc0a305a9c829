/**
 * The bundled files of the packed package: what each entry point exports, that all of them share
 * one copy of every class, and how they are imported by URL.
 *
 * @module
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, suite } from "../harness.ts";
import { PRINTED, PROGRAM, ROOT } from "./program.ts";
import { serveCheckout } from "./served_checkout.ts";
import { emptyDirectory, pack, type Ran, run, tool } from "./tools.ts";

interface Context {
  base: ReturnType<typeof emptyDirectory>;
  /** The package, unpacked. */
  installed: string;
}

const test = suite<Context>("bundled files", {} as Context, { timeoutMs: 360_000 });

test.before(async (context) => {
  context.base = emptyDirectory();
  context.installed = join(context.base.path, "uringnet");
  mkdirSync(context.installed);
  const tarball = await pack(context.base.path);
  const unpack = ["tar", "-xzf", tarball, "-C", context.installed, "--strip-components=1"];
  const unpacked = await run(unpack, { cwd: context.base.path });
  assert.is(unpacked.code, 0, unpacked.errors);
});

test.after((context) => {
  context.base[Symbol.dispose]();
});

const DENO = ["run", "--no-prompt", "--no-config", "--no-check", "--allow-ffi"];

async function runProgram(
  { base }: Context,
  name: "bun" | "deno",
  program: string,
  allowed: string[] = [],
): Promise<Ran> {
  writeFileSync(join(base.path, "program.ts"), program);
  const options = name === "bun" ? [] : [...DENO, ...allowed];
  return await run([tool(name), ...options, "program.ts"], { cwd: base.path });
}

/** Prints each export that is missing, and each function or class that has another name. */
const COMPARE = `const entries = ENTRIES;
for (const [source, bundled] of entries) {
  const [wanted, given] = await Promise.all([import(source), import(bundled)]);
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(given)])) {
    if (!(name in given) || !(name in wanted)) console.log(bundled, name, "is not in both");
    else if (typeof wanted[name] !== "function") continue;
    else if (wanted[name].name !== given[name].name) console.log(bundled, name, given[name].name);
  }
}
console.log("compared", entries.length);
`;

/** One object of each entry point, in the hands of the others. */
const TOGETHER = `import { Network, NetworkError } from "./uringnet/dist/mod.js";
import { connect, listen, toDenoConn } from "./uringnet/dist/deno.js";
import { toDuplex } from "./uringnet/dist/duplex.js";
import net, { netNetwork, Socket } from "./uringnet/dist/net.js";

const network = await Network.start({ backend: "io_uring" });
const listener = await network.bind("127.0.0.1:0");
const address = listener.localAddress;
const [client, server] = await Promise.all([network.dial(address), listener.accept()]);
const duplex = toDuplex(client);
duplex.end("text");
const memory = new Uint8Array(8);
console.log("duplex", duplex instanceof Socket, await toDenoConn(server).read(memory));

const served = net.createServer((socket) => socket.end("text"));
await new Promise((resolve) => served.listen(0, "127.0.0.1", resolve));
const dialed = await netNetwork().dial({ hostname: "127.0.0.1", port: served.address().port });
console.log("net", netNetwork() instanceof Network, (await dialed.stream.recv(4)).text());
const failed = await dialed.stream.recv(4).catch((error) => error);
console.log("error", failed instanceof NetworkError, failed.code);
await dialed.close();
served.close();

using other = listen({ hostname: "127.0.0.1", port: 0 });
using conn = await connect({ port: other.addr.port });
console.log("deno", await conn.write(memory));
duplex.destroy();
await server.close();
await network.close();
`;

const TOGETHER_PRINTED = [
  "duplex true 4",
  "net true text",
  "error true RecvFailed",
  "deno 8",
];

/** The preload changes the process; the other names a package, which Deno would fetch. */
const NOT_COMPARED = ["./register", "./deps"];

const sources = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8")).exports;
const bundled = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).exports;

for (const name of ["bun", "deno"] as const) {
  test(`an entry point has the exports of its source (${name})`, async (context) => {
    const subpaths = Object.keys(sources).filter((subpath) => !NOT_COMPARED.includes(subpath));
    const entries = subpaths.map((subpath) => [
      join(context.installed, sources[subpath]),
      join(context.installed, bundled[subpath].default),
    ]);
    const program = COMPARE.replace("ENTRIES", JSON.stringify(entries));
    const ran = await runProgram(context, name, program, ["--allow-read"]);
    assert.is(ran.output, `compared ${subpaths.length}\n`, ran.errors);
    assert.is(ran.code, 0);
  });

  test(`objects of one entry point are known to the others (${name})`, async (context) => {
    const ran = await runProgram(context, name, TOGETHER);
    assert.equal(ran.output.trim().split("\n"), TOGETHER_PRINTED, ran.errors);
    assert.is(ran.code, 0);
  });
}

test("a program in Deno imports two files by URL, with no permission but FFI", async (context) => {
  const served = await serveCheckout("text/typescript", context.installed);
  try {
    using cache = emptyDirectory();
    const program = PROGRAM.replace("SPECIFIER", `${served.origin}/dist/mod.js`);
    writeFileSync(join(context.base.path, "program.ts"), program);
    const allowed = ["--no-prompt", "--allow-ffi", `--allow-import=${served.host}`];
    const env = { DENO_DIR: cache.path };
    const command = [tool("deno"), "run", ...allowed, "program.ts"];
    const ran = await run(command, { cwd: context.base.path, env });
    assert.is(ran.output, PRINTED, ran.errors);
    const requested = [...new Set(served.requests)].sort();
    assert.is(requested[0], "dist/mod.js");
    assert.match(requested[1], /^dist\/shared-\w+\.js$/);
    assert.is(requested.length, 2);
  } finally {
    served.close();
  }
});

test("the file that comes by URL has the types of its source", async (context) => {
  const served = await serveCheckout("text/typescript", context.installed);
  try {
    using cache = emptyDirectory();
    const program = `import { Network } from "${served.origin}/dist/mod.js";
const network = await Network.start({ tcpNoDelay: true });
const backend: "io_uring" | "portable" = network.backend;
// @ts-expect-error: a number cannot be listened on
await network.bind(1);
console.log(backend);
`;
    writeFileSync(join(context.base.path, "checked.ts"), program);
    const command = [tool("deno"), "check", `--allow-import=${served.host}`, "checked.ts"];
    const ran = await run(command, { cwd: context.base.path, env: { DENO_DIR: cache.path } });
    assert.is(ran.code, 0, ran.errors);
  } finally {
    served.close();
  }
});

test("the bundled preload gives itself to workers in Bun", async (context) => {
  // The code of the class tells whose it is: the thread has a copy of the module of its own.
  const program = `import net from "node:net";
import { Worker } from "node:worker_threads";
import { Socket } from "./uringnet/dist/net.js";
const options = { workerData: String(Socket) };
const worker = new Worker(new URL("./worker.ts", import.meta.url), options);
worker.on("message", (text) => console.log(text));
console.log("here", net.Socket === Socket);
`;
  const worker = `import net from "node:net";
import { parentPort, workerData } from "node:worker_threads";
parentPort.postMessage("worker " + (String(net.Socket) === workerData));
`;
  writeFileSync(join(context.base.path, "main.ts"), program);
  writeFileSync(join(context.base.path, "worker.ts"), worker);
  const command = [tool("bun"), "--preload", "./uringnet/dist/register.js", "main.ts"];
  const ran = await run(command, { cwd: context.base.path });
  assert.equal(ran.output.trim().split("\n"), ["here true", "worker true"], ran.errors);
  assert.is(ran.code, 0);
});

test("every module of the runtime is named with its prefix", (context) => {
  const folder = join(context.installed, "dist");
  const files = readdirSync(folder);
  assert.ok(files.length > 6, `${files.length} files`);
  for (const file of files) {
    const text = readFileSync(join(folder, file), "utf8");
    for (const [, specifier] of text.matchAll(/^(?:import\b.*|\} )(?:from )?"([^"]+)";$/gm)) {
      assert.match(specifier, /^(?:node:|\.\/)/, file);
    }
  }
});

for (const name of ["bun", "deno"] as const) {
  test(`the command runs below node_modules in ${name}`, async ({ base, installed }) => {
    const modules = join(base.path, "node_modules");
    mkdirSync(modules, { recursive: true });
    const place = join(modules, `uringnet_${name}`);
    cpSync(installed, place, { recursive: true });
    const { bin } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
    const command = join(place, bin.uringnet);
    const options = name === "bun" ? [] : DENO;
    const ran = await run([tool(name), ...options, command, "doctor"], { cwd: base.path });
    assert.equal([ran.code, ran.errors], [0, ""]);
    assert.match(ran.output, /^backend +io_uring$/m);
    assert.is(ran.output.match(/^backend /gm)?.length, 1, "the doctor runs once");
    assert.ok(readFileSync(command, "utf8").startsWith("#!/usr/bin/env bun\n// @bun\n"));
  });
}

test.run();
