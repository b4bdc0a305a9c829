/**
 * The documents say what is so: every export, code and metric has its place, and each metric and
 * each `make` target that is named exists, and each command can be run.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DEFINITIONS } from "../src/metrics/definitions.ts";
import { assert, suite } from "./harness.ts";

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");
}

function headings(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
}

/** Names that mod.ts exports, from its text: types leave no trace at run time. */
function exportedNames(): string[] {
  const text = read("mod.ts");
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
    .flatMap(([, list]) => list.split(",").map((item) => item.trim().split(/\s+/).at(-1) ?? ""));
  const declared = [...text.matchAll(/^export (?:class|const|function) (\w+)/gm)]
    .map(([, name]) => name);
  return [...lists, ...declared].filter((name) => name !== "");
}

/** Documents for people, and the workflows. */
function documents(): string[] {
  const inside = (folder: string) => readdirSync(new URL(`../${folder}/`, import.meta.url));
  return [
    "README.md",
    "CONTRIBUTING.md",
    ...inside("docs").filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
    ...inside(".github/workflows").map((name) => `.github/workflows/${name}`),
  ];
}

/** The words behind `make` in code, in a `run:` step, or in the list `target:` of a workflow. */
function makeTargets(text: string): string[] {
  const commands = [...text.matchAll(/(?:^\s*|`|run: )make ([a-z][a-z-]*)/gm)];
  const lists = [...text.matchAll(/^ *target:\n((?: +- .*\n)+)/gm)]
    .flatMap(([, list]) => [...list.matchAll(/- ([a-z-]+)/g)]);
  return [...commands, ...lists].map(([, target]) => target);
}

const test = suite("documents");

test("every export of mod.ts has a heading in docs/API.md", () => {
  const known = headings(read("docs/API.md"));
  assert.ok(exportedNames().includes("Network"));
  assert.equal(exportedNames().filter((name) => !known.includes(name)), []);
});

test("every error code has a heading in docs/ERRORS.md, and no other has one", () => {
  const text = read("src/base/network_error.ts");
  const union = /type NetworkErrorCode =([^;]*);/.exec(text)?.[1] ?? "";
  const codes = [...union.matchAll(/"(\w+)"/g)].map(([, code]) => code);
  const known = headings(read("docs/ERRORS.md")).filter((heading) => heading !== "Errors");
  assert.ok(codes.length >= 10);
  assert.equal(known.sort(), codes.sort());
});

test("every metric has a row in docs/METRICS.md, and no other has one", () => {
  const rows = [...read("docs/METRICS.md").matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  assert.equal(rows.sort(), DEFINITIONS.map(({ name }) => name).sort());
});

test("the README has the number of metrics", () => {
  const [, count] = /\b(\d+) Prometheus metrics/.exec(read("README.md")) ?? [];
  assert.is(Number(count), DEFINITIONS.length);
});

test("docs/OPERATIONS.md names only metrics that exist", () => {
  const known = new Set(DEFINITIONS.map(({ name }) => name));
  const named = [...read("docs/OPERATIONS.md").matchAll(/\buringnet_(\w+)/g)]
    .map(([, name]) => name.replace(/_bucket$/, ""));
  assert.ok(named.length > 10);
  assert.equal(named.filter((name) => !known.has(name)), []);
});

// An emulated machine has neither the Makefile nor the documents.
const noMakefile = existsSync(new URL("../Makefile", import.meta.url)) ? null : "no Makefile here";

test.skipIf(noMakefile, "each make target that a document or a workflow names exists", () => {
  const known = [...read("Makefile").matchAll(/^([a-z-]+):/gm)].map(([, target]) => target);
  const named = documents().flatMap((path) => makeTargets(read(path)));
  assert.ok(named.length > 30 && named.includes("lifecycle"), `${named}`);
  assert.equal(named.filter((target) => !known.includes(target)), []);
});

test.skipIf(noMakefile, "each script that has an interpreter can be run by its path", () => {
  const folder = fileURLToPath(new URL("../scripts/", import.meta.url));
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".sh"));
  const isOwn = (name: string) => readFileSync(folder + name, "utf8").startsWith("#!");
  assert.ok(scripts.filter(isOwn).length > 10);
  const isLocked = (name: string) => (statSync(folder + name).mode & 0o111) === 0;
  assert.equal(scripts.filter((name) => isOwn(name) && isLocked(name)), []);
});

/** Lines of a shell block that run no command, or hide one in their comment. */
function emptyCommands(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)];
  return blocks.flatMap(([, block]) => block.split("\n")).filter((line) => {
    const [, command, comment] = /^(.*?)(?:\s# ?(.*))?$/.exec(line.trim()) as RegExpExecArray;
    return /^(?:\w+=\S*\s*)+$/.test(command) || /\bmake [\w-]+ [A-Z]+=/.test(comment ?? "");
  });
}

test.skipIf(noMakefile, "each line of a shell block in a document is one command", () => {
  assert.equal(emptyCommands("```sh\nA=1 make x # y\n# make x A=1\n```\n"), []);
  assert.is(emptyCommands("```sh\nmake x # y make z A=1\nB=2 # c\n```\n").length, 2);
  assert.equal(documents().flatMap((path) => emptyCommands(read(path))), []);
});

test.run();
