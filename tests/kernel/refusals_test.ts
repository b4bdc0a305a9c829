/**
 * Real refusals, in the emulated machine: a kernel that lacks parts of io_uring, and the sysctl
 * `kernel.io_uring_disabled`. The doctor says why, `probe()` says the same, and a network with the
 * defaults is portable and works. The tests are for the machine that scripts/test_kernel.sh boots:
 * nowhere else may a test turn io_uring off.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { release } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Network, probe } from "../../mod.ts";
import { kernelAtLeast } from "../../src/net/config/capabilities.ts";
import { assert, suite } from "../harness.ts";

const SYSCTL_PATH = "/proc/sys/kernel/io_uring_disabled";
const root = fileURLToPath(new URL("../..", import.meta.url));
const test = suite("refusals", {}, { timeoutMs: 120_000 });

interface Ran {
  code: number | null;
  output: string;
  errors: string;
}

function run(file: string, ...options: string[]): Ran {
  const engine = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-lock"] : [];
  const ran = spawnSync(process.execPath, [...engine, `${root}/${file}`, ...options], {
    cwd: root,
    encoding: "utf8",
  });
  return { code: ran.status, output: ran.stdout, errors: ran.stderr };
}

/** io_uring is refused for this reason; what is left works. */
async function expectPortable(words: string): Promise<void> {
  const { supported, reason } = probe();
  assert.is(supported, false);
  assert.match(reason ?? "", words);
  const refused = await assert.rejects(Network.start({ backend: "io_uring" }));
  assert.match(String(refused), words);
  const { code, output, errors } = run("src/doctor.ts", "--json");
  assert.is(code, 1, errors);
  const found = JSON.parse(output);
  assert.equal([found.backend, found.portable.works], ["portable", true]);
  assert.match(found.ioUring.refusal, words);
  assert.match(found.advice[0], words);
  const tested = run("src/doctor.ts", "--selftest");
  assert.is(tested.code, 1);
  assert.match(tested.output, /selftest +passed: portable, [1-9]\d* echoes/);
  console.log(tested.output);
  const fallen = run("tests/lifecycle/programs/fallback.ts");
  assert.match(fallen.output, "<portable portable true>");
  const lines = fallen.errors.split("\n").filter((line) => line.startsWith("uringnet:"));
  assert.is(lines.length, 1, fallen.errors);
  assert.match(lines[0], words);
}

const young = kernelAtLeast(release(), 6, 1) ? `${release()} is new enough` : null;

test.skipIf(young, "an old kernel", () => expectPortable(release()));

/** By a child: Deno shows `/proc` only with all permissions. */
function setSysctl(value: 0 | 2): void {
  const { status } = spawnSync("sh", ["-c", `echo ${value} > ${SYSCTL_PATH}`]);
  assert.is(status, 0, `${SYSCTL_PATH} takes ${value}`);
}

const emulated = process.env.URINGNET_TEST_EMULATED === "1";
const unswitchable = !emulated
  ? "only in an emulated machine"
  : kernelAtLeast(release(), 6, 6)
  ? null
  : `${release()} has no such sysctl`;

test.skipIf(unswitchable, "kernel.io_uring_disabled=2, set in the kernel itself", async () => {
  setSysctl(2);
  try {
    await expectPortable("sysctl kernel.io_uring_disabled=2");
  } finally {
    setSysctl(0);
  }
  assert.is(probe().supported, true);
});

test.run();
