/**
 * The examples in the doc comments of mod.ts: each passes the type checker, runs in this runtime,
 * and prints what its comments say.
 *
 * An example is a whole program. `console.log(value); // text` says what the line prints.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { examplesOf, publicDeclarations } from "./public_declarations.ts";
import { emptyDirectory, run, tool } from "./tools.ts";

/** A program that waits for connections until it is ended. */
const ENDLESS = new Set(["mod"]);

interface Context {
  folder: ReturnType<typeof emptyDirectory>;
  examples: [name: string, code: string][];
}

const test = suite<Context>("examples in doc comments", {} as Context, { timeoutMs: 120_000 });

test.before(async (context) => {
  const { symbols, moduleTags } = await publicDeclarations();
  context.folder = emptyDirectory();
  context.examples = examplesOf(symbols, moduleTags);
  const url = pathToFileURL(join(ROOT, "mod.ts")).href;
  for (const [name, code] of context.examples) {
    const text = code.replaceAll('"@uringnet/uringnet"', JSON.stringify(url));
    writeFileSync(join(context.folder.path, `${name}.ts`), text);
  }
});

test.after((context) => {
  context.folder[Symbol.dispose]();
});

/** The output that the example states. */
function expected(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
}

/** The output of the example, which is a process of its own and must end by itself. */
async function printed(folder: string, name: string): Promise<string[]> {
  const path = join(folder, `${name}.ts`);
  const options = ["run", "--quiet", "--no-prompt", "--no-config", "--no-check", "--allow-ffi"];
  const command = "Bun" in globalThis ? [path] : [...options, path];
  const ran = await run(["timeout", "25", process.execPath, ...command], { cwd: folder });
  assert.is(ran.errors, "", name);
  assert.is(ran.code, 0, name);
  return ran.output.split("\n").filter((line) => line !== "");
}

test("every example passes the type checker", async ({ folder, examples }) => {
  assert.ok(examples.length > 15, `${examples.length} examples`);
  const files = examples.map(([name]) => `${name}.ts`);
  const check = [tool("deno"), "check", "--config", join(ROOT, "deno.json"), ...files];
  const ran = await run(check, { cwd: folder.path });
  assert.is(ran.code, 0, ran.errors);
});

test("every example imports the package by its name and says what it prints", ({ examples }) => {
  for (const [name, code] of examples) {
    assert.match(code, /^import .* from "@uringnet\/uringnet";$/m, name);
    const lines = code.match(/console\.log\(/g)?.length ?? 0;
    assert.is(expected(code).length, lines, `${name}: each console.log has a comment`);
  }
});

test("every example runs, ends by itself, and prints what it says", async (context) => {
  const { folder, examples } = context;
  for (const [name, code] of examples) {
    if (ENDLESS.has(name)) continue;
    assert.equal(await printed(folder.path, name), expected(code), name);
  }
});

test.run();
