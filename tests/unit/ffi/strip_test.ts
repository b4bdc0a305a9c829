/**
 * `scripts/strip.awk`, by which builds of the shim are told apart: comments and line breaks do not
 * count, everything else does.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assert, suite } from "../../harness.ts";

const test = suite("strip.awk");

const script = fileURLToPath(new URL("../../../scripts/strip.awk", import.meta.url));

function strip(source: string): string {
  const { status, stdout, stderr } = spawnSync("awk", ["-f", script], {
    input: source,
    encoding: "utf8",
  });
  assert.is(status, 0, stderr);
  return stdout;
}

const CODE = `#define LONG 1 + \\
  2
int f(int a, int b) {
  return a + b;
}
#include "x.h"
char text[] = "/* no comment */ \\" // none";
char quote = '"';
`;

test("comments, line breaks and blank space between tokens do not count", () => {
  const edited = `/* A story
 * of "several" lines; it's long. */
#define LONG 1 +   \\
  2   /* why
         and how */
int f(int a, // the first
      int b) {

  return a +
         b; /* the sum */
}
#include   "x.h"
char text[] = "/* no comment */ \\" // none"; // a "quote
char quote = '"';
`;
  assert.is(strip(edited), strip(CODE));
});

test("everything else counts: tokens, strings, directives and their order", () => {
  const changes: [string, string][] = [
    ["a + b", "a - b"],
    ["int a", "inta"],
    ["no comment", "no  comment"],
    [" // none", "// none"],
    ["LONG 1", "LONG 3"],
    ["  2\n", "  3\n"],
    ['#include "x.h"', '#include "y.h"'],
    ["return a", "return b"],
  ];
  for (const [from, to] of changes) {
    assert.ok(CODE.includes(from), from);
    assert.not.equal(strip(CODE.replace(from, to)), strip(CODE), `${from} -> ${to}`);
  }
});

test("directives stay on lines of their own", () => {
  assert.is(strip("int a;\n# define A 1\nint b;\n"), "int a;\n# define A 1\nint b;\n");
});

test.run();
