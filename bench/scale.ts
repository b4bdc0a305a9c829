/**
 * The cost of tens of thousands of connections: real ones between two processes of this library, as
 * many as the limit of descriptors allows, on request beside as many between other processes, and
 * more of them over plain memory, without a kernel.
 *
 *   real        dial all -> memory of both ends and of the kernel -> silence -> echoes on a part of
 *               them -> close
 *   simulated   bench/scale/memory_echo.ts: the library's JavaScript alone
 *
 * Two processes of this library talk over 127.0.0.1, 127.0.0.2 and so on: an address has 28,232
 * ports. docs/SCALE.md explains the figures.
 *
 * Usage: bun scale.ts [--connections N] [--pairs N] [--active LIST] [--simulated LIST]
 *          [--runtime bun|deno] [--seconds S] [--semi-space MIB]
 *        deno run --allow-all scale.ts ...
 *
 * With `--pairs 2`, two more processes hold as many silent connections meanwhile, and so on: the
 * limit of descriptors applies to each process.
 * `--semi-space` is the size of V8's space for young objects, in Deno. Bounded: each process ends
 * after 5 minutes, and a simulation that would need more than half of the free memory is left out.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { parseArgs } from "node:util";
import { describeMachine, type Machine, readMachine } from "./lib/machine.ts";
import { BENCH_FOLDER, Runtimes } from "./lib/peers.ts";
import { runProgram } from "./lib/processes.ts";
import { textTable } from "./lib/table.ts";
import type { MemoryReport } from "./scale/memory_echo.ts";
import type { CloseReport, CpuReport, DialReport, PeerState } from "./scale/peer.ts";

type RuntimeName = "bun" | "deno";

/** Descriptors of a process besides its connections. */
const SPARE_FILES = 60;
const ADDRESS_COUNT = 8;
const PROCESS_MS_MAX = 300_000;
const IDLE_SECONDS = 2;
/** Memory of a simulated connection, and of the runtime, at the most. */
const SIMULATED_BYTES = 6_000;

const { values } = parseArgs({
  options: {
    connections: { type: "string" },
    pairs: { type: "string", default: "1" },
    active: { type: "string", default: "1000,2000,5000,10000,20000" },
    simulated: { type: "string", default: "50,1000,10000,100000,1000000" },
    runtime: { type: "string", default: "bun,deno" },
    seconds: { type: "string", default: "2" },
    "semi-space": { type: "string" },
  },
});

function numbers(list: string): number[] {
  return list.split(",").filter((word) => word !== "").map(Number);
}

