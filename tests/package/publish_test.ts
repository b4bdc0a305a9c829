/**
 * Publishing, by the targets that a maintainer runs, in a copy like a fresh clone.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { copyCheckout, emptyDirectory, filesOf, run } from "./tools.ts";

const test = suite<{ copy: ReturnType<typeof emptyDirectory> }>(
  "publishing",
  {} as { copy: ReturnType<typeof emptyDirectory> },
  { timeoutMs: 360_000 },
);

const missing = (program: string) =>
  spawnSync(program, ["--version"]).status === 0 ? null : `${program} is not installed`;

test.before((context) => {
  context.copy = emptyDirectory();
  copyCheckout(context.copy.path);
  for (const name of ["deno.json", "deno.lock", "Makefile"]) {
    cpSync(join(ROOT, name), join(context.copy.path, name));
  }
});

test.after((context) => {
  context.copy[Symbol.dispose]();
});

test.skipIf(
  missing("make"),
  "`make publish-check`: deno publish accepts the package, without slow types",
  async ({ copy }) => {
    const ran = await run(["make", "publish-check"], { cwd: copy.path });
    assert.is(ran.code, 0, ran.output + ran.errors);
    assert.match(ran.output + ran.errors, "Dry run complete");
    const listed = [...(ran.output + ran.errors).matchAll(/file:\/\/(\S+) \(/g)]
      .map(([, path]) => path.slice(copy.path.length + 1));
    for (const name of ["mod.ts", "deps.ts", "LICENSE", "ffi/embedded/x86_64.ts"]) {
      assert.ok(listed.includes(name), `publishes ${name}`);
    }
    assert.equal(listed.filter((name) => /^(?:tests|bench|scripts|ffi\/build)\//.test(name)), []);
  },
);

test.skipIf(
  missing("make") ?? missing("npm"),
  "`make pack`: npm packs the package with its declarations",
  async ({ copy }) => {
    const ran = await run(["make", "pack"], { cwd: copy.path });
    assert.is(ran.code, 0, ran.output + ran.errors);
    const [tarball] = readdirSync(copy.path).filter((name) => name.endsWith(".tgz"));
    const files = await filesOf(join(copy.path, tarball));
    for (const name of ["mod.ts", "types/mod.d.ts", "docs/API.md"]) assert.ok(files.includes(name));
  },
);

test.run();
