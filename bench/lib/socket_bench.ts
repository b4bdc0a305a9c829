/**
 * The common parts of the cases of bench/sockets.ts: how servers and clients are started, each on
 * its own processor, and how their CPU time is read.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilAccepts } from "../../tests/clients/servers.ts";
import { freePort } from "../../tests/support/free_port.ts";
import { readMachine } from "./machine.ts";
import { BENCH_FOLDER, Runtimes } from "./peers.ts";
import { runProgram, startServer } from "./processes.ts";

export type RuntimeName = "bun" | "deno";

/** The result of one round of one variant. */
export interface Sample {
  /** CPU time of the measured process for an operation, in microseconds. */
  user?: number;
  system?: number;
  /** Operations per second. */
  rate?: number;
  /** Milliseconds. */
  p99?: number;
  /** Of an idle connection. */
  bytes?: number;
}

/** A variant that runs: measured as often as there are rounds, then ended. */
export interface Running {
  measure(seconds: number): Promise<Sample>;
  stop(): Promise<void>;
}

export interface Options {
  cases: string[] | null;
  runtimes: RuntimeName[];
  rounds: number;
  seconds: number;
  connections: number;
}

export const WARMUP_SECONDS = 3;
export const PROGRAM_TIMEOUT_MS = 60_000;
const TICKS_PER_SECOND = 100;

/** Microseconds of user and system time, all threads, and children that have ended. */
function cpuOf(pid: number): { user: number; system: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const microseconds = (field: string) => Number(field) / TICKS_PER_SECOND * 1e6;
  return {
    user: microseconds(fields[11]) + microseconds(fields[13]),
    system: microseconds(fields[12]) + microseconds(fields[14]),
  };
}

/** A forking server has ended its connections: their CPU time is its own from now on. */
export async function untilChildless(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (spawnSync("pgrep", ["-P", `${pid}`]).status !== 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Process ${pid} keeps its children`);
}

export class Bench {
  readonly runtime: RuntimeName;
  readonly options: Options;
  readonly #command: string[];
  readonly #serverPin: string | null;
  readonly clientPin: string | null;
  readonly #bun: string[];

  constructor(runtime: RuntimeName, options: Options) {
    this.runtime = runtime;
    this.options = options;
    const runtimes = new Runtimes();
    const machine = readMachine(runtimes);
    this.#serverPin = machine.pins.server;
    this.clientPin = machine.pins.client;
    const deno = [runtimes.of("deno")![0], "run", "-A", "--quiet", "--no-check"];
    this.#bun = [runtimes.of("bun")![0]];
    this.#command = runtime === "bun" ? this.#bun : [...deno, "--v8-flags=--expose-gc"];
  }

  command(program: string, variant: string, ...args: string[]): string[] {
    return [...this.#command, join(BENCH_FOLDER, "sockets", `${program}.mjs`), variant, ...args];
  }

  /** Runs a program that measures itself. */
  async measured(program: string, variant: string, ...args: string[]): Promise<Sample> {
    const command = this.command(program, variant, ...args);
    const ran = await runProgram(command, this.#serverPin, PROGRAM_TIMEOUT_MS);
    if (ran.exitCode !== 0) throw new Error(`${program} ${variant}: ${ran.stderr}`);
    return JSON.parse(ran.stdout.trim().split("\n").at(-1)!) as Sample;
  }

  serve(program: string, variant: string, ...args: string[]) {
    return startServer(this.command(program, variant, ...args), this.#serverPin);
  }

  /** Runs what loads a server to its end, and returns what it printed. */
  async load(command: readonly string[]): Promise<string> {
    const ran = await runProgram(command, this.clientPin, PROGRAM_TIMEOUT_MS);
    if (ran.exitCode !== 0) throw new Error(`${command.join(" ")}: ${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  loader(program: string, ...args: string[]): string[] {
    return [...this.#bun, join(BENCH_FOLDER, "sockets", `${program}.mjs`), ...args];
  }

  /** haproxy in TCP mode, one thread, before a port. */
  async haproxy(port: number) {
    const folder = mkdtempSync(join(tmpdir(), "uringnet-haproxy-"));
    const own = await freePort();
    const config = [
      "global",
      "  nbthread 1",
      "defaults",
      "  mode tcp",
      "  timeout connect 5s",
      "  timeout client 60s",
      "  timeout server 60s",
      "listen proxy",
      `  bind 127.0.0.1:${own}`,
      `  server real 127.0.0.1:${port}`,
      "",
    ];
    const path = join(folder, "haproxy.cfg");
    writeFileSync(path, config.join("\n"));
    const started = await this.listens(["haproxy", "-db", "-f", path], own);
    return {
      ...started,
      stop: async () => {
        await started.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  }

  /** A program that listens on a port that it was told, and does not say when. */
  async listens(command: readonly string[], port: number, pin = this.#serverPin) {
    const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    const shell = `${words} & echo listening ${port}; wait`;
    const started = await startServer(["sh", "-c", `trap 'kill $!' TERM; ${shell}`], pin);
    const pid = Number(spawnSync("pgrep", ["-P", `${started.pid}`], { encoding: "utf8" }).stdout);
    await untilAccepts(port);
    return { pid, port, stop: () => started.stop() };
  }

  /** One of the examples, with its arguments. */
  example(name: string, ...args: string[]): string[] {
    return [...this.#command, join(BENCH_FOLDER, "..", "examples", `${name}.ts`), ...args];
  }
}

/** CPU of `pid` while `body` runs so many operations. */
export async function cpuPerOperation(
  pid: number,
  body: () => Promise<{ count: number; rate: number; p99?: number }>,
): Promise<Sample> {
  const before = cpuOf(pid);
  const { count, rate, p99 } = await body();
  const after = cpuOf(pid);
  return {
    user: (after.user - before.user) / count,
    system: (after.system - before.system) / count,
    rate,
    ...p99 === undefined ? {} : { p99 },
  };
}
