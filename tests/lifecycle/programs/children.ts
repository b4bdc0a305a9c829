/**
 * Starts children while a network is under load: programs, through the runtime, and copies of this
 * process, through fork(2). Both must be without effect on the network, and it on them.
 *
 *   children.ts spawn|fork
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Network } from "../../../mod.ts";
import {
  closeChecked,
  connect,
  expectAlive,
  expectBytes,
  expectEnd,
  Pair,
  pattern,
  pause,
  until,
} from "../../contract/fixture.ts";
import { assert } from "../../harness.ts";

const CHILDREN = 4;
const FORK_CODE = 5;

/** The arguments of this program, which it passes on. */
const given = new Set(openIn(process.pid));
const network = await Network.start();
let stop = false;
let rounds = 0;

async function load(size: number): Promise<void> {
  const pair = await connect(network);
  const message = pattern(size);
  while (!stop) {
    await Promise.all([pair.client.sink.send(message), expectBytes(pair.server, message)]);
    rounds++;
  }
  await pair[Symbol.asyncDispose]();
}

/** The network makes progress. */
async function expectProgress(): Promise<void> {
  const goal = rounds + 200;
  await until(() => rounds > goal, "the load goes on");
}

/** The open descriptors of a process, without those that it has closed since they were listed. */
function openIn(pid: number): string[] {
  const targets: string[] = [];
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      targets.push(`${fd} -> ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
    }
  }
  return targets;
}

/** The descriptors of a child that it should not have. */
function unknownIn(pid: number): string[] {
  const standard = [0, 1, 2].map((fd) => `${fd} -> /dev/null`);
  return openIn(pid).filter((fd) => !given.has(fd) && !standard.includes(fd));
}

/**
 * A child that was given nothing. Its loader opens libraries and closes them again, so that what
 * is open at first says nothing; but what a program was given, sleep(1) never closes.
 */
async function spawnOne(): Promise<ChildProcess> {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const pid = child.pid as number;
  await until(() => readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "sleep", "it runs");
  let unknown: string[] = [];
  await until(() => (unknown = unknownIn(pid)).length === 0, "no descriptor of this process")
    .catch((error) => {
      assert.equal(unknown, [], "descriptors that a child was given");
      throw error;
    });
  return child;
}

async function spawnAll(): Promise<void> {
  const children: ChildProcess[] = [];
  for (let i = 0; i < CHILDREN; i++) {
    children.push(await spawnOne());
    await expectProgress();
  }
  for (const child of children) {
    const exited = new Promise<void>((resolve) => child.on("exit", () => resolve()));
    child.kill("SIGKILL");
    await exited;
    await expectProgress();
  }
}

interface ForkLibrary {
  fork_child(code: number): number;
  waitpid(pid: number, status: Uint8Array, options: number): number;
}

/** Compiles and opens `fork.c`; waitpid comes with the C library. */
function openForkLibrary(): ForkLibrary {
  const folder = mkdtempSync(join(tmpdir(), "uringnet-fork-"));
  const path = join(folder, "fork.so");
  const source = fileURLToPath(new URL("./fork.c", import.meta.url));
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-Wall", "-Werror", "-o", path, source]);
    if (!("Bun" in globalThis)) {
      // deno-lint-ignore no-explicit-any
      return (globalThis as any).Deno.dlopen(path, {
        fork_child: { parameters: ["i32"], result: "i32" },
        waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
      }).symbols;
    }
    const { dlopen } = process.getBuiltinModule("bun:ffi" as "node:fs") as unknown as {
      dlopen(path: string, table: unknown): { symbols: ForkLibrary };
    };
    return dlopen(path, {
      fork_child: { args: ["i32"], returns: "i32" },
      waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
    }).symbols;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The code of a child that has ended, or null while it runs. */
function reap(library: ForkLibrary, pid: number): number | null {
  const status = new Uint8Array(4);
  const noHang = 1;
  const found = library.waitpid(pid, status, noHang);
  if (found === 0) return null;
  assert.is(found, pid);
  assert.is(status[0] & 0x7f, 0, "the signal that ended a child");
  return status[1];
}

async function forkAll(): Promise<void> {
  const library = openForkLibrary();
  for (let i = 0; i < CHILDREN; i++) {
    const pair: Pair = await connect(network);
    const pid = library.fork_child(FORK_CODE);
    assert.ok(pid > 0, "fork");
    await expectProgress();
    await expectAlive(pair);
    // The child has a copy of the descriptor: the peer must see the end all the same.
    await pair.client.close();
    await expectEnd(pair.server);
    assert.is(reap(library, pid), null, "the child still lives");
    process.kill(pid, "SIGTERM");
    let code: number | null = null;
    await until(() => (code = reap(library, pid)) !== null, "the child ends");
    assert.is(code, FORK_CODE);
    await expectProgress();
    await pair[Symbol.asyncDispose]();
  }
}

const loads = [64, 4_096, 300_000].map(load);
const stuck = await connect(network);
stuck.client.sink.send(new Uint8Array(24 << 20)).catch(() => {});
stuck.client.stream.recv(1).catch(() => {});
await pause(20);
if (process.argv.at(-1) === "fork") await forkAll();
else await spawnAll();
stop = true;
await Promise.all(loads);
await stuck[Symbol.asyncDispose]();
await closeChecked(network);
console.log(`<unharmed after ${rounds} rounds>`);
process.exit(0);
