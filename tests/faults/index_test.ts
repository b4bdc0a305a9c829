/**
 * The index of fault classes in docs/RELIABILITY.md names tests that exist.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { assert, suite } from "../harness.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const CLASS_COUNT = 25;

interface Row {
  number: number;
  /** File to the titles that it is said to have. */
  tests: Map<string, string[]>;
}

/** Reads rows like "| 6 | RST | `tests/a_test.ts`: `title`, `title`<br>`tests/b.ts`: `title` |". */
function readIndex(markdown: string): Row[] {
  const section = markdown.split(/^## /m).find((part) => part.startsWith("Fault classes\n")) ?? "";
  return [...section.matchAll(/^\| (\d+) \|[^|]*\| (.*) \|$/gm)].map(([, number, cell]) => ({
    number: Number(number),
    tests: new Map(
      [...cell.matchAll(/`(tests\/[\w/.]+)`: ((?:`[^`]+`(?:, )?)+)/g)].map(([, file, titles]) => [
        file,
        [...titles.matchAll(/`([^`]+)`/g)].map(([, title]) => title),
      ]),
    ),
  }));
}

/** The entries of the index that the files do not have. */
function complaints(rows: readonly Row[], read: (file: string) => string | null): string[] {
  return rows.flatMap(({ number, tests }) => {
    if (tests.size === 0) return [`class ${number} has no test`];
    return [...tests].flatMap(([file, titles]) => {
      const text = read(file);
      if (text === null) return [`class ${number} names ${file}, which is not there`];
      return titles
        .filter((title) => !text.includes(`"${title}"`) && !text.includes("`" + title + "`"))
        .map((title) => `class ${number}: ${file} has no test "${title}"`);
    });
  });
}

const rows = readIndex(readFileSync(`${root}docs/RELIABILITY.md`, "utf8"));
const test = suite("index of fault classes");

test("every class has its row, once and in order", () => {
  assert.equal(
    rows.map(({ number }) => number),
    Array.from({ length: CLASS_COUNT }, (_, i) => i + 1),
  );
});

test("every test that is named exists", () => {
  const read = (file: string) => existsSync(root + file) ? readFileSync(root + file, "utf8") : null;
  assert.equal(complaints(rows, read), []);
});

test("a test that is gone, a file that is gone and an empty row are noticed", () => {
  const index = "## Fault classes\n\n| 1 | a | `tests/a.ts`: `one`, `two ${n}`<br>`tests/b.ts`: " +
    "`three` |\n| 2 | b | `tests/c.ts`: `four` |\n| 3 | c | none |\n| 4 | d | see the section |\n";
  const files = new Map([["tests/a.ts", 'test("one"'], ["tests/b.ts", "test(`three`"]]);
  assert.equal(complaints(readIndex(index), (file) => files.get(file) ?? null), [
    'class 1: tests/a.ts has no test "two ${n}"',
    "class 2 names tests/c.ts, which is not there",
    "class 3 has no test",
    "class 4 has no test",
  ]);
});

test.run();
