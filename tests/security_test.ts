/**
 * docs/SECURITY.md: each claim about an attacker names tests that exist.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { assert, suite } from "./harness.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const SECTIONS = ["A hostile peer", "A hostile file system", "Hostile code in the process"];

interface Claim {
  section: string;
  claim: string;
  cell: string;
}

/** The rows "| claim | tests |" below each of the headings. */
function readClaims(markdown: string): Claim[] {
  return markdown.split(/^## /m).flatMap((part) => {
    const section = part.slice(0, part.indexOf("\n"));
    if (!SECTIONS.includes(section)) return [];
    const rows = [...part.matchAll(/^\| (.*?) \| (.*) \|$/gm)].slice(1);
    return rows.map(([, claim, cell]) => ({ section, claim, cell }));
  });
}

/** The claims of the document that the files do not have. */
function complaints(claims: readonly Claim[], read: (file: string) => string | null): string[] {
  return claims.flatMap(({ claim, cell }) => {
    const files = [...cell.matchAll(/`(tests\/[\w/.]+)`: ((?:`[^`]+`(?:, )?)+)/g)];
    if (files.length === 0) return [`"${claim}" names no test`];
    return files.flatMap(([, file, titles]) => {
      const text = read(file);
      if (text === null) return [`"${claim}" names ${file}, which is not there`];
      return [...titles.matchAll(/`([^`]+)`/g)]
        .filter(([, title]) => !text.includes(`"${title}"`) && !text.includes("`" + title + "`"))
        .map(([, title]) => `"${claim}": ${file} has no test "${title}"`);
    });
  });
}

const claims = readClaims(readFileSync(`${root}docs/SECURITY.md`, "utf8"));
const test = suite("security claims");

test("every section has claims", () => {
  for (const section of SECTIONS) {
    assert.ok(claims.filter((claim) => claim.section === section).length >= 10, section);
  }
});

test("every test that a claim names exists", () => {
  const read = (file: string) => existsSync(root + file) ? readFileSync(root + file, "utf8") : null;
  assert.equal(complaints(claims, read), []);
});

test("a test or a file that is gone, and a claim without a test, are noticed", () => {
  const text = "## A hostile peer\n\n| claim | tests |\n|---|---|\n| a | `tests/a.ts`: `one`, " +
    "`two` |\n| b | `tests/b.ts`: `one` |\n| d | none |\n";
  const read = (file: string) => file === "tests/a.ts" ? 'test("one"' : null;
  assert.equal(complaints(readClaims(text), read), [
    '"a": tests/a.ts has no test "two"',
    '"b" names tests/b.ts, which is not there',
    '"d" names no test',
  ]);
});

test.run();
