/**
 * A program in an empty directory imports the library by URL, with no permission but --allow-ffi.
 *
 *   this test: HTTP server over the checkout <--GET-- deno run --no-prompt --allow-ffi program
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { assert, suite } from "../harness.ts";
import { PRINTED, PROGRAM, REPORT, REPORTED, ROOT, UNMODIFIED } from "./program.ts";
import { serveCheckout, type ServedCheckout } from "./served_checkout.ts";
import { emptyDirectory, run, tool } from "./tools.ts";

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

const test = suite<ServedCheckout>("URL import", {} as ServedCheckout, { timeoutMs: 60_000 });

test.before(async (context) => {
  Object.assign(context, await serveCheckout());
});

test.before.each((context) => {
  context.requests.length = 0;
});

test.after((context) => {
  context.close();
});

/** Runs the program and checks its output and what was requested. */
async function check(context: ServedCheckout, directory: string, entry: string, allowed: string[]) {
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
  for (const path of ["mod.ts", "ffi/embedded.ts", "src/net/lifecycle/network_core.ts"]) {
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

for (const type of [null, "text/plain; charset=utf-8", "application/octet-stream", "video/mp2t"]) {
  test(`a host may serve the files as ${type ?? "no type at all"}`, async () => {
    const served = await serveCheckout(type);
    try {
      using directory = emptyDirectory();
      await check(served, directory.path, `${served.origin}/program.ts`, []);
    } finally {
      served.close();
    }
  });
}

for (const type of ["text/javascript", "text/html"]) {
  test(`files that are served as ${type} cannot be imported`, async () => {
    const served = await serveCheckout(type);
    try {
      using directory = emptyDirectory();
      using cache = emptyDirectory();
      const program = `import "${served.origin}/mod.ts";`;
      writeFileSync(join(directory.path, "program.ts"), program);
      const allow = `--allow-import=${served.host}`;
      const command = [tool("deno"), "run", "--no-prompt", "--allow-ffi", allow, "program.ts"];
      const ran = await run(command, { cwd: directory.path, env: { DENO_DIR: cache.path } });
      assert.is(ran.code, 1);
      assert.match(ran.errors, /SyntaxError|Expected a JavaScript or TypeScript module/);
    } finally {
      served.close();
    }
  });
}

test("a program on disk without --allow-import is told that it needs the flag", async (context) => {
  using directory = emptyDirectory();
  using cache = emptyDirectory();
  writeFileSync(join(directory.path, "program.ts"), `import "${context.origin}/mod.ts";`);
  const command = [tool("deno"), "run", "--no-prompt", "--allow-ffi", "program.ts"];
  const ran = await run(command, { cwd: directory.path, env: { DENO_DIR: cache.path } });
  assert.is(ran.code, 1);
  assert.match(ran.errors, /--allow-import/);
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
