/**
 * The facts about the machine that a result must have, and the processors that can be used.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { BENCH_FOLDER, type Runtimes } from "./peers.ts";

export interface Machine {
  cpu: string;
  cores: number;
  memoryGib: number;
  kernel: string;
  versions: Record<string, string>;
  /** Over the last minute, before anything was measured: what else the machine was doing. */
  loadAverage: number;
  pins: Pins;
  openFilesMax: number;
}

/** Lists of processors as taskset takes them; null leaves the choice to the kernel. */
export interface Pins {
  server: string | null;
  client: string | null;
  /** For servers with several threads: all but the client's. */
  workers: string | null;
}

/** "0-3,6" -> [0, 1, 2, 3, 6] */
export function expandList(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Server on the first processor, client on the second; with one there is nothing to tell apart. */
export function choosePins(processors: readonly number[]): Pins {
  if (processors.length < 2) return { server: null, client: null, workers: null };
  const [server, client, ...rest] = processors;
  const workers = rest.length === 0 ? null : [server, ...rest].join(",");
  return { server: String(server), client: String(client), workers };
}

function readPins(): Pins {
  const status = readFileSync("/proc/self/status", "utf8");
  const allowed = expandList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0");
  const hasTaskset = spawnSync("taskset", ["--version"]).status === 0;
  return choosePins(hasTaskset ? allowed : []);
}

function openFilesMax(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const found = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? "1024";
  return found === "unlimited" ? Infinity : Number(found);
}

/** The first version number that a program prints. */
function version(command: readonly string[] | null): string {
  if (command === null) return "missing";
  const [program, ...args] = command;
  const { status, stdout } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) return "missing";
  return /\d+\.\d+(?:\.\d+)?\S*/.exec(stdout.split("\n")[0])?.[0] ?? stdout.trim();
}

function compilerVersion(): string {
  const found = version([process.env.CC ?? "gcc", "-dumpfullversion"]);
  return found === "missing" ? version(["gcc", "--version"]) : found;
}

function liburingVersion(): string {
  const asked = version(["pkg-config", "--modversion", "liburing"]);
  if (asked !== "missing") return asked;
  const header = "/usr/include/liburing/io_uring_version.h";
  if (!existsSync(header)) return "unknown";
  const text = readFileSync(header, "utf8");
  const part = (name: string) => new RegExp(`VERSION_${name}\\s+(\\d+)`).exec(text)?.[1] ?? "?";
  return `${part("MAJOR")}.${part("MINOR")}`;
}

/** "0.1.0", and where there is a repository "0.1.0 at 1a2b3c4", with "changed" when it was. */
function libraryVersion(): string {
  const root = join(BENCH_FOLDER, "..");
  const manifest = readFileSync(join(root, "package.json"), "utf8");
  const { version: number } = JSON.parse(manifest) as { version: string };
  const git = (...args: string[]) =>
    spawnSync("git", ["-C", root, ...args], { encoding: "utf8" }).stdout?.trim() ?? "";
  const revision = git("rev-parse", "--short", "HEAD");
  if (revision === "") return number;
  const changed = git("status", "--porcelain", "--", "src", "ffi", "mod.ts") !== "";
  return `${number} at ${revision}${changed ? ", changed" : ""}`;
}

export function readMachine(runtimes: Runtimes): Machine {
  const processors = cpus();
  const programs = {
    deno: runtimes.of("deno"),
    bun: runtimes.of("bun"),
    node: runtimes.of("node"),
  };
  const versions: Record<string, string> = {};
  for (const [name, command] of Object.entries(programs)) {
    versions[name] = version(command === null ? null : [command[0], "--version"]);
  }
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGib: Math.round(totalmem() / (1 << 30) * 10) / 10,
    kernel: release(),
    versions: {
      uringnet: libraryVersion(),
      ...versions,
      gcc: compilerVersion(),
      liburing: liburingVersion(),
    },
    loadAverage: loadavg()[0],
    pins: readPins(),
    openFilesMax: openFilesMax(),
  };
}

/** The lines above the tables. */
export function describeMachine(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, text]) => `${name} ${text}`);
  const { server, client } = machine.pins;
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Linux ${machine.kernel}`,
    versions.join(", "),
    (server === null
      ? "server and client share the processors"
      : `server on processor ${server}, client on processor ${client}`) +
    `, load average ${machine.loadAverage.toFixed(2)} before the start`,
  ].join("\n");
}
