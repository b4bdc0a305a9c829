/**
 * Where io_uring is refused: with a real seccomp filter, a real limit of locked memory, a real
 * limit of descriptors, each in a process of its own. Every refusal names its cause and the remedy.
 *
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ERRNO } from "../../src/base/errno.ts";
import { kernelAtLeast } from "../../src/net/config/capabilities.ts";
import { assert, Random, suite } from "../harness.ts";
import { endChildren, start } from "./child.ts";

interface Attempt {
  config: Record<string, unknown>;
  room?: number;
}

interface Outcome {
  supported: boolean;
  reason: string | null;
  started: boolean;
  entries: number[];
  echoed: boolean;
  backend: string;
  /** The reasons that `onFallback` was called with. */
  fallbacks: string[];
  typed: boolean;
  code: string;
  errno: string | null;
  operation: string;
  message: string;
  left: number;
}

/** The expected words of an explanation. */
type Words = string | RegExp;

interface Setting {
  /** Arguments of the launcher. */
  launcher?: readonly string[];
  descriptorsMax?: number;
  preload?: boolean;
}

const SHARED: Attempt = { config: { backend: "io_uring", ring: { topology: "shared" } } };
const SPLIT: Attempt = { config: { backend: "io_uring", ring: { topology: "split" } } };
const BOTH = [SHARED, SPLIT];

const folder = mkdtempSync(join(tmpdir(), "uringnet-"));
const launcherPath = join(folder, "launcher");

const test = suite("availability", {}, { timeoutMs: 120_000 });

const source = fileURLToPath(new URL("./launcher.c", import.meta.url));
const flags = ["-O1", "-Wall", "-Wextra", "-Werror"];
execFileSync(process.env.CC || "cc", [...flags, "-o", launcherPath, source]);
// For the user without privileges.
execFileSync("chmod", ["-R", "a+rx", folder]);

test.after(() => {
  endChildren();
  rmSync(folder, { recursive: true });
});

async function outcomes(
  attempts: readonly Attempt[],
  { launcher, descriptorsMax, preload = true }: Setting,
): Promise<Outcome[]> {
  const program = start("available", {
    args: [JSON.stringify({ attempts, preload })],
    ...(launcher === undefined ? {} : { prefix: [launcherPath, ...launcher, "--"] }),
    ...(descriptorsMax === undefined ? {} : { descriptorsMax }),
  });
  const [, json] = await program.line(/<(\[.*\])>/);
  const { code, output } = await program.ended;
  assert.is(code, 0, output);
  return JSON.parse(json) as Outcome[];
}

/** Refused, and the probe and the error say the same. */
function expectRefusal(outcome: Outcome, errno: string, words: readonly Words[]): void {
  const { supported, reason, started, typed, code, operation, message } = outcome;
  assert.equal([supported, started, typed], [false, false, true], message);
  assert.equal([code, outcome.errno, operation], ["Unsupported", errno, "start"]);
  assert.is(message, `Cannot start the network: ${reason}`);
  for (const word of words) assert.match(message, word);
  assert.is(outcome.left, 0, "no descriptor is left");
}

const FILTER = ["seccomp filter", "allow io_uring_setup, io_uring_enter and io_uring_register"];

const FILTERS: readonly [call: string, errno: string, words: readonly Words[]][] = [
  ["setup", "EPERM", FILTER],
  ["setup", "ENOSYS", FILTER],
  ["setup", "EACCES", ["security module", "in the policy"]],
  ["setup", "EINVAL", [`kernel ${release()} refuses the flags`, "Linux 6.1 or newer"]],
  ["setup", "ENFILE", ["too many open files in the system", "fs.file-max"]],
  ["enter", "EPERM", FILTER],
  ["enter", "ENOSYS", FILTER],
  ["register", "EPERM", FILTER],
  ["register", "ENOSYS", FILTER],
];

for (const [call, errno, words] of FILTERS) {
  test(`a seccomp filter answers io_uring_${call} with ${errno}: refused, and why`, async () => {
    const launcher = ["--deny", call, String(ERRNO[errno])];
    for (const outcome of await outcomes(BOTH, { launcher })) expectRefusal(outcome, errno, words);
  });
}

/** A file that can be shown in the place of the sysctl, to the child alone. */
const sysctlPath = join(folder, "io_uring_disabled");
writeFileSync(sysctlPath, "0\n");
const shown = spawnSync(launcherPath, ["--sysctl", sysctlPath, "--", "true"], { encoding: "utf8" });
const noMounts = shown.status === 0 ? null : `no mounts of one's own: ${shown.stderr.trim()}`;

for (const [value, remedy] of [["1", "kernel.io_uring_group"], ["2", "turned off"]]) {
  test.skipIf(noMounts, `kernel.io_uring_disabled=${value}: refused, and why`, async () => {
    writeFileSync(sysctlPath, `${value}\n`);
    const launcher = ["--sysctl", sysctlPath, "--deny", "setup", String(ERRNO.EPERM)];
    const words = [`sysctl kernel.io_uring_disabled=${value}`, "set it to 0", remedy];
    for (const outcome of await outcomes(BOTH, { launcher })) {
      expectRefusal(outcome, "EPERM", words);
    }
  });
}

