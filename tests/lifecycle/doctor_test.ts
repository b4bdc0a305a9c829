/**
 * The report of the doctor where an obstacle exists, each time with the real thing: a seccomp
 * filter, Docker's own, a sysctl, a limit of locked memory, permissions that were not given, a
 * library of another machine. And that a network with the defaults works there, or says the same.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { EMBEDDED } from "../../ffi/embedded.ts";
import { ERRNO } from "../../src/base/errno.ts";
import { kernelAtLeast } from "../../src/net/config/capabilities.ts";
import { assert, Random, suite } from "../harness.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "uringnet-doctor-"));
const launcherPath = join(folder, "launcher");
const source = fileURLToPath(new URL("./launcher.c", import.meta.url));
execFileSync(process.env.CC || "cc", ["-O1", "-Wall", "-Wextra", "-o", launcherPath, source]);
// Under another name: a Deno that starts Deno gives it all permissions where it passes none.
const runtimePath = join(folder, "runtime");
symlinkSync(process.execPath, runtimePath);
execFileSync("chmod", ["-R", "a+rx", folder]);

const inDeno = "Deno" in globalThis;
const test = suite("doctor", {}, { timeoutMs: 60_000 });
test.after(() => rmSync(folder, { recursive: true }));

interface Setting {
  launcher?: readonly string[];
  /** Flags of `deno run`; all permissions unless given. */
  flags?: readonly string[];
  options?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

interface Ran {
  code: number | null;
  output: string;
  errors: string;
}

function run(file: string, { launcher, flags, options, env }: Setting): Ran {
  const allowed = flags ?? ["-A"];
  const engine = inDeno
    ? ["run", "--no-prompt", "--no-check", "--no-lock", "--config", `${root}/deno.json`, ...allowed]
    : [];
  const prefix = launcher === undefined ? [] : [launcherPath, ...launcher, "--"];
  const { HOME: home, PATH: path } = process.env;
  const variables: Record<string, string | undefined> = {
    PATH: path,
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
    ...(home === undefined ? {} : { HOME: home }),
    ...env,
  };
  const world = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const command = [
    "env",
    "-i",
    ...world,
    ...prefix,
    runtimePath,
    ...engine,
    join(root, file),
    ...options ?? [],
  ];
  const ran = spawnSync(command[0], command.slice(1), {
    cwd: root,
    encoding: "utf8",
    timeout: 50_000,
  });
  return { code: ran.status, output: ran.stdout, errors: ran.stderr };
}

// deno-lint-ignore no-explicit-any
function examined(setting: Setting): { code: number | null; found: any } {
  const { code, output, errors } = run("src/doctor.ts", { ...setting, options: ["--json"] });
  assert.ok(output.startsWith("{"), `${output}\n${errors}`);
  return { code, found: JSON.parse(output) };
}

/** A network with the defaults is portable, works, and one line says why. */
function expectFallback(setting: Setting, words: readonly string[]): void {
  const { code, output, errors } = run("tests/lifecycle/programs/fallback.ts", setting);
  assert.is(code, 0, errors);
  assert.match(output, "<portable portable true>");
  const lines = errors.split("\n").filter((line) => line.startsWith("uringnet:"));
  assert.is(lines.length, 1, errors);
  for (const word of words) assert.match(lines[0], word);
}

/** io_uring is refused for this reason, the portable backend works. */
function expectPortable(setting: Setting, words: readonly string[]): void {
  const { code, found } = examined(setting);
  assert.equal([code, found.exitCode, found.backend], [1, 1, "portable"]);
  assert.equal([found.ioUring.works, found.portable.works], [false, true]);
  for (const word of words) assert.match(found.ioUring.refusal, word);
  assert.match(found.advice[0], "for io_uring: ");
  expectFallback(setting, words);
}

test("where io_uring works: exit code 0, the library and where it is from", () => {
  const { code, found } = examined({});
  assert.equal([code, found.backend, found.advice], [0, "io_uring", []]);
  assert.equal([found.ioUring.works, found.portable.works], [true, true]);
  assert.match(found.library.place, /file beside the module|embedded copy/);
  assert.is(found.system.kernel, release());
  assert.ok(found.ioUring.features.deferTaskrun);
  assert.is(found.runtime.name, inDeno ? "Deno" : "Bun");
});

