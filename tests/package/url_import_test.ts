/**
 * A program in an empty directory imports the library by URL, with no permission but --allow-ffi.
 *
 *   this test: HTTP server over the checkout <--GET-- deno run --no-prompt --allow-ffi program
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { dirname, join, posix } from "node:path";
import { assert, suite } from "../harness.ts";
import { PRINTED, PROGRAM, REPORT, REPORTED, ROOT, UNMODIFIED } from "./program.ts";
import { emptyDirectory, run, tool } from "./tools.ts";

interface Context {
  server: Server;
  origin: string;
  host: string;
  requests: string[];
}

/** Every file that `mod.ts` reaches through static imports, as paths from the root. */
function importedFiles(): Set<string> {
  const reached = new Set<string>();
  const visit = (path: string) => {
    if (reached.has(path)) return;
    reached.add(path);
    const text = readFileSync(join(ROOT, path), "utf8");
    for (const [, specifier] of text.matchAll(/\bfrom "(\.[^"]+)"/g)) {
      visit(posix.join(dirname(path), specifier));
    }
  };
  visit("mod.ts");
  return reached;
}

const test = suite<Context>("URL import", {} as Context, { timeoutMs: 60_000 });

test.before(async (context) => {
  context.requests = [];
  context.server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname).slice(1);
    context.requests.push(path);
    const origin = `http://${request.headers.host}`;
    if (path === "program.ts") {
      response.setHeader("content-type", "text/typescript");
      response.end(PROGRAM.replace("SPECIFIER", `${origin}/mod.ts`));
    } else if (!path.includes("..") && existsSync(join(ROOT, path))) {
      response.setHeader("content-type", "text/typescript");
      response.end(readFileSync(join(ROOT, path)));
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => context.server.listen(0, "127.0.0.1", resolve));
  const { port } = context.server.address() as { port: number };
  context.host = `127.0.0.1:${port}`;
  context.origin = `http://${context.host}`;
});

test.before.each((context) => {
  context.requests.length = 0;
});

test.after((context) => {
  context.server.closeAllConnections();
  context.server.close();
});

/** Runs the program and checks its output and what was requested. */
async function check(context: Context, directory: string, entry: string, allowed: string[]) {
  // A cache of its own: every module has to come from the server.
  using cache = emptyDirectory();
  const command = [tool("deno"), "run", "--no-prompt", "--allow-ffi", ...allowed, entry];
  const ran = await run(command, { cwd: directory, env: { DENO_DIR: cache.path } });
  assert.is(ran.output, PRINTED, ran.errors);
  assert.is(ran.code, 0);
  const requested = new Set(context.requests);
  requested.delete("program.ts");
  const expected = importedFiles();
  assert.equal([...requested].filter((path) => !expected.has(path)), []);
  for (const path of ["mod.ts", "ffi/embedded.ts", "src/net/network_core.ts"]) {
    assert.ok(requested.has(path), `requested ${path}`);
  }
  assert.not.ok(requested.has("deps.ts"), "packages are not asked for");
}

test("a local program needs --allow-ffi, and --allow-import for this host", async (context) => {
  using directory = emptyDirectory();
  const program = PROGRAM.replace("SPECIFIER", `${context.origin}/mod.ts`);
  writeFileSync(join(directory.path, "program.ts"), program);
  await check(context, directory.path, "program.ts", [`--allow-import=${context.host}`]);
});

test("a program that is a URL itself needs only --allow-ffi", async (context) => {
  using directory = emptyDirectory();
  await check(context, directory.path, `${context.origin}/program.ts`, []);
});

test("a package.json in the directory changes nothing", async (context) => {
  using directory = emptyDirectory();
  const manifest = { name: "app", type: "module", dependencies: { uvu: "0.5.6" } };
  writeFileSync(join(directory.path, "package.json"), JSON.stringify(manifest));
  const program = PROGRAM.replace("SPECIFIER", `${context.origin}/mod.ts`);
  writeFileSync(join(directory.path, "program.ts"), program);
  await check(context, directory.path, "program.ts", [`--allow-import=${context.host}`]);
});

test("an unmodified program runs over the ring with the preload, by its URL", async (context) => {
  using directory = emptyDirectory();
  using cache = emptyDirectory();
  const register = `${context.origin}/src/adapters/register.ts`;
  writeFileSync(join(directory.path, "unmodified.mjs"), UNMODIFIED);
  writeFileSync(join(directory.path, "report.ts"), REPORT.replace("SPECIFIER", register));
  const allowed = ["--no-prompt", "--allow-ffi", `--allow-import=${context.host}`];
  const preloads = ["--preload", register, "--preload", "./report.ts"];
  const command = [tool("deno"), "run", ...allowed, ...preloads, "unmodified.mjs"];
  const ran = await run(command, { cwd: directory.path, env: { DENO_DIR: cache.path } });
  assert.equal(ran.output.trim().split("\n").sort(), REPORTED, ran.errors);
  assert.is(ran.code, 0);
});

test("without --allow-ffi the error says what is missing", async (context) => {
  using directory = emptyDirectory();
  using cache = emptyDirectory();
  const command = [tool("deno"), "run", "--no-prompt", `${context.origin}/program.ts`];
  const ran = await run(command, { cwd: directory.path, env: { DENO_DIR: cache.path } });
  assert.is(ran.code, 1);
  assert.match(ran.errors, /Cannot start the network: Cannot load the uringnet library/);
  assert.match(ran.errors, /--allow-ffi/);
});

test.run();
