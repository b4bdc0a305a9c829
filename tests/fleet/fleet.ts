/**
 * The fleet of examples/fleet as it runs: two hosts with sockets that a launcher has bound, as a
 * service manager does, and haproxy with the configuration of the example in front of them.
 *
 *   await using fleet = await Fleet.start()  ->  hosts ready, haproxy sends to both
 *   host.replaceProcesses()                  ->  SIGHUP, "replaced"
 *   host.replaceItself()                     ->  SIGTERM, drained, ended, started, up again
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Network } from "../../mod.ts";
import { patience } from "../harness.ts";
import { ROOT } from "../package/program.ts";
import { freePort } from "../support/free_port.ts";

const PROCESSES = 2;
const EXAMPLE = join(ROOT, "examples", "fleet");
const START_MS = patience(60_000);
const END_MS = patience(45_000);
/** haproxy and a process of another one tell nothing when they are ready. */
const LOOK_MS = 25;

const runtime = "Bun" in globalThis
  ? [process.execPath]
  : [process.execPath, "run", "--quiet", "--allow-ffi", "--allow-net", "--allow-env"]
    .concat("--allow-read", "--allow-run", "--allow-sys");

/** Resolves with what `look` returns, once it is not null. */
async function until<T>(wanted: string, look: () => Promise<T | null> | T | null): Promise<T> {
  for (const endMs = performance.now() + START_MS;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > endMs) throw new Error(`Timed out after ${START_MS} ms: ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Resolves with the exit code; all that the process printed has been read, where it may end. */
async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, signal === "SIGKILL" ? "exit" : "close");
  // Not child.kill(), after which Deno reads no more of the output.
  process.kill(child.pid as number, signal);
  const timer = setTimeout(() => process.kill(child.pid as number, "SIGKILL"), END_MS);
  const [code] = await ended;
  clearTimeout(timer);
  return code as number | null;
}

export class Host {
  readonly ports: { web: number; agent: number; metrics: number };
  readonly #fleet: Fleet;
  readonly #name: string;
  #child: ChildProcess | null = null;
  /** The process numbers of each line "ready" and "replaced". */
  #generations: number[][] = [];
  #output = "";

  constructor(fleet: Fleet, name: string, ports: Host["ports"]) {
    this.#fleet = fleet;
    this.#name = name;
    this.ports = ports;
  }

  /** The numbers of the processes that serve. */
  get processIds(): readonly number[] {
    return this.#generations.at(-1) ?? [];
  }

  async start(): Promise<void> {
    const { web, agent, metrics } = this.ports;
    const host = [...runtime, join(EXAMPLE, "host.ts"), `${PROCESSES}`];
    host.push(`127.0.0.1:${agent}`, `127.0.0.1:${metrics}`);
    const command = [`${web}`, "LISTEN_FDS=1", "--", ...host];
    const child = spawn(this.#fleet.launcher, command, { stdio: ["ignore", "pipe", "pipe"] });
    this.#output = "";
    child.stdout!.on("data", (data) => this.#output += data);
    child.stderr!.on("data", (data) => this.#output += data);
    this.#child = child;
    await this.#untilSaid("ready", 1);
    await this.#fleet.untilUp(this.#name);
  }

  /** SIGHUP: each process is replaced, one after the other. */
  async replaceProcesses(): Promise<void> {
    const before = this.processIds;
    const count = this.#said("replaced").length;
    process.kill(this.#child!.pid as number, "SIGHUP");
    await this.#untilSaid("replaced", count + 1);
    this.#mustDiffer(before);
  }

  /** Resolves when the agent has told the balancer that a new host is ready. */
  untilOnlyUp(): Promise<true> {
    return until(`the agent of ${this.#name} says "up"`, async () => {
      await using connection = await this.#fleet.network.dial(`127.0.0.1:${this.ports.agent}`);
      return (await connection.stream.recvUntil("\n")).text() === "up\n" ? true : null;
    });
  }

  /** SIGTERM, and a new one. */
  async replaceItself(): Promise<void> {
    const before = this.processIds;
    await this.stop();
    await this.start();
    this.#mustDiffer(before);
  }

  async stop(): Promise<void> {
    if (this.#child === null) return;
    const code = await endOf(this.#child, "SIGTERM");
    this.#child = null;
    if (code !== 0 || !/^drained$/m.test(this.#output)) {
      throw new Error(`${this.#name}: ${this.#output}`);
    }
  }

  /** Ends it at once, whatever it is at. Its processes notice, and end by themselves. */
  async kill(): Promise<void> {
    if (this.#child !== null) await endOf(this.#child, "SIGKILL");
  }

  /** The sum of a counter over all processes, on the one page that has them all. */
  async metric(name: string): Promise<number> {
    const page = await (await fetch(`http://127.0.0.1:${this.ports.metrics}/`)).text();
    const found = new RegExp(`^${name} (\\d+)$`, "m").exec(page);
    if (found === null) throw new Error(`No ${name} in\n${page}`);
    return Number(found[1]);
  }

  #said(word: string): number[][] {
    const lines = [...this.#output.matchAll(new RegExp(`^${word} ([\\d ]+)$`, "gm"))];
    return lines.map(([, ids]) => ids.split(" ").map(Number));
  }

  async #untilSaid(word: string, count: number): Promise<void> {
    const said = await until(`${this.#name} says "${word}"`, () => {
      if (this.#child!.exitCode !== null) throw new Error(`${this.#name}: ${this.#output}`);
      const all = this.#said(word);
      return all.length < count ? null : all;
    });
    this.#generations.push(said.at(-1)!);
  }

  #mustDiffer(before: readonly number[]): void {
    const now = this.processIds;
    if (now.length === PROCESSES && !now.some((id) => before.includes(id))) return;
    throw new Error(`${this.#name} had the processes ${before}, and has ${now}`);
  }
}

/** A row of haproxy's statistics. */
export type Row = Readonly<Record<string, string>>;

export class Fleet implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "uringnet-fleet-"));
  readonly launcher = join(this.folder, "launch");
  readonly hosts: Host[] = [];
  address = "";
  readonly network: Network;
  #haproxy: ChildProcess | null = null;

  private constructor(network: Network) {
    this.network = network;
  }

  static async start(network: Network): Promise<Fleet> {
    const fleet = new Fleet(network);
    try {
      await fleet.#start();
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const source = join(ROOT, "tests", "serve", "programs", "launch.c");
    execFileSync(process.env.CC || "cc", ["-O1", "-o", this.launcher, source]);
    const env: Record<string, string | undefined> = { ...process.env };
    this.address = `127.0.0.1:${await freePort()}`;
    env.FLEET_FRONT = this.address;
    env.FLEET_STATS = join(this.folder, "haproxy.sock");
    for (const name of ["blue", "green"]) {
      const ports = {
        web: await freePort(),
        agent: await freePort(),
        metrics: await freePort(),
      };
      env[`FLEET_${name.toUpperCase()}`] = `127.0.0.1:${ports.web}`;
      env[`FLEET_${name.toUpperCase()}_AGENT`] = `${ports.agent}`;
      this.hosts.push(new Host(this, name, ports));
    }
    const command = ["-db", "-f", join(EXAMPLE, "haproxy.cfg")];
    const path = `${process.env.PATH}:/usr/sbin`;
    this.#haproxy = spawn("haproxy", command, { env: { ...env, PATH: path }, stdio: "ignore" });
    await Promise.all(this.hosts.map((host) => host.start()));
  }

  /** A command for haproxy's admin socket, and the answer. */
  async command(line: string): Promise<string> {
    await using connection = await this.network.dial(`unix:${join(this.folder, "haproxy.sock")}`);
    await connection.sink.send(`${line}\n`);
    let answer = "";
    for await (const bytes of connection.stream) answer += new TextDecoder().decode(bytes);
    return answer;
  }

  /** The statistics of haproxy: one row for each host, and one for their sum. */
  async statistics(): Promise<Row[]> {
    const [names, ...rows] = (await this.command("show stat")).trim().split("\n")
      .map((line) => line.replace(/^# /, "").split(","));
    const all = rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
    return all.filter(({ pxname }) => pxname === "fleet");
  }

  /** Resolves when haproxy sends requests to this host. */
  untilUp(host: string): Promise<true> {
    return until(`haproxy finds ${host} up`, async () => {
      const rows = await this.statistics().catch(() => []);
      const row = rows.find(({ svname }) => svname === host);
      const isUp = row?.status === "UP" && row.check_status === "L7OK" && row.agent_health !== "0";
      return isUp && row.agent_status === "L7OK" ? true : null;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.kill()));
    if (this.#haproxy !== null) await endOf(this.#haproxy, "SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
