/**
 * The reference documents are complete: every export, code and metric has its place.
 *
 * @module
 */
import { readFileSync } from "node:fs";
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

test.run();
