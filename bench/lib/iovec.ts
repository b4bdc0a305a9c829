/**
 * Runs bench/iovec_sweep.ts in each runtime and brings what it prints into the form of the other
 * results: a sweep over the number of pieces, in which sizes and methods take the place of peers.
 *
 * @module
 */
import { join } from "node:path";
import type { SweepPoint } from "../iovec_sweep.ts";
import { type Case, sizeName } from "./cases.ts";
import type { Machine } from "./machine.ts";
import { BENCH_FOLDER, type Runtimes } from "./peers.ts";
import { runProgram, startServer } from "./processes.ts";
import type { CaseResult, PeerResult } from "./results.ts";

/** Starting, warming up and a machine that is busy with other things. */
const SLACK_MS = 60_000;

/** Points of a sweep; windows may take this much longer than they should. */
const POINTS = 56;
const WINDOW_STRETCH = 4;

/** One result for each number of pieces. */
export function sweepResults(
  base: Case,
  runtime: string,
  seconds: number,
  points: readonly SweepPoint[],
): CaseResult[] {
  const counts = [...new Set(points.map(({ pieces }) => pieces))];
  return counts.map((pieces) => ({
    case: {
      ...base,
      name: `iovec-${runtime}-${pieces}`,
      group: `iovec-${runtime}`,
      title: `${pieces} pieces in one send, ${runtime}`,
      x: pieces,
    },
    skipped: null,
    seconds,
    peers: points.filter((point) => point.pieces === pieces).map((point): PeerResult => ({
      peer: `${sizeName(point.size)}, ${point.method}`,
      own: null,
      family: "uringnet",
      missing: null,
      samples: point.cpuUsPerPiece.map((cpuUsPerPiece) => ({ cpuUsPerPiece })),
      failures: [],
    })),
  }));
}

/** The result of a runtime in which nothing was measured. */
function skipped(base: Case, runtime: string, reason: string): CaseResult {
  const name = `iovec-${runtime}`;
  return { case: { ...base, name, group: name }, skipped: reason, seconds: 0, peers: [] };
}

export interface SweepWindow {
  seconds: number;
  rounds: number;
}

/** The sweep in one runtime. Does not reject: what went wrong is why it was skipped. */
export async function runIovec(
  base: Case,
  runtime: "bun" | "deno",
  window: SweepWindow,
  { pins }: Machine,
  runtimes: Runtimes,
): Promise<CaseResult[]> {
  const start = runtimes.of(runtime);
  if (start === null) return [skipped(base, runtime, `${runtime} is not installed`)];
  try {
    const sink = [join(BENCH_FOLDER, "build", "epoll_echo"), "0", "--mode", "sink"];
    const server = await startServer(sink, pins.client);
    try {
      const sweep = [...start, join(BENCH_FOLDER, "iovec_sweep.ts"), String(server.port)];
      sweep.push("--seconds", String(window.seconds), "--rounds", String(window.rounds));
      const windowsMs = POINTS * window.rounds * window.seconds * 1_000;
      const timeoutMs = SLACK_MS + windowsMs * WINDOW_STRETCH;
      const { exitCode, stdout, stderr } = await runProgram(sweep, pins.server, timeoutMs);
      if (exitCode !== 0) throw new Error(stderr.trim().split("\n")[0]);
      return sweepResults(base, runtime, window.seconds, JSON.parse(stdout));
    } finally {
      await server.stop();
    }
  } catch (error) {
    return [skipped(base, runtime, (error as Error).message)];
  }
}