/** 1234.5 -> "1,235"; small numbers keep digits. */
function shown(value: number): string {
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/** The command that starts a program of this folder. */
function commandOf(runtimes: Runtimes, runtime: RuntimeName, program: string): string[] | null {
  const start = runtimes.of(runtime);
  if (start === null) return null;
  const mib = values["semi-space"];
  const young = mib === undefined
    ? ""
    : `,--min-semi-space-size=${mib},--max-semi-space-size=${mib}`;
  const flags = runtime === "deno" ? [`--v8-flags=--expose-gc${young}`] : [];
  return [...start, ...flags, join(BENCH_FOLDER, "scale", program)];
}

/** A process of bench/scale/peer.ts. */
class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #timer: ReturnType<typeof setTimeout>;
  port = 0;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
    this.#timer = setTimeout(() => child.kill("SIGKILL"), PROCESS_MS_MAX);
  }

  static async start(
    command: readonly string[],
    role: "accept" | "dial",
    pin: string | null,
  ): Promise<Peer> {
    const [program, ...args] = [...(pin === null ? [] : ["taskset", "-c", pin]), ...command, role];
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    const peer = new Peer(child, createInterface({ input: child.stdout! }));
    peer.port = Number((await peer.#line()).split(" ")[1]);
    return peer;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("a peer has ended");
    return value;
  }

  async ask<T>(command: string): Promise<T> {
    this.#child.stdin!.write(`${command}\n`);
    return JSON.parse(await this.#line()) as T;
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    clearTimeout(this.#timer);
  }
}

// ---- The kernel's memory -----------------------------------------------------------------------

/** Bytes of the kernel's objects by kind; empty where /proc/slabinfo cannot be read. */
function slabs(): Map<string, number> {
  try {
    const lines = readFileSync("/proc/slabinfo", "utf8").trim().split("\n").slice(2);
    return new Map(lines.map((line) => {
      const [name, active, , size] = line.split(/\s+/);
      return [name, Number(active) * Number(size)];
    }));
  } catch {
    return new Map();
  }
}

/** A line of /proc/meminfo, in bytes. */
function systemBytes(name: string): number {
  const text = readFileSync("/proc/meminfo", "utf8");
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) * 1_024;
}

interface KernelMemory {
  slabs: Map<string, number>;
  unreclaimable: number;
}

function kernelMemory(): KernelMemory {
  return { slabs: slabs(), unreclaimable: systemBytes("Slab") };
}

/** The kinds of objects that grew most, for each connection, which has two ends. */
function kernelText(before: KernelMemory, after: KernelMemory, connections: number): string {
  const grown = [...after.slabs].map(([name, bytes]) =>
    [name, (bytes - (before.slabs.get(name) ?? 0)) / connections / 2] as const
  ).filter(([, bytes]) => bytes >= 16).sort(([, a], [, b]) => b - a);
  const total = (after.unreclaimable - before.unreclaimable) / connections / 2;
  const parts = grown.map(([name, bytes]) => `${name} ${shown(bytes)}`);
  return `kernel, bytes for each end: ${shown(total)} in all; ${parts.join(", ")}`;
}

// ---- Real connections --------------------------------------------------------------------------

class RealRun {
  readonly #acceptor: Peer;
  readonly #dialer: Peer;
  readonly #connections: number;

  constructor(acceptor: Peer, dialer: Peer, connections: number) {
    this.#acceptor = acceptor;
    this.#dialer = dialer;
    this.#connections = connections;
  }

  async run(): Promise<void> {
    await this.#connect();
    await this.#silence();
    await this.#echoes();
    await this.#close();
  }

  async #both<T>(command: string): Promise<[T, T]> {
    return [await this.#acceptor.ask<T>(command), await this.#dialer.ask<T>(command)];
  }

  async #connect(): Promise<void> {
    const count = this.#connections;
    const kernel = kernelMemory();
    const before = await this.#both<PeerState>("state");
    const cpu = await this.#acceptor.ask<CpuReport>("cpu");
    const dialed = await this.#dialer.ask<DialReport>(
      `dial ${this.#acceptor.port} ${count} ${ADDRESS_COUNT}`,
    );
    const accepted = (await this.#acceptor.ask<CpuReport>("cpu")).cpuUs - cpu.cpuUs;
    const after = await this.#both<PeerState>("state");
    console.log(
      `connect: ${shown(dialed.ms)} ms, CPU of a connection ${shown(accepted / count)} us to ` +
        `accept and ${shown(dialed.cpuUs / count)} us to dial`,
    );
    for (const [at, name] of ["acceptor", "dialer"].entries()) {
      const [now, then] = [after[at], before[at]];
      if (now.connections !== count) throw new Error(`${name}: ${now.connections} of ${count}`);
      console.log(
        `${name}: ${shown((now.residentBytes - then.residentBytes) / count)} bytes resident for ` +
          `each, ${shown((now.heapBytes - then.heapBytes) / count)} of them on the heap`,
      );
    }
    console.log(kernelText(kernel, kernelMemory(), count));
    console.log(readFileSync("/proc/net/sockstat", "utf8").split("\n")[1]);
  }

  async #silence(): Promise<void> {
    const before = await this.#both<CpuReport>("cpu");
    await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1_000));
    const after = await this.#both<CpuReport>("cpu");
    const perSecond = after.map(({ cpuUs }, at) => (cpuUs - before[at].cpuUs) / IDLE_SECONDS);
    console.log(`silence: ${perSecond.map((us) => shown(us / 1_000)).join(" and ")} ms of CPU/s`);
  }

  async #echoes(): Promise<void> {
    const seconds = Number(values.seconds);
    const rows: string[][] = [];
    for (const wanted of numbers(values.active)) {
      const active = Math.min(wanted, this.#connections);
      await this.#dialer.ask(`echo ${active} ${seconds}`);
      const before = await this.#both<CpuReport>("cpu");
      const start = performance.now();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
      const after = await this.#both<CpuReport>("cpu");
      const elapsed = (performance.now() - start) / 1_000;
      await this.#dialer.ask("quiet");
      const cost = after.map(({ cpuUs, messages }, at) =>
        (cpuUs - before[at].cpuUs) / (messages - before[at].messages)
      );
      const rate = (after[1].messages - before[1].messages) / elapsed;
      rows.push([String(active), ...cost.map(shown), shown(rate)]);
    }
    const header = ["active", "CPU of an echo, us: acceptor", "dialer", "echoes/s"];
    console.log(textTable(header, rows, 0));
    const { overflows, enters } = await this.#acceptor.ask<PeerState>("state");
    console.log(`overflows of the completion queue: ${overflows} in ${shown(enters)} enters`);
  }

  async #close(): Promise<void> {
    for (const [name, peer] of [["acceptor", this.#acceptor], ["dialer", this.#dialer]] as const) {
      const { closeMs, gapMs, cpuUs } = await peer.ask<CloseReport>("close");
      console.log(
        `close, ${name}: ${shown(closeMs)} ms, CPU of a connection ` +
          `${shown(cpuUs / this.#connections)} us, longest gap ${shown(gapMs)} ms`,
      );
    }
  }
}