test("the text names each thing once, and the self-test echoes", () => {
  const { code, output } = run("src/doctor.ts", { options: ["--selftest"] });
  assert.is(code, 0);
  const labels = output.split("\n").map((line) => line.slice(0, 12).trim()).filter(Boolean);
  const wanted = ["runtime", "system", "sysctl", "seccomp", "memlock", "library", "features"];
  wanted.push("io_uring", "portable", "backend", "selftest");
  assert.equal(labels.filter((label) => label !== "permissions"), wanted);
  assert.match(output, /selftest +passed: io_uring, [1-9]\d* echoes/);
});

test("an unknown option: exit code 2, and the usage", () => {
  const { code, errors } = run("src/doctor.ts", { options: ["--wat"] });
  assert.is(code, 2);
  assert.match(errors, "unknown option --wat");
});

test("the command of the package", () => {
  const ran = run("bin/uringnet.ts", { options: ["doctor", "--json"] });
  assert.is(JSON.parse(ran.output).backend, "io_uring");
  assert.equal([run("bin/uringnet.ts", {}).code, ran.code], [2, 0]);
});

test("a seccomp filter", () => {
  const setting = { launcher: ["--deny", "setup", String(ERRNO.EPERM)] };
  expectPortable(setting, ["seccomp filter", "allow io_uring_setup"]);
  const { found } = examined(setting);
  assert.is(found.system.seccompFilter, true);
  const tested = run("src/doctor.ts", { ...setting, options: ["--selftest"] });
  assert.match(tested.output, /selftest +passed: portable/);
});

const sysctlPath = join(folder, "io_uring_disabled");
writeFileSync(sysctlPath, "2\n");
const shown = spawnSync(launcherPath, ["--sysctl", sysctlPath, "--", "true"], { encoding: "utf8" });
const noMounts = shown.status === 0 ? null : `no mounts of one's own: ${shown.stderr.trim()}`;

test.skipIf(noMounts, "kernel.io_uring_disabled=2", () => {
  const launcher = ["--sysctl", sysctlPath, "--deny", "setup", String(ERRNO.EPERM)];
  expectPortable({ launcher }, ["sysctl kernel.io_uring_disabled=2", "set it to 0"]);
  assert.is(examined({ launcher }).found.system.ioUringDisabled, "2");
});

const counted = kernelAtLeast(release(), 6, 14) ? null : "this kernel does not count rings";

test.skipIf(counted, "8 KiB of locked memory", () => {
  const user = process.getuid?.() === 0
    ? ["--uid", String(new Random().int(100_000, 999_999))]
    : [];
  const launcher = ["--memlock", "8192", ...user];
  expectPortable({ launcher }, ["limit of locked memory (8192 bytes)", "ulimit -l"]);
  assert.is(examined({ launcher }).found.system.memlockBytes, 8_192);
});

test.skipIf(noMounts, "Docker's filter, read-only, without /dev/shm, HOME and privileges", () => {
  const user = process.getuid?.() === 0 ? ["--uid", "65534"] : [];
  const launcher = ["--read-only", ...user, "--docker"];
  const script = 'test -z "$HOME" && test ! -e /dev/shm/. -o -z "$(ls -A /dev/shm)" && ' +
    `! echo x 2>/dev/null >${folder}/x`;
  const world = spawnSync(launcherPath, [...launcher, "--", "sh", "-c", script]);
  assert.is(world.status, 0, "nothing can be written, and there is no home");
  expectPortable({ launcher }, ["seccomp filter", "docker run --security-opt seccomp"]);
});

const [foreign, foreignNumber] = process.arch === "arm64"
  ? [EMBEDDED.x86_64, 62]
  : [EMBEDDED.aarch64, 183];

/** The copy of the library that is carried along for another machine. */
function foreignLibrary(): string {
  const path = join(folder, "foreign.so");
  writeFileSync(path, Buffer.from(foreign.base64(), "base64"));
  return path;
}

