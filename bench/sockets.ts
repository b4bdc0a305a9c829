/**
 * Unmodified software over `uringnet/net` and over the sockets of the runtime, side by side.
 *
 *   case -> each variant is started once and warmed -> rounds, in turn -> CPU per operation, rate
 *
 * A variant is one program of bench/sockets with a word that says where its sockets come from.
 * The measured program runs on one processor, and its load on another. Ratios are those of each
 * round to the first variant; figures are medians.
 *
 *   make bench-sockets                          everything, in both runtimes
 *   make bench-sockets CASE=http RUNTIME=deno ROUNDS=9
 *
 * Cases: http, ws, pg, redis, proxy-redis, proxy-pg, idle; and two of the examples: redis-server,
 * copy. Needs what scripts/clients.sh installs; the proxies are compared with haproxy.
 *
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Server, startServer as startReal } from "../tests/clients/servers.ts";
import { freePort } from "../tests/support/free_port.ts";
import { describeMachine, readMachine } from "./lib/machine.ts";
import { BENCH_FOLDER, Runtimes } from "./lib/peers.ts";
import { runProgram } from "./lib/processes.ts";
import {
  Bench,
  cpuPerOperation,
  type Options,
  PROGRAM_TIMEOUT_MS,
  type Running,
  type RuntimeName,
  type Sample,
  untilChildless,
  WARMUP_SECONDS,
} from "./lib/socket_bench.ts";
import { median, percentile, ratio, rotated } from "./lib/statistics.ts";

interface CaseOfSockets {
  name: string;
  title: string;
  /** The first one is what the others are compared with. */
  variants(runtime: RuntimeName): string[];
  /** The real server behind it. */
  server?: "redis" | "postgres";
  start(variant: string, bench: Bench, server: Server | null): Promise<Running>;
}

function wrk(bench: Bench, port: number, seconds: number): Promise<string> {
  const options = ["-c", "50", "-t", "1", "-d", `${seconds}s`, "--latency"];
  return bench.load(["wrk", ...options, `http://127.0.0.1:${port}/`]);
}

function found(pattern: RegExp, text: string): string {
  const match = pattern.exec(text);
  if (match === null) throw new Error(`No ${pattern} in: ${text}`);
  return match[1];
}

/** "1.23ms" */
function milliseconds(text: string): number {
  const [, value, unit] = /^([\d.]+)(us|ms|s)$/.exec(text)!;
  return Number(value) * ({ us: 0.001, ms: 1, s: 1_000 })[unit as "us" | "ms" | "s"];
}

function readWrk(output: string): { count: number; rate: number; p99: number } {
  if (/Socket errors|Non-2xx/.test(output)) throw new Error(output);
  return {
    count: Number(found(/(\d+) requests in/, output)),
    rate: Number(found(/Requests\/sec:\s+([\d.]+)/, output)),
    p99: milliseconds(found(/^\s+99%\s+(\S+)/m, output)),
  };
}

async function startHttp(variant: string, bench: Bench): Promise<Running> {
  const server = await bench.serve("http", variant);
  await wrk(bench, server.port, WARMUP_SECONDS);
  const run = async (seconds: number) => readWrk(await wrk(bench, server.port, seconds));
  return {
    measure: (seconds) => cpuPerOperation(server.pid, () => run(seconds)),
    stop: () => server.stop(),
  };
}

async function startWs(variant: string, bench: Bench): Promise<Running> {
  const server = await bench.serve("ws", variant);
  const run = async (seconds: number) => {
    const args = [`${server.port}`, `${seconds}`];
    const { count } = JSON.parse(await bench.load(bench.loader("ws_client", ...args)));
    return { count, rate: count / seconds };
  };
  await run(WARMUP_SECONDS);
  return {
    measure: (seconds) => cpuPerOperation(server.pid, () => run(seconds)),
    stop: () => server.stop(),
  };
}

/** A client that measures itself, started anew for each round. */
function startClient(program: string) {
  return (variant: string, bench: Bench, server: Server | null): Promise<Running> => {
    const measure = (seconds: number) =>
      bench.measured(program, variant, `${server!.port}`, `${seconds}`);
    return Promise.resolve({ measure, stop: () => Promise.resolve() });
  };
}

