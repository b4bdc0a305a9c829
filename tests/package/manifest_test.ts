/**
 * deno.json and package.json describe one package: the same version, license and subpaths. The
 * subpaths lead to the sources in one, and to the files that scripts/bundle.sh makes in the other.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";

const read = (name: string) => JSON.parse(readFileSync(join(ROOT, name), "utf8"));
const deno = read("deno.json");
const npm = read("package.json");
const types = readFileSync(join(ROOT, "tsconfig.types.json"), "utf8");

const test = suite("manifests");

test("deno.json and package.json have one version and one license", () => {
  assert.is(deno.name, "@uringnet/uringnet");
  assert.is(npm.name, "uringnet");
  assert.is(deno.version, npm.version);
  assert.is(deno.license, npm.license);
});

test("both have the same subpaths, in the same order, of files that exist", () => {
  const subpaths = Object.entries(
    npm.exports as Record<string, { types: string; default: string }>,
  );
  assert.ok(subpaths.length >= 4);
  assert.equal(Object.keys(deno.exports), subpaths.map(([path]) => path));
  for (const [path, entry] of subpaths) {
    const source = deno.exports[path] as string;
    assert.ok(existsSync(join(ROOT, source)), path);
    const name = basename(source, ".ts");
    assert.equal(entry, {
      types: `./types/${source.slice(2, -".ts".length)}.d.ts`,
      default: `./dist/${name}.js`,
    });
  }
});

test("each subpath has declarations and a bundled file", () => {
  for (const path of Object.values(deno.exports as Record<string, string>)) {
    assert.ok(types.includes(`"${path.slice(2)}"`), path);
  }
});

test("both publish the same files, but for declarations and bundled files", () => {
  const files = (npm.files as string[]).filter((name) => name !== "types" && name !== "dist");
  assert.equal([...deno.publish.include].sort(), files.sort());
});

test.run();
