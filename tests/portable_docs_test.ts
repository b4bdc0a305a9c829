/**
 * docs/PORTABLE.md and the differences that the contract suite knows are the same, one by one.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { PORTABLE_DIFFERENCES } from "./contract/expectations.ts";
import { assert, suite } from "./harness.ts";

const text = readFileSync(new URL("../docs/PORTABLE.md", import.meta.url), "utf8");
const part = text.split(/^## /m).find((part) => part.startsWith("What differs\n")) ?? "";
const sections = part.split(/^### /m).slice(1).map((section) => ({
  heading: section.slice(0, section.indexOf("\n")),
  body: section.slice(section.indexOf("\n")).trim(),
}));

const test = suite("docs/PORTABLE.md");

test("each difference has a heading with a reason, and each heading is a difference", () => {
  const known = PORTABLE_DIFFERENCES.map(({ heading }) => heading);
  assert.equal(sections.map(({ heading }) => heading).sort(), [...known].sort());
  for (const { heading, body } of sections) assert.ok(body.length > 60, `${heading}: no reason`);
});

test("a difference of one runtime says which", () => {
  for (const { heading, runtime } of PORTABLE_DIFFERENCES) {
    const { body } = sections.find((section) => section.heading === heading)!;
    const named = /^In (Deno|Bun)[,: ]/.exec(body)?.[1].toLowerCase();
    assert.is(named, runtime, heading);
  }
});

test("no test of the contract is listed twice", () => {
  const names = PORTABLE_DIFFERENCES.flatMap(({ tests }) => tests);
  assert.is(new Set(names).size, names.length);
});

test.run();
