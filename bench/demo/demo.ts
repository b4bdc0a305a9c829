/**
 * The demo: an echo server on io_uring in each runtime, driven by a client in C over loopback,
 * every byte compared, next to the runtime's own sockets under the same load.
 *
 * Usage: demo.ts --deno PATH --bun PATH --client PATH --out FOLDER [--seconds S]
 * Exit code: 0 when every byte came back right, 1 when not. `make demo` runs this.
 *
 * @module
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { probe } from "../../mod.ts";
import { readMachine } from "./machine.ts";
import { type Server, startServer } from "../lib/processes.ts";
import { type Report, runClient } from "./processes.ts";
import { endProgress, grouped, print, progress, style } from "./terminal.ts";

interface Load {
  connections: number;
  size: number;
  /** A load of messages of a known length: a server that receives exactly that takes part too. */
  exact?: boolean;
}

const LOADS: readonly Load[] = [
  { connections: 50, size: 64 },
  { connections: 50, size: 4_096, exact: true },
  { connections: 1, size: 64 },
];

const WARMUP_SECONDS = 0.5;

type Runtime = "Bun" | "Deno";
const RUNTIMES: readonly Runtime[] = ["Bun", "Deno"];

/** Metrics that are shown, without their prefix; all of them are in the file. */
const SHOWN_METRICS = [
  "inbound_connections_total",
  "inbound_bytes_total",
  "outbound_bytes_total",
  "ring_enters_total",
  "ring_submissions_total",
  "ring_completions_total",
  "ring_wakeups_total",
  "ring_batch_size_sum",
  "ring_batch_size_count",
  "short_sends_total",
  "buffer_pool_leaked_total",
].map((name) => `uringnet_${name}`);

const peers = join(dirname(dirname(fileURLToPath(import.meta.url))), "peers");

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    deno: { type: "string" },
    bun: { type: "string" },
    client: { type: "string" },
    out: { type: "string" },
    seconds: { type: "string", default: "3" },
  },
});

function required(name: "deno" | "bun" | "client" | "out"): string {
  const value = values[name];
  if (value === undefined) throw new TypeError(`Cannot run without --${name}`);
  return value;
}

const seconds = Number(values.seconds);
if (!(seconds > 0 && seconds <= 600)) {
  throw new RangeError(`Cannot run for "${values.seconds}" seconds: wanted 0 to 600`);
}
const commands: Record<Runtime, string[]> = {
  Bun: [required("bun")],
  Deno: [required("deno"), "run", "--quiet", "--allow-all"],
};
const client = required("client");
const folder = required("out");
const machine = readMachine();

function metricsFile(runtime: Runtime): string {
  return join(folder, `metrics-${runtime.toLowerCase()}.txt`);
}

/** The servers of one runtime that take part in a load: name and arguments. */
function contestants(runtime: Runtime, load: Load): [name: string, args: string[]][] {
  const ring = join(peers, "uringnet_echo.ts");
  const own = runtime === "Bun" ? "bun_listen.ts" : "deno_listen.ts";
  const list: [string, string[]][] = [["uringnet", [ring, "0", "--metrics", metricsFile(runtime)]]];
  if (load.exact) list.push(["uringnet, recv(n)", [ring, "0", "--exact", String(load.size)]]);
  list.push([`${runtime}.listen`, [join(peers, own), "0"]]);
  return list;
}

/** Where a program runs, as `taskset -c` takes it; null where all may run anywhere. */
function processor(program: "server" | "client"): string | null {
  return machine.pins === null ? null : String(machine.pins[program]);
}

/** Servers are started when they are first needed and stay until the end, asleep in between. */
const servers = new Map<string, Server>();

async function serverFor(runtime: Runtime, name: string, args: string[]): Promise<Server> {
  const key = `${runtime} ${name}`;
  const running = servers.get(key);
  if (running !== undefined) return running;
  const command = [...commands[runtime], ...args];
  const server = await startServer(command, processor("server"));
  servers.set(key, server);
  return server;
}

