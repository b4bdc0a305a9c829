/**
 * The packed package in an empty directory: `bun add` of the tarball, a program that imports it by
 * its name, the same program compiled, and npm's opinion on what belongs to the package.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, suite } from "../harness.ts";
import { PRINTED, PROGRAM, REPORT, REPORTED, UNMODIFIED } from "./program.ts";
import { copyCheckout, emptyDirectory, filesOf, pack, run, tool } from "./tools.ts";

interface Context {
  base: ReturnType<typeof emptyDirectory>;
  tarball: string;
  /** An application that has the package installed, and program.ts. */
  app: string;
}

const test = suite<Context>("Bun package", {} as Context, { timeoutMs: 360_000 });

test.before(async (context) => {
  context.base = emptyDirectory();
  context.tarball = await pack(context.base.path);
  context.app = join(context.base.path, "app");
  mkdirSync(context.app);
  writeFileSync(join(context.app, "package.json"), '{ "name": "app", "type": "module" }\n');
  writeFileSync(join(context.app, "program.ts"), PROGRAM.replace("SPECIFIER", "uringnet"));
  // No package may be fetched: the registry is an address without a listener.
  const env = { BUN_CONFIG_REGISTRY: "http://127.0.0.1:1/" };
  const added = await run([tool("bun"), "add", context.tarball], { cwd: context.app, env });
  assert.is(added.code, 0, added.errors);
});

test.after((context) => {
  context.base[Symbol.dispose]();
});

test("the package has sources, bundles, types, documents and nothing else", async (context) => {
  const files = await filesOf(context.tarball);
  const wanted = [
    /^(?:package\.json|LICENSE|README\.md|CHANGELOG\.md|docs\/[\w.]+)$/,
    /^docs\/charts\/[\w-]+\.svg$/,
    /^(?:mod|deps|backends|bin\/uringnet|(?:src|ffi)\/[\w/]+)\.ts$/,
    /^types\/[\w/]+\.d\.ts$/,
    /^dist\/(?:mod|deps|deno|duplex|net|register|uringnet|shared-\w+)\.js$/,
  ];
  assert.equal(files.filter((file) => !wanted.some((pattern) => pattern.test(file))), []);
  const libraries = ["ffi/embedded/aarch64.ts", "ffi/embedded/x86_64.ts"];
  const entries = ["mod.ts", "types/mod.d.ts", "types/deps.d.ts", "dist/mod.js", "dist/deps.js"];
  for (const file of [...entries, ...libraries, "LICENSE"]) {
    assert.ok(files.includes(file), `has ${file}`);
  }
});

test("a program that imports it by name echoes bytes", async (context) => {
  const ran = await run([tool("bun"), "program.ts"], { cwd: context.app });
  assert.is(ran.output, PRINTED, ran.errors);
  assert.is(ran.errors, "");
  assert.is(ran.code, 0);
});

test("an unmodified program runs over the ring with the preload, by its name", async (context) => {
  writeFileSync(join(context.app, "unmodified.mjs"), UNMODIFIED);
  writeFileSync(join(context.app, "report.ts"), REPORT.replace("SPECIFIER", "uringnet/register"));
  const preloads = ["--preload", "uringnet/register", "--preload", "./report.ts"];
  const ran = await run([tool("bun"), ...preloads, "unmodified.mjs"], { cwd: context.app });
  assert.equal(ran.output.trim().split("\n").sort(), REPORTED, ran.errors);
  assert.is(ran.code, 0);
});

test("the program compiled into one file runs where there is no package", async (context) => {
  using elsewhere = emptyDirectory();
  const output = join(elsewhere.path, "program");
  const build = [tool("bun"), "build", "--compile", "program.ts", "--outfile", output];
  const built = await run(build, { cwd: context.app });
  assert.is(built.code, 0, built.errors);
  const ran = await run([output], { cwd: elsewhere.path });
  assert.is(ran.output, PRINTED, ran.errors);
  assert.is(ran.code, 0);
});

const registry = spawnSync(tool("bun"), ["pm", "view", "typescript@5.9.3", "version"], {
  timeout: 20_000,
});
const noRegistry = registry.status === 0 ? null : "no registry to install the compiler from";
test.skipIf(
  noRegistry,
  "`bun pm pack` in a fresh clone makes the same package",
  async (context) => {
    using fresh = emptyDirectory();
    const tarball = await pack(fresh.path, { packages: false });
    assert.equal(await filesOf(tarball), await filesOf(context.tarball));
  },
);

const hasNpm = spawnSync("npm", ["--version"]).status === 0;
test.skipIf(hasNpm ? null : "npm is not installed", "npm packs the same files", async (context) => {
  using copy = emptyDirectory();
  copyCheckout(copy.path);
  const packed = await run(["npm", "pack", "--json", "--pack-destination", copy.path], {
    cwd: copy.path,
  });
  assert.is(packed.code, 0, packed.errors);
  const name = /"filename":\s*"([^"]+)"/.exec(packed.output)?.[1] ?? "";
  assert.equal(await filesOf(join(copy.path, name)), await filesOf(context.tarball));
});

test.run();