test("auto falls back to the portable backend, which works, and reports the reason", async () => {
  const attempts = [undefined, "auto"].map((backend) => ({ config: backend ? { backend } : {} }));
  const launcher = ["--deny", "setup", String(ERRNO.EPERM)];
  for (const outcome of await outcomes(attempts, { launcher })) {
    assert.equal([outcome.supported, outcome.started, outcome.echoed], [false, true, true]);
    assert.is(outcome.backend, "portable");
    assert.equal(outcome.entries, [], "no ring is open");
    assert.equal(outcome.fallbacks, [outcome.reason]);
  }
});

test("auto takes io_uring where it can be used, and reports nothing", async () => {
  const [outcome] = await outcomes([{ config: {} }], {});
  assert.equal([outcome.backend, outcome.fallbacks], ["io_uring", []]);
});

test("auto falls back when the probe works and the network's own ring is refused", async () => {
  const launcher = ["--deny-above", "4", String(ERRNO.ENOMEM)];
  const [outcome] = await outcomes([{ config: {} }], { launcher });
  assert.equal([outcome.started, outcome.echoed, outcome.backend], [true, true, "portable"]);
  assert.is(outcome.fallbacks.length, 1);
});

test("a kernel that has no memory for more than 64 entries: the ring is made smaller", async () => {
  const launcher = ["--deny-above", "64", String(ERRNO.ENOMEM)];
  const [shared, split] = await outcomes(BOTH, { launcher });
  // The small ring of each is its doorbell.
  assert.equal(shared.entries, [8, 64], shared.message);
  assert.equal(split.entries, [8, 8, 64, 64], split.message);
  assert.ok(shared.echoed && split.echoed);
});

test("a kernel that has no memory for the smallest ring: refused, and why", async () => {
  const launcher = ["--deny", "setup", String(ERRNO.ENOMEM)];
  const words = [/limit of locked memory \(\d+ bytes\).*ulimit -l|not limited.*more memory/];
  for (const outcome of await outcomes(BOTH, { launcher })) {
    expectRefusal(outcome, "ENOMEM", words);
  }
});

/** Since Linux 6.14 rings count against the limit of locked memory, except for privileged users. */
const rings = kernelAtLeast(release(), 6, 14) ? null : "this kernel does not count rings";

/** Another user each time: what a user holds is given back some time after its processes ended. */
function unprivileged(memlockBytes: number): string[] {
  const user = process.getuid?.() === 0
    ? ["--uid", String(new Random().int(100_000, 999_999))]
    : [];
  return ["--memlock", String(memlockBytes), ...user];
}

for (const [name, attempt, whole] of [["shared", SHARED, 1], ["split", SPLIT, 2]] as const) {
  test.skipIf(rings, `48 KiB of locked memory, ${name}: smaller rings, which work`, async () => {
    const [outcome] = await outcomes([attempt], { launcher: unprivileged(49_152) });
    assert.ok(outcome.started, outcome.message);
    assert.ok(outcome.echoed);
    assert.is(outcome.entries.length, 2 * whole);
    const largest = outcome.entries.at(-1) as number;
    assert.ok(largest >= 8 && largest < 256, `${outcome.entries}`);
  });
}

test("an unprivileged user with 1 MiB of locked memory gets rings of full size", async () => {
  const [shared] = await outcomes([SHARED], { launcher: unprivileged(1 << 20) });
  assert.equal(shared.entries, [8, 256], shared.message);
  assert.ok(shared.echoed);
});

test.skipIf(rings, "8 KiB of locked memory: refused, with the limit and the remedy", async () => {
  const words = ["limit of locked memory (8192 bytes)", "ulimit -l", "--ulimit memlock=-1"];
  for (const outcome of await outcomes(BOTH, { launcher: unprivileged(8_192) })) {
    expectRefusal(outcome, "ENOMEM", words);
  }
});

test("with few descriptors left it is EMFILE and leaves none behind, or it works", async () => {
  const rooms = Array.from({ length: 16 }, (_, room) => room);
  for (const attempt of BOTH) {
    const attempts = rooms.map((room) => ({ ...attempt, room }));
    const results = await outcomes(attempts, { descriptorsMax: 120 });
    const first = results.findIndex(({ started }) => started);
    assert.ok(first >= 4 && first <= 14, `starts with ${first} descriptors`);
    results.forEach((outcome, room) => {
      assert.is(outcome.started, room >= first, `${room} descriptors: ${outcome.message}`);
      if (outcome.started) {
        assert.ok(outcome.echoed);
        return;
      }
      assert.equal([outcome.typed, outcome.code, outcome.errno], [true, "Unsupported", "EMFILE"]);
      assert.match(outcome.message, "ulimit -n");
      assert.is(outcome.left, 0, `${room} descriptors`);
    });
  }
});

test("without a descriptor to load the library with, the error names every place", async () => {
  const attempts = [{ ...SHARED, room: 0 }, SHARED];
  const [refused, later] = await outcomes(attempts, { descriptorsMax: 120, preload: false });
  assert.equal([refused.typed, refused.code], [true, "Unsupported"], refused.message);
  for (const place of ["file beside the module", "embedded copy"]) {
    assert.match(refused.message, place);
  }
  assert.is(refused.left, 0);
  assert.ok(later.started && later.echoed, later.message);
});

test.run();
