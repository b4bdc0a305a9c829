/**
 * Sweeps over the pieces of a send: runs bench/piece_sweep.ts in each runtime, with the library as
 * it is or with other constants, and brings the figures into the form of the other results, in
 * which sizes and methods take the place of peers.
 *
 *   sweep -> programs, each a library and its points -> rounds of all programs
 *   figure of a point -> sample of a line at an x
 *
 * @module
 */
import { join } from "node:path";
import type { PiecePoint } from "../piece_sweep.ts";
import { type Case, sizeName, type SweepWork } from "./cases.ts";
import type { Machine } from "./machine.ts";
import type { Sample } from "./metrics.ts";
import { BENCH_FOLDER, type Runtimes } from "./peers.ts";
import { runProgram, startServer } from "./processes.ts";
import { type Estimate, formatSeconds, type Progress } from "./progress.ts";
import type { CaseResult, PeerResult } from "./results.ts";
import { BATCH_SIZE_MAX, type Constants, Variants } from "./variants.ts";

/** A point, where it is on the x axis, and which line it belongs to. */
export interface PlacedPoint extends PiecePoint {
  x: number;
  line: string;
}

/** One run of bench/piece_sweep.ts. */
export interface SweepProgram {
  name: string;
  constants: Constants | null;
  points: PlacedPoint[];
}

/** Powers of two from `first` to `last`. */
function powers(first: number, last: number): number[] {
  const all: number[] = [];
  for (let value = first; value <= last; value *= 2) all.push(value);
  return all;
}

/** Thresholds below and above every piece that is swept. */
const ALL_IOVECS = 1;
const ALL_COPIED = 32_768;

const IOBUFS = "IoBufs" as const;

function piecesPrograms(): SweepProgram[] {
  const methods = [IOBUFS, "one buffer"] as const;
  const points = [64, 1_024, 2_048, 4_096].flatMap((size) =>
    methods.flatMap((method) =>
      powers(1, 64).map((pieces) => ({
        pieces,
        size,
        method,
        x: pieces,
        line: `${sizeName(size)}, ${method}`,
      }))
    )
  );
  return [{ name: "as it is", constants: null, points }];
}

function thresholdPrograms(): SweepProgram[] {
  const ways = [["gathered by copy", ALL_COPIED], ["as iovecs", ALL_IOVECS]] as const;
  return ways.map(([line, gatherCopyBytes]) => ({
    name: line,
    constants: { gatherCopyBytes, iovecBatchSize: 32 },
    points: powers(64, 16_384).map((size) => ({ pieces: 16, size, method: IOBUFS, x: size, line })),
  }));
}

function batchPrograms(): SweepProgram[] {
  return powers(1, BATCH_SIZE_MAX).map((iovecBatchSize) => ({
    name: `batches of ${iovecBatchSize}`,
    constants: { gatherCopyBytes: ALL_IOVECS, iovecBatchSize },
    points: [256, 1_024, 4_096, 16_384].map((size) => ({
      pieces: BATCH_SIZE_MAX,
      size,
      method: IOBUFS,
      x: iovecBatchSize,
      line: `${sizeName(size)} each`,
    })),
  }));
}

const PROGRAMS: Record<SweepWork["over"], () => SweepProgram[]> = {
  pieces: piecesPrograms,
  threshold: thresholdPrograms,
  batch: batchPrograms,
};

export function programsOf(over: SweepWork["over"]): SweepProgram[] {
  return PROGRAMS[over]();
}

/** Every point gets this part of the window of other cases. */
const WINDOW_PART = 0.1;

/** Starting a runtime and warming up. */
const STEP_OVERHEAD_SECONDS = 1;
const PROGRAM_TIMEOUT_MS = 120_000;
const RUNTIMES = ["bun", "deno"] as const;

export interface SweepWindow {
  seconds: number;
  rounds: number;
}

function programSeconds({ points }: SweepProgram, { seconds }: SweepWindow): number {
  return points.length * seconds * WINDOW_PART + STEP_OVERHEAD_SECONDS;
}

/** How long a sweep takes in both runtimes, as far as can be told before. */
export function sweepSeconds(over: SweepWork["over"], window: SweepWindow): number {
  const round = programsOf(over).reduce((sum, program) => sum + programSeconds(program, window), 0);
  return round * window.rounds * RUNTIMES.length;
}

function emptyLine(peer: string): PeerResult {
  return { peer, own: null, family: "uringnet", missing: null, samples: [], failures: [] };
}

/** Collects figures into one result for each x. */
export class SweepResults {
  readonly #base: Case;
  readonly #runtime: string;
  readonly #seconds: number;
  readonly #results = new Map<number, CaseResult>();

