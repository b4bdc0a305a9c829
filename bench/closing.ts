/**
 * How long the event loop has to wait for a turn while `network.close()` runs: the longest gap of a
 * timer of 1 ms, with idle connections, or with connections that have unread bytes.
 *
 *   dial half of them, accept half -> the far end sends -> the kernel's buffers are full
 *   -> timer runs, close() -> longest gap, whole time
 *
 * The far end is another process, peers/flooder.mjs. Prints one JSON object, in milliseconds. Time
 * for which the thread was ready and another one had its processor is taken off each gap.
 *
 * Usage: bun closing.ts PORT [--connections N] [--unread BYTES] [--topology split]
 *                            [--peer-processors LIST]
 *        deno run --allow-all closing.ts PORT ...
 *
 * PORT is the listener's own; 0 picks a free one.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Connection, Network } from "../mod.ts";

/** The figures of one run: the longest gap, and the longest one as a clock on the wall saw it. */
export interface ClosingReport {
  gapMs: number;
  wallGapMs: number;
  closeMs: number;
}

/**
 * The kernel's memory for TCP has to stand still this often in a row, but for a small part of it,
 * which may belong to others.
 */
const STILL_LOOKS = 5;
const STILL_PART = 0.01;
const LOOK_PAUSE_MS = 100;
/** The most looks, 30 s: a kernel that is short of memory may drop and resend for longer. */
const FULL_WITHIN_LOOKS = 300;

/** A runtime's own timers, before `close()` is called. */
const SETTLING_MS = 200;

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    connections: { type: "string", default: "2000" },
    unread: { type: "string", default: "0" },
    topology: { type: "string", default: "shared" },
    "peer-processors": { type: "string", default: "" },
  },
});
const half = Number(values.connections) / 2;

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Starts the far end; its input ends with this process. */
async function startFlooder() {
  const program = fileURLToPath(new URL("peers/flooder.mjs", import.meta.url));
  const runtime = "Deno" in globalThis ? [process.execPath, "run", "--allow-all"] : [
    process.execPath,
  ];
  const processors = values["peer-processors"];
  const pinned = processors === "" ? runtime : ["taskset", "-c", processors, ...runtime];
  const [command, ...args] = [...pinned, program, "0"];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line") as [string];
  return { child, port: Number(line.split(" ")[1]) };
}

/** Pages of the system's memory that hold bytes of TCP. */
function pagesOfTcp(): number {
  return Number(/^TCP:.* mem (\d+)/m.exec(readFileSync("/proc/net/sockstat", "utf8"))?.[1] ?? 0);
}

async function buffersFull(): Promise<void> {
  for (let last = -1, still = 0, looks = 0; still < STILL_LOOKS; looks++) {
    if (looks === FULL_WITHIN_LOOKS) return;
    await pause(LOOK_PAUSE_MS);
    const pages = pagesOfTcp();
    still = Math.abs(pages - last) <= last * STILL_PART ? still + 1 : 0;
    last = pages;
  }
}

/** How long this thread has been ready without a processor, in milliseconds. */
function waitedMs(): number {
  return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e6;
}

/** Runs a timer of 1 ms meanwhile, and measures its longest gap. */
async function longestGap(work: () => Promise<void>): Promise<ClosingReport> {
  const report = { gapMs: 0, wallGapMs: 0, closeMs: 0 };
  let last = performance.now();
  let lastWaitedMs = waitedMs();
  const look = () => {
    const now = performance.now();
    const waited = waitedMs();
    report.gapMs = Math.max(report.gapMs, now - last - (waited - lastWaitedMs));
    report.wallGapMs = Math.max(report.wallGapMs, now - last);
    last = performance.now();
    lastWaitedMs = waited;
  };
  const timer = setInterval(look, 1);
  await pause(SETTLING_MS);
  look();
  report.gapMs = report.wallGapMs = 0;
  const start = performance.now();
  await work();
  report.closeMs = performance.now() - start;
  // The gap that `work` leaves behind ends with the next run of the timer.
  await pause(SETTLING_MS / 10);
  clearInterval(timer);
  return report;
}

async function main(): Promise<void> {
  const topology = values.topology as "shared" | "split";
  const network = await Network.start({ ring: { topology } });
  const listener = await network.bind(`127.0.0.1:${positionals[0] ?? 0}`, { backlog: 4_096 });
  const { child, port } = await startFlooder();
  const { port: ownPort } = listener.localAddress as { port: number };
  child.stdin.write(`dial ${ownPort} ${half}\n`);
  const connections: Connection[] = [];
  for (let i = 0; i < half; i++) connections.push(await listener.accept());
  for (let i = 0; i < half; i++) connections.push(await network.dial(`127.0.0.1:${port}`));
  if (values.unread !== "0") {
    child.stdin.write(`send ${values.unread}\n`);
    await buffersFull();
  }
  const report = await longestGap(() => network.close());
  console.log(JSON.stringify(report));
  // Left alone, a flooder in Bun takes up to 90 s to give up the bytes that its sockets hold.
  child.kill("SIGKILL");
  await once(child, "exit");
}

await main();
