/**
 * The portable backend as a process sees it: what keeps it alive, without a foreign call, without
 * /proc, and where the system claims to be another one.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { assert, suite } from "../harness.ts";
import { endChildren } from "./child.ts";
import { keepAliveTests } from "./keep_alive.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const inDeno = "Deno" in globalThis;
/** All unit tests in a child process, beside other suites. */
const UNIT_TESTS_MS_MAX = 150_000;
const test = suite("portable processes", {}, { timeoutMs: UNIT_TESTS_MS_MAX + 10_000 });

// Children inherit it.
process.env.URINGNET_BACKEND = "portable";

test.after(() => {
  delete process.env.URINGNET_BACKEND;
  endChildren();
});

keepAliveTests(test);

for (const platform of ["darwin", "win32"]) {
  test(`all unit tests pass where the system claims to be ${platform}`, () => {
    const files = ["tests/unit", "tests/contract/portable_differences_test.ts"];
    const preload = ["--preload", "./tests/support/fake_platform.ts"];
    const command = inDeno
      ? ["test", "--no-check", "--no-lock", "-A", ...preload, ...files]
      : ["test", ...preload, ...files];
    const ran = spawnSync(process.execPath, command, {
      cwd: root,
      encoding: "utf8",
      timeout: UNIT_TESTS_MS_MAX,
      env: { ...process.env, FAKE_PLATFORM: platform, NO_COLOR: "1" },
    });
    const output = `${ran.stdout}${ran.stderr}`;
    assert.is(ran.status, 0, output);
    assert.match(output, inDeno ? /\d{3} passed \| 0 failed/ : /\d{3} pass\n\s*0 fail/);
  });
}

test.run();
