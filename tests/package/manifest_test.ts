/**
 * deno.json and package.json describe one package: the same version, license and subpaths.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
  assert.equal(
    Object.entries(deno.exports),
    subpaths.map(([path, entry]) => [path, entry.default]),
  );
  for (const [path, entry] of subpaths) {
    assert.ok(existsSync(join(ROOT, entry.default)), path);
    assert.is(entry.types, `./types/${entry.default.slice(2).replace(/\.ts$/, ".d.ts")}`);
  }
});

test("declarations are emitted for each subpath", () => {
  for (const path of Object.values(deno.exports as Record<string, string>)) {
    assert.ok(types.includes(`"${path.slice(2)}"`), path);
  }
});

test("both publish the same files, but for the emitted declarations", () => {
  const files = (npm.files as string[]).filter((name) => name !== "types");
  assert.equal([...deno.publish.include].sort(), files.sort());
});

test.run();