/** redis-benchmark through a proxy: 50 connections, 16 commands at a time. */
async function redisLoad(bench: Bench, port: number, count: number, tests = "get") {
  const options = ["-h", "127.0.0.1", "-p", `${port}`, "-P", "16", "-c", "50", "-n", `${count}`];
  const output = await bench.load(["redis-benchmark", ...options, "-t", tests, "--csv"]);
  // "test","rps","avg","min","p50","p95","p99","max", then a line for each test
  const rows = output.trim().split("\n").slice(1).map((line) =>
    line.split(",").map((cell) => Number(cell.replaceAll('"', "")))
  );
  return {
    count: count * rows.length,
    rate: rows.length / rows.reduce((sum, cells) => sum + 1 / cells[1], 0),
    p99: Math.max(...rows.map((cells) => cells[6])),
  };
}

const REDIS_COMMANDS_PER_SECOND = 250_000;

function pgbenchProgram(): string {
  const root = "/usr/lib/postgresql";
  return join(root, readdirSync(root).sort().at(-1)!, "bin", "pgbench");
}

/** pgbench through a proxy: 8 clients, one `select` at a time. */
async function postgresLoad(bench: Bench, port: number, seconds: number) {
  const folder = mkdtempSync(join(tmpdir(), "uringnet-pgbench-"));
  try {
    const where = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "test"];
    const how = ["-S", "-n", "-c", "8", "-T", `${seconds}`, "-l", `--log-prefix=${folder}/log`];
    const output = await bench.load([pgbenchProgram(), ...how, ...where, "postgres"]);
    if (!/failed transactions: 0 /.test(output)) throw new Error(output);
    const times = readdirSync(folder).flatMap((name) =>
      readFileSync(join(folder, name), "utf8").trim().split("\n").map((line) =>
        Number(line.split(" ")[2])
      )
    );
    return {
      count: times.length,
      rate: Number(found(/tps = ([\d.]+)/, output)),
      p99: percentile(times.sort((a, b) => a - b), 0.99) / 1_000,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function startProxy(
  load: (bench: Bench, port: number, seconds: number) => ReturnType<typeof redisLoad>,
) {
  return async (variant: string, bench: Bench, server: Server | null): Promise<Running> => {
    const { port } = server!;
    const proxy = variant === "haproxy"
      ? await bench.haproxy(port)
      : await bench.serve("proxy", variant, `${port}`);
    await load(bench, proxy.port, WARMUP_SECONDS);
    return {
      measure: (seconds) => cpuPerOperation(proxy.pid, () => load(bench, proxy.port, seconds)),
      stop: () => proxy.stop(),
    };
  };
}

/** SET and GET, at the work of the real one: examples/redis.ts. */
async function startRedisServer(variant: string, bench: Bench): Promise<Running> {
  const port = await freePort();
  const real = ["redis-server", "--port", `${port}`, "--save", "", "--appendonly", "no"];
  const address = `127.0.0.1:${port}`;
  const command = variant === "ring" ? bench.example("redis", address) : real;
  const server = await bench.listens(command, port);
  const run = (seconds: number) =>
    redisLoad(bench, port, seconds * REDIS_COMMANDS_PER_SECOND, "set,get");
  await run(WARMUP_SECONDS);
  return {
    measure: (seconds) => cpuPerOperation(server.pid, () => run(seconds)),
    stop: () => server.stop(),
  };
}

const COPY_CHUNK_BYTES = 256 << 10;

/** A stream of one connection through examples/proxy.ts; an operation is a MiB. */
async function startCopy(variant: string, bench: Bench): Promise<Running> {
  const built = (name: string) => join(BENCH_FOLDER, "build", name);
  const behind = await freePort();
  const end = await bench.listens(
    [built("uring_echo"), `${behind}`, "--mode", "sink"],
    behind,
    bench.clientPin,
  );
  const port = await freePort();
  const commands: Record<string, () => string[]> = {
    ring: () => bench.example("proxy", `127.0.0.1:${port}`, `127.0.0.1:${behind}`),
    socat: () => [
      "socat",
      "-b",
      `${COPY_CHUNK_BYTES}`,
      `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`,
      `TCP:127.0.0.1:${behind}`,
    ],
  };
  const proxy = variant === "haproxy"
    ? await bench.haproxy(behind)
    : await bench.listens(commands[variant](), port);
  const run = async (seconds: number) => {
    const options = ["--connections", "1", "--size", `${COPY_CHUNK_BYTES}`, "--mode", "sink"];
    const command = [built("client"), "--port", `${proxy.port}`, ...options];
    const output = await bench.load([...command, "--seconds", `${seconds}`]);
    const { bytes } = JSON.parse(output.trim().split("\n").at(-1)!) as { bytes: number };
    await untilChildless(proxy.pid);
    const count = bytes / (1 << 20);
    return { count, rate: count / seconds };
  };
  await run(WARMUP_SECONDS);
  return {
    measure: (seconds) => cpuPerOperation(proxy.pid, () => run(seconds)),
    stop: async () => {
      await proxy.stop();
      await end.stop();
    },
  };
}

const CASES: readonly CaseOfSockets[] = [
  {
    name: "http",
    title: 'node:http "hello world", wrk, 50 connections',
    variants: (runtime) =>
      runtime === "bun" ? ["native", "listen", "ring"] : ["listen", "native", "ring"],
    start: startHttp,
  },
  {
    name: "ws",
    title: "ws echo, 50 connections, 64 bytes",
    variants: () => ["native", "ring"],
    start: startWs,
  },
  {
    name: "pg",
    title: "pg, 16 clients, select 1",
    variants: () => ["native", "ring"],
    server: "postgres",
    start: startClient("pg"),
  },
  {
    name: "redis",
    title: "ioredis, pipelines of 100",
    variants: () => ["native", "ring"],
    server: "redis",
    start: startClient("redis"),
  },
  {
    name: "proxy-redis",
    title: "TCP proxy, redis-benchmark -P 16 -c 50",
    variants: () => ["haproxy", "native", "ring"],
    server: "redis",
    start: startProxy((bench, port, seconds) =>
      redisLoad(bench, port, seconds * REDIS_COMMANDS_PER_SECOND)
    ),
  },
  {
    name: "proxy-pg",
    title: "TCP proxy, pgbench -S -c 8",
    variants: () => ["haproxy", "native", "ring"],
    server: "postgres",
    start: startProxy(postgresLoad),
  },
  {
    name: "redis-server",
    title: "examples/redis.ts, redis-benchmark -t set,get -P 16 -c 50",
    variants: () => ["redis-server", "ring"],
    start: startRedisServer,
  },
  {
    name: "copy",
    title: "a stream through copyBidirectional(), MiB",
    variants: () => ["haproxy", "socat", "ring"],
    start: startCopy,
  },
  {
    name: "idle",
    title: "an idle socket that a server of node:net has accepted",
    variants: () => ["native", "ring"],
    start: (variant, bench) =>
      Promise.resolve({
        measure: () => bench.measured("idle", variant, `${bench.options.connections}`),
        stop: () => Promise.resolve(),
      }),
  },
];

function format(value: number | null | undefined, digits: number): string {
  if (value === null || value === undefined) return "";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

const COLUMNS: readonly [string, (sample: Sample) => number | undefined, number][] = [
  ["CPU us", ({ user, system }) => user === undefined ? undefined : user + (system ?? 0), 2],
  ["user", ({ user }) => user, 2],
  ["system", ({ system }) => system, 2],
  ["per second", ({ rate }) => rate, 0],
  ["p99 ms", ({ p99 }) => p99, 2],
  ["bytes", ({ bytes }) => bytes, 0],
];

/** A table of medians, and of ratios to the first variant: CPU or bytes, and the rate. */
function table(title: string, samples: ReadonlyMap<string, Sample[]>): string {
  const [first] = samples.values();
  const columns = COLUMNS.filter(([, read]) => first.some((sample) => read(sample) !== undefined));
  const cost = columns[0][1];
  const rows = [["", ...columns.map(([name]) => name), "cost x", "rate x"]];
  const values = (of: Sample[], read: (sample: Sample) => number | undefined) =>
    of.map((sample) => read(sample) ?? null);
  for (const [variant, own] of samples) {
    const medians = columns.map(([, read, digits]) =>
      format(median(values(own, read).filter((value) => value !== null)), digits)
    );
    const costs = ratio(values(own, cost), values(first, cost));
    const rates = ratio(values(own, ({ rate }) => rate), values(first, ({ rate }) => rate));
    rows.push([variant, ...medians, format(costs?.median, 2), format(rates?.median, 2)]);
  }
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const lines = rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  ")
  );
  return [title, ...lines].join("\n");
}

function pin(server: Server | null, bench: Bench): void {
  if (server === null || bench.clientPin === null) return;
  spawnSync("taskset", ["-acp", bench.clientPin, `${server.pid}`]);
}

async function prepare(server: Server | null, work: CaseOfSockets): Promise<void> {
  if (work.name !== "proxy-pg") return;
  const where = ["-h", "127.0.0.1", "-p", `${server!.port}`, "-U", "test", "postgres"];
  const command = [pgbenchProgram(), "-i", "-q", "-s", "2", ...where];
  const made = await runProgram(command, null, PROGRAM_TIMEOUT_MS);
  if (made.exitCode !== 0) throw new Error(made.stderr);
}

async function runCase(work: CaseOfSockets, bench: Bench): Promise<void> {
  const { rounds, seconds } = bench.options;
  const server = work.server === undefined ? null : await startReal(work.server);
  pin(server, bench);
  const samples = new Map<string, Sample[]>();
  const running: [string, Running][] = [];
  try {
    await prepare(server, work);
    for (const variant of work.variants(bench.runtime)) {
      samples.set(variant, []);
      running.push([variant, await work.start(variant, bench, server)]);
    }
    for (let round = 0; round < rounds; round++) {
      for (const [variant, one] of rotated(running, round)) {
        samples.get(variant)!.push(await one.measure(seconds));
      }
    }
    console.log(`\n${table(`${work.title}, ${bench.runtime}`, samples)}`);
  } finally {
    for (const [, one] of running) await one.stop();
    await server?.[Symbol.asyncDispose]();
  }
}

const USAGE = "bench/sockets.ts [--case NAME,...] [--runtime bun|deno] [--rounds 5] " +
  "[--seconds 2] [--connections 10000]";

function parse(args: readonly string[]): Options {
  const given = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) given.set(args[i], args[i + 1] ?? "");
  const number = (name: string, otherwise: number) => {
    const value = Number(given.get(name) ?? otherwise);
    given.delete(name);
    if (!Number.isInteger(value) || value < 1) throw new Error(`${name}: wanted 1 or more`);
    return value;
  };
  const cases = given.get("--case")?.split(",") ?? null;
  const runtime = given.get("--runtime");
  given.delete("--case");
  given.delete("--runtime");
  for (const name of cases ?? []) {
    if (!CASES.some((work) => work.name === name)) throw new Error(`Unknown case "${name}"`);
  }
  if (runtime !== undefined && runtime !== "bun" && runtime !== "deno") throw new Error(USAGE);
  const options: Options = {
    cases,
    runtimes: runtime === undefined ? ["bun", "deno"] : [runtime],
    rounds: number("--rounds", 5),
    seconds: number("--seconds", 2),
    connections: number("--connections", 10_000),
  };
  if (given.size > 0) throw new Error(USAGE);
  return options;
}

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parse(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  console.log(describeMachine(readMachine(new Runtimes())));
  let status = 0;
  for (const work of CASES) {
    if (options.cases !== null && !options.cases.includes(work.name)) continue;
    for (const runtime of options.runtimes) {
      try {
        await runCase(work, new Bench(runtime, options));
      } catch (error) {
        status = 1;
        console.error(`${work.name}, ${runtime}: ${(error as Error).message}`);
      }
    }
  }
  return status;
}

process.exit(await main(process.argv.slice(2)));