function row(cells: string[]): string {
  const [runtime, name, ...numbers] = cells;
  const columns = numbers.map((text) => text.padStart(13)).join("");
  return `  ${runtime.padEnd(6)}${name.padEnd(18)}${columns}`;
}

function cells(report: Report): string[] {
  return [
    grouped(report.messages_per_second),
    `${grouped(report.latency_us.p50)} us`,
    `${grouped(report.latency_us.p99)} us`,
    `${report.server_cpu_us_per_message.toFixed(2)} us`,
    grouped(report.wrong_bytes),
  ];
}

async function measure(server: Server, load: Load, label: string) {
  const command = [client, "--port", server.port, "--connections", load.connections, "--size"];
  command.push(load.size, "--seconds", seconds, "--warmup", WARMUP_SECONDS);
  command.push("--server-pid", server.pid, "--verify", "--progress");
  return await runClient(command.map(String), {
    processors: processor("client"),
    onProgress: (line) => progress(`  ${label}: ${line.replace(/ +\d+ connections$/, "")}`),
  });
}

/** Runs one load against every server. Returns what went wrong. */
async function runLoad(load: Load): Promise<string[]> {
  const faults: string[] = [];
  const title = `${load.connections} connection${load.connections === 1 ? "" : "s"} x ` +
    `${grouped(load.size)} bytes`;
  print(style.bold(title));
  print(style.faint(row(["", "", "echoes/s", "p50", "p99", "CPU/echo", "wrong bytes"])));
  for (const runtime of RUNTIMES) {
    for (const [name, args] of contestants(runtime, load)) {
      const label = name.startsWith(runtime) ? name : `${runtime} ${name}`;
      const server = await serverFor(runtime, name, args);
      const { report, exitCode, complaints } = await measure(server, load, label);
      endProgress();
      // The client also fails when an answer is missing at the end.
      const wrong = exitCode !== 0 || report.wrong_bytes > 0 || report.errors > 0;
      const line = row([runtime, name, ...cells(report)]);
      print(wrong ? style.red(line) : name.startsWith("uringnet") ? style.green(line) : line);
      if (wrong) faults.push(`${title}, ${label}: ${complaints.join("; ") || "wrong bytes"}`);
    }
  }
  print();
  return faults;
}

function showMetrics(): void {
  for (const runtime of RUNTIMES) {
    const text = readFileSync(metricsFile(runtime), "utf8");
    const shown = text.split("\n").filter((line) => SHOWN_METRICS.includes(line.split(" ")[0]));
    print(style.bold(`Metrics of the ${runtime} server on the ring`));
    for (const line of shown) print(`  ${line}`);
    print(style.faint(`  all of it (${text.split("\n").length} lines): ${metricsFile(runtime)}`));
    print();
  }
}

async function main(): Promise<number> {
  const { supported, reason, kernel } = probe();
  if (!supported) {
    print(`The demo needs io_uring: ${reason}`);
    return 1;
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { pins } = machine;
  print(style.bold("uringnet: TCP over io_uring for Deno and Bun"));
  print(
    `Linux ${kernel}; ` +
      (pins === null
        ? "one processor for servers and client"
        : `servers on processor ${pins.server}, the client (in C) on processor ${pins.client}`) +
      `; ${seconds} s each after ${WARMUP_SECONDS} s of warm-up; every byte is compared`,
  );
  print();
  const faults: string[] = [];
  try {
    for (const load of LOADS) faults.push(...await runLoad(load));
  } finally {
    endProgress();
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }
  showMetrics();
  for (const fault of faults) print(style.red(`FAILED ${fault}`));
  if (faults.length > 0) return 1;
  print(style.green("Every byte came back right."));
  print("CPU/echo is the server's. One short run shows, it does not measure: see `make bench`.");
  return 0;
}

// Not process.exit: what is written to a pipe has to arrive.
process.exitCode = await main();