async function runReal(
  runtimes: Runtimes,
  runtime: RuntimeName,
  machine: Machine,
): Promise<void> {
  const command = commandOf(runtimes, runtime, "peer.ts");
  if (command === null) return console.log(`${runtime} is not installed`);
  const room = machine.openFilesMax - SPARE_FILES;
  const connections = Math.min(Number(values.connections ?? room), room);
  const pairs = Number(values.pairs);
  const others = pairs === 1 ? "" : `, beside ${shown((pairs - 1) * connections)} silent ones`;
  console.log(`\n${runtime}: ${shown(connections)} real connections${others}`);
  const peers: Peer[] = [];
  try {
    for (let pair = 1; pair <= pairs; pair++) {
      const acceptor = await Peer.start(command, "accept", machine.pins.server);
      const dialer = await Peer.start(command, "dial", machine.pins.client);
      peers.push(acceptor, dialer);
      if (pair === pairs) await new RealRun(acceptor, dialer, connections).run();
      else await dialer.ask(`dial ${acceptor.port} ${connections} ${ADDRESS_COUNT}`);
    }
  } finally {
    for (const peer of peers) await peer.end();
  }
}

// ---- Simulated connections ---------------------------------------------------------------------

const SIMULATED_HEADER = [
  "connections",
  "accept ns",
  "heap bytes",
  "resident bytes",
  "echo ns",
  "all threads",
  "collection ms",
  "stats us",
  "close ns",
  "close gap ms",
];

async function runSimulated(
  runtimes: Runtimes,
  runtime: RuntimeName,
  machine: Machine,
): Promise<void> {
  const command = commandOf(runtimes, runtime, "memory_echo.ts");
  if (command === null) return;
  console.log(`\n${runtime}: simulated connections, all of them active`);
  const rows: string[][] = [];
  for (const count of numbers(values.simulated)) {
    if (count * SIMULATED_BYTES > systemBytes("MemAvailable") / 2) {
      rows.push([shown(count), "too little memory"]);
      continue;
    }
    const args = ["--connections", String(count), "--active", String(count)];
    // A second of warm-up compiles; with many connections, each should have had a few echoes.
    args.push("--seconds", values.seconds, "--warmup", String(1.5 + 2 * count / 1e6));
    const finished = await runProgram([...command, ...args], machine.pins.server, PROCESS_MS_MAX);
    if (finished.exitCode !== 0) {
      const words = finished.stderr.split("\n").find((line) => /error|memory/i.test(line));
      rows.push([shown(count), words ?? `exit code ${finished.exitCode}`]);
      continue;
    }
    const report = JSON.parse(finished.stdout) as MemoryReport;
    const { acceptNs, heapBytes, residentBytes, echoNs, processNs } = report;
    const { collectMs, scrapeUs, closeNs, closeGapMs } = report;
    rows.push([
      shown(count),
      ...[acceptNs, heapBytes, residentBytes, echoNs, processNs].map(shown),
      ...[collectMs, scrapeUs, closeNs, closeGapMs].map(shown),
    ]);
  }
  console.log(textTable(SIMULATED_HEADER, rows, 0));
}

async function main(): Promise<void> {
  const runtimes = new Runtimes();
  const machine = readMachine(runtimes);
  console.log(describeMachine(machine));
  for (const runtime of values.runtime.split(",") as RuntimeName[]) {
    if (values.connections !== "0") await runReal(runtimes, runtime, machine);
    await runSimulated(runtimes, runtime, machine);
  }
}

await main();
process.exit(0);
