/**
 * One measurement: a server that runs is loaded.
 *
 *   client (pinned): connect, warm up, measure, drain -> report
 *
 * @module
 */
import { join } from "node:path";
import type { ClosingReport } from "../closing.ts";
import type { Case, ClientWork } from "./cases.ts";
import type { Machine } from "./machine.ts";
import type { Sample } from "./metrics.ts";
import { runPaced } from "./paced.ts";
import { BENCH_FOLDER } from "./peers.ts";
import { runProgram, type Server } from "./processes.ts";

export interface Window {
  seconds: number;
  warmup: number;
  verify: boolean;
}

/** The client's report: one line of JSON. See bench/client.c. */
export interface ClientReport {
  seconds: number;
  messages: number;
  messages_per_second: number;
  mib_per_second: number;
  latency_us: { p50: number; p99: number; p999: number; max: number };
  wrong_bytes: number;
  errors: number;
  server_cpu_us: number;
  server_cpu_us_per_message: number;
  server_cpu_ms_per_gib: number;
  server_rss_before_kib: number;
  server_rss_kib: number;
}

/** Descriptors that a process has besides its connections. */
const SPARE_FILES = 100;

/** Connecting and draining may take this much longer than the windows. */
const CLIENT_SLACK_MS = 60_000;

/** Why a case cannot be measured on this machine; null when it can. */
export function obstacle({ work }: Case, machine: Pick<Machine, "openFilesMax">): string | null {
  const wanted = "connections" in work ? work.connections + SPARE_FILES : 0;
  if (wanted <= machine.openFilesMax) return null;
  return `${wanted} open files wanted, ${machine.openFilesMax} allowed: raise ulimit -n`;
}

/** The figures of a report that a case shows. */
export function sampleOf(report: ClientReport, work: ClientWork): Sample {
  const all = {
    cpuUs: report.server_cpu_us_per_message,
    cpuMsPerGib: report.server_cpu_ms_per_gib,
    cpuMsPerSecond: report.server_cpu_us / 1_000 / report.seconds,
    bytesPerConnection: (report.server_rss_kib - report.server_rss_before_kib) * 1_024 /
      work.connections,
    messagesPerSecond: report.messages_per_second,
    mibPerSecond: report.mib_per_second,
    p50: report.latency_us.p50,
    p99: report.latency_us.p99,
    p999: report.latency_us.p999,
  };
  if (work.mode === "idle") {
    const { bytesPerConnection, cpuMsPerSecond } = all;
    return { bytesPerConnection, cpuMsPerSecond };
  }
  if (work.mode === "sink" || work.mode === "source") {
    const { cpuMsPerGib, mibPerSecond } = all;
    return { cpuMsPerGib, mibPerSecond };
  }
  const { cpuUs, messagesPerSecond, mibPerSecond, p50, p99, p999 } = all;
  return { cpuUs, messagesPerSecond, mibPerSecond, p50, p99, p999 };
}

async function runClient(
  work: ClientWork,
  server: Server,
  window: Window,
  pin: string | null,
): Promise<Sample> {
  const command = [join(BENCH_FOLDER, "build", "client"), "--mode", work.mode];
  command.push("--port", String(server.port), "--server-pid", String(server.pid));
  command.push("--connections", String(work.connections), "--size", String(work.size));
  command.push("--depth", String(work.depth));
  command.push("--seconds", String(window.seconds), "--warmup", String(window.warmup));
  if (window.verify && work.mode !== "sink" && work.mode !== "idle") command.push("--verify");
  const timeoutMs = (window.seconds + window.warmup) * 1_000 + CLIENT_SLACK_MS;
  const { exitCode, stdout, stderr } = await runProgram(command, pin, timeoutMs);
  const complaint = stderr.trim().split("\n")[0];
  if (exitCode !== 0 && stdout === "") throw new Error(complaint || `exit code ${exitCode}`);
  const report = JSON.parse(stdout) as ClientReport;
  if (report.wrong_bytes > 0) throw new Error(`${report.wrong_bytes} wrong bytes`);
  if (exitCode !== 0) throw new Error(complaint || `${report.errors} errors`);
  if (report.messages === 0 && work.mode !== "idle") throw new Error("no message came back");
  return sampleOf(report, work);
}

/** Runs a program that measures itself while its network closes. */
export async function measureClosing(
  command: readonly string[],
  { pins }: Pick<Machine, "pins">,
): Promise<Sample> {
  const far = pins.client === null ? [] : ["--peer-processors", pins.client];
  const finished = await runProgram([...command, ...far], pins.server, CLIENT_SLACK_MS);
  if (finished.exitCode !== 0) throw new Error(finished.stderr.trim().split("\n")[0]);
  const { gapMs, wallGapMs, closeMs } = JSON.parse(finished.stdout) as ClosingReport;
  return { gapMs, wallGapMs, closeMs };
}

/** The window of a case: some need longer ones, except when nothing is to be learned. */
export function windowOf(work: Case, window: Window, quick: boolean): Window {
  if (work.cold === true) return { ...window, seconds: 1, warmup: 0 };
  if (quick || work.secondsMin === undefined) return window;
  return { ...window, seconds: Math.max(window.seconds, work.secondsMin) };
}

/** Measures one server once. */
export function measure(
  server: Server,
  { work, peers }: Case,
  window: Window,
  { pins }: Pick<Machine, "pins">,
): Promise<Sample> {
  switch (work.kind) {
    case "client":
      return runClient(work, server, window, peers === "workers" ? null : pins.client);
    case "paced":
      return runPaced(work, server, window.seconds);
    case "start":
    case "sweep":
    case "closing":
    case "safety":
      throw new TypeError("A program that measures itself or its start is no server that runs");
  }
}