  constructor(base: Case, runtime: string, seconds: number) {
    this.#base = base;
    this.#runtime = runtime;
    this.#seconds = seconds;
  }

  add(point: PlacedPoint, sample: Sample | null): void {
    const line = this.#line(point);
    line.samples.push(sample);
  }

  fail(point: PlacedPoint, round: number, reason: string): void {
    const line = this.#line(point);
    line.samples.push(null);
    line.failures.push(`round ${round + 1}: ${reason}`);
  }

  /** In ascending order of x. */
  get all(): CaseResult[] {
    return [...this.#results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
  }

  #line({ x, line }: PlacedPoint): PeerResult {
    let result = this.#results.get(x);
    if (result === undefined) {
      const group = `${this.#base.group}-${this.#runtime}`;
      const about = { ...this.#base, name: `${group}-${x}`, group, x };
      result = { case: about, skipped: null, seconds: this.#seconds, peers: [] };
      this.#results.set(x, result);
    }
    let found = result.peers.find(({ peer }) => peer === line);
    if (found === undefined) result.peers.push(found = emptyLine(line));
    return found;
  }
}

/** Runs sweeps; what goes wrong becomes part of the results. */
export class Sweeper {
  readonly #machine: Machine;
  readonly #runtimes: Runtimes;
  readonly #progress: Progress;
  readonly #estimate: Estimate;
  readonly #variants = new Variants();

  constructor(machine: Machine, runtimes: Runtimes, progress: Progress, estimate: Estimate) {
    this.#machine = machine;
    this.#runtimes = runtimes;
    this.#progress = progress;
    this.#estimate = estimate;
  }

  /** The results of each runtime. */
  async run(base: Case, window: SweepWindow): Promise<CaseResult[][]> {
    const all: CaseResult[][] = [];
    for (const runtime of RUNTIMES) all.push(await this.#runIn(runtime, base, window));
    return all;
  }

  async #runIn(
    runtime: typeof RUNTIMES[number],
    base: Case,
    window: SweepWindow,
  ): Promise<CaseResult[]> {
    const start = this.#runtimes.of(runtime);
    if (start === null) {
      const name = `${base.group}-${runtime}`;
      const skipped = `${runtime} is not installed`;
      return [{ case: { ...base, name, group: name }, skipped, seconds: 0, peers: [] }];
    }
    const seconds = window.seconds * WINDOW_PART;
    const results = new SweepResults(base, runtime, seconds);
    const programs = programsOf((base.work as SweepWork).over);
    for (let round = 0; round < window.rounds; round++) {
      for (const program of programs) {
        this.#progress.show(
          `${base.name}, round ${round + 1} of ${window.rounds}, ${runtime}, ${program.name}; ` +
            `${formatSeconds(this.#estimate.secondsLeft)} left`,
        );
        const began = performance.now();
        await this.#runProgram(start, program, seconds, round, results);
        const expected = programSeconds(program, window);
        this.#estimate.done(expected, (performance.now() - began) / 1_000);
      }
    }
    return results.all;
  }

  async #runProgram(
    start: readonly string[],
    program: SweepProgram,
    seconds: number,
    round: number,
    results: SweepResults,
  ): Promise<void> {
    try {
      const figures = await this.#figures(start, program, seconds);
      for (const [index, point] of program.points.entries()) {
        results.add(point, { cpuUsPerPiece: figures[index] });
      }
    } catch (error) {
      for (const point of program.points) results.fail(point, round, (error as Error).message);
    }
  }

  /** One for each point of the program. */
  async #figures(
    start: readonly string[],
    { constants, points }: SweepProgram,
    seconds: number,
  ): Promise<number[]> {
    const { pins } = this.#machine;
    const library = this.#variants.library(constants);
    const sink = [join(BENCH_FOLDER, "build", "epoll_echo"), "0", "--mode", "sink"];
    const server = await startServer(sink, pins.client);
    try {
      const command = [...start, join(BENCH_FOLDER, "piece_sweep.ts"), String(server.port)];
      command.push("--points", JSON.stringify(points), "--library", library);
      command.push("--seconds", String(seconds));
      const finished = await runProgram(command, pins.server, PROGRAM_TIMEOUT_MS);
      const { exitCode, stdout, stderr } = finished;
      if (exitCode !== 0) throw new Error(stderr.trim().split("\n")[0]);
      const figures = JSON.parse(stdout) as number[];
      if (figures.length !== points.length) throw new Error(`${figures.length} figures came`);
      return figures;
    } finally {
      await server.stop();
    }
  }
}
