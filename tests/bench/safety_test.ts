/**
 * The variants of the library that are measured without a part: the parts are still where the
 * variants look for them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { SAFETY_VARIANTS } from "../../bench/lib/safety.ts";
import { replaceOnce } from "../../bench/lib/variants.ts";
import { assert, suite } from "../harness.ts";

const test = suite("bench safety");

test("each edit of each variant is found in the library, and changes it", () => {
  for (const { edits } of SAFETY_VARIANTS) {
    for (const { file, changes } of edits) {
      const before = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
      let text = before;
      for (const [pattern, replacement] of changes) {
        text = replaceOnce(text, pattern, replacement);
      }
      assert.not(text === before, file);
    }
  }
});

test("the first variant is the library as it is, and names are unique", () => {
  const [first, ...others] = SAFETY_VARIANTS;
  assert.equal(first.edits, []);
  assert.equal([first.memoryArgs, first.kernelArgs], [[], []]);
  assert.ok(others.every(({ name }) => name !== first.name));
  assert.is(new Set(SAFETY_VARIANTS.map(({ name }) => name)).size, SAFETY_VARIANTS.length);
});

test("the last variant lacks each part that another one lacks", () => {
  const parts = (variants: typeof SAFETY_VARIANTS) =>
    variants.flatMap(({ edits }) =>
      edits.flatMap(({ file, changes }) => changes.map(([pattern]) => `${file} ${pattern}`))
    );
  const all = parts(SAFETY_VARIANTS.slice(-1));
  assert.equal([...all].sort(), [...new Set(parts(SAFETY_VARIANTS.slice(0, -1)))].sort());
});

test.run();
