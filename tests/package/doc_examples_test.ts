/**
 * The examples in the doc comments of mod.ts: each passes the type checker, runs in this runtime,
 * and prints what its comments say.
 *
 * An example is a whole program. `console.log(value); // text` says what the line prints.
 *
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { examplesOf, publicDeclarations } from "./public_declarations.ts";
import { emptyDirectory, run, tool } from "./tools.ts";

const rootUrl = pathToFileURL(ROOT).href.replace(/\/$/, "");

/** A program that waits for connections until it is ended. */
const ENDLESS = new Set(["mod"]);

interface Context {
  folder: ReturnType<typeof emptyDirectory>;
  examples: [name: string, code: string][];
}

const test = suite<Context>("examples in doc comments", {} as Context, { timeoutMs: 360_000 });

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

/** Names that a sample of a document leaves to its reader. */
const PRELUDES: Readonly<Record<string, string>> = {
  "docs/ERRORS.md": `import type { Connection } from "uringnet";
declare const connection: Connection;
declare function retryLater(): void;
`,
};

/** The part of prom-client that the samples use: no package may be fetched. */
const PROM_CLIENT = `export class Registry {
  registerMetric(_metric: unknown): void {}
  metrics(): Promise<string> {
    return Promise.resolve("");
  }
}
`;

/** The samples of the documents that import something, by the name of a file for each. */
function samples(): [file: string, code: string][] {
  const inside = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", ...inside.map((name) => `docs/${name}`)].flatMap((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    const codes = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => code);
    return codes.filter((code) => /^import /m.test(code)).map((code, index) => {
      const file = `${path.replaceAll(/\W/g, "_")}_${index}.ts`;
      return [file, (PRELUDES[path] ?? "") + code] as [string, string];
    });
  });
}

test("every sample of the documents is a whole program for the type checker", async () => {
  using folder = emptyDirectory();
  const { exports, compilerOptions } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  const own = Object.entries<string>(exports).map(([subpath, path]) => [
    `uringnet${subpath.slice(1)}`,
    pathToFileURL(join(ROOT, path)).href,
  ]);
  const imports = {
    ...Object.fromEntries(own),
    "https://host/path/": `${rootUrl}/`,
    "prom-client": "./prom_client.ts",
  };
  const config = { imports, compilerOptions: { ...compilerOptions, noUnusedLocals: false } };
  writeFileSync(join(folder.path, "prom_client.ts"), PROM_CLIENT);
  writeFileSync(join(folder.path, "deno.json"), JSON.stringify(config));
  const found = samples();
  assert.ok(found.length >= 7, `${found.length} samples`);
  for (const [file, code] of found) writeFileSync(join(folder.path, file), code);
  const files = found.map(([file]) => file);
  const ran = await run([tool("deno"), "check", ...files], { cwd: folder.path });
  assert.is(ran.code, 0, ran.errors);
});

test.run();