test("a library of another machine, and none", () => {
  for (const path of [foreignLibrary(), join(folder, "none.so")]) {
    const env = { URINGNET_LIBRARY: path };
    expectPortable({ env }, ["environment variable URINGNET_LIBRARY"]);
    const { found } = examined({ env });
    assert.is(found.library.place, null);
    assert.match(found.library.refusal, "URINGNET_LIBRARY");
    const told = `${path} is for another machine (ELF machine ${foreignNumber})`;
    assert.is(found.ioUring.refusal.includes(told), path.endsWith("foreign.so"));
  }
});

test("a file of any size in the place of the library", () => {
  const path = join(folder, "sparse.so");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 36);
  for (const file of [path, "/dev/zero"]) {
    const { code, found } = examined({ env: { URINGNET_LIBRARY: file } });
    assert.is(code, 1);
    assert.match(found.ioUring.refusal, `${file} is not a shared library`);
  }
});

test("URINGNET_BACKEND names a backend, and a wrong name is reported", () => {
  const portable = examined({ env: { URINGNET_BACKEND: "portable" } });
  assert.equal([portable.found.backend, portable.found.variable], ["portable", "portable"]);
  const ran = run("tests/lifecycle/programs/fallback.ts", {
    env: { URINGNET_BACKEND: "portable" },
  });
  assert.match(ran.output, "<portable portable true>");
  assert.not.match(ran.errors, "uringnet:");
  const wrong = examined({ env: { URINGNET_BACKEND: "fast" } });
  assert.equal([wrong.code, wrong.found.exitCode, wrong.found.backend], [2, 2, null]);
  assert.is(
    wrong.found.advice[0],
    'URINGNET_BACKEND is "fast", which names no backend: set it to auto, io_uring or portable, ' +
      "or unset it",
  );
  const refused = run("tests/lifecycle/programs/fallback.ts", {
    env: { URINGNET_BACKEND: "fast" },
  });
  assert.match(refused.errors, 'wanted one of auto, io_uring, portable, given "fast"');
});

test("URINGNET_BACKEND names a backend that cannot be used: exit code 2", () => {
  const env = { URINGNET_BACKEND: "io_uring", URINGNET_LIBRARY: join(folder, "none.so") };
  const { code, found } = examined({ env });
  assert.equal([code, found.backend, found.portable.works], [2, null, true]);
  assert.is(
    found.advice[0],
    'URINGNET_BACKEND is "io_uring", which cannot be used here: unset it',
  );
});

const denoOnly = inDeno ? null : "Bun has no permissions";

test.skipIf(denoOnly, "without a permission: exit code 2, and which are missing", () => {
  const { code, found } = examined({ flags: [] });
  assert.equal([code, found.backend], [2, null]);
  const states = Object.values(found.runtime.permissions);
  assert.equal(states, Array(states.length).fill("missing"));
  assert.equal(found.advice, [
    "for io_uring: Deno was run without --allow-ffi, which io_uring needs; add it",
    "for the portable backend: Deno was run without --allow-net, which the portable backend " +
    "needs; add it",
  ]);
});

test.skipIf(denoOnly, "with --allow-net alone the portable backend works", () => {
  expectPortable({ flags: ["--allow-net"] }, ["--allow-ffi"]);
});

test.skipIf(denoOnly, "a list of --allow-net that has the loopback interface is enough", () => {
  const flags = ["--allow-net=127.0.0.1"];
  expectPortable({ flags }, ["--allow-ffi"]);
  assert.is(examined({ flags }).found.runtime.permissions.net, "partial");
  const other = examined({ flags: ["--allow-net=192.0.2.1"] });
  assert.equal([other.code, other.found.runtime.permissions.net], [2, "missing"]);
});

test.skipIf(denoOnly, "with --allow-ffi alone io_uring works", () => {
  const { code, found } = examined({ flags: ["--allow-ffi"] });
  assert.equal([code, found.backend, found.portable.works], [0, "io_uring", false]);
  assert.is(found.system.kernel, release());
});

test.run();
