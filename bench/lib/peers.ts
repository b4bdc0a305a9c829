/**
 * The peers: whole programs that are measured side by side. Each is started for one measurement.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Case, PeerSet } from "./cases.ts";

export type Runtime = "bun" | "deno" | "node";

export interface Peer {
  name: string;
  family: "floor" | "uringnet" | "runtime";
  /** Null for a program in C. */
  runtime: Runtime | null;
  /** The runtime's own sockets that it is compared with. */
  own: string | null;
  /** The sets of peers (`Case.peers`) that it belongs to. */
  sets: readonly PeerSet[];
  /** The program below bench/ and its arguments after the port. */
  program: string;
  /** Another one for the cases about starting, which loads nothing but the library. */
  startProgram?: string;
  args(work: Case): string[];
}

/** How the names of the C servers on io_uring begin. */
export const FLOOR = "c_uring/";

/**
 * How the name of a second instance of the same program ends. Two instances differ by nothing but
 * the noise of the machine.
 */
export const TWIN = " twin";

/** Whether a peer is a C server on io_uring, each counted once. */
export function isFloor(peer: string): boolean {
  return peer.startsWith(FLOOR) && !peer.endsWith(TWIN);
}

/** Peers that serve every mode. */
const ALWAYS = ["plain", "spin", "modes", "backends", "framed", "source"] as const;
const MAIN = [...ALWAYS, "main", "workers", "start"] as const;

function mode(work: Case): string[] {
  return ["--mode", serverMode(work)];
}

/** The work of the server, as opposed to that of the client. */
function serverMode({ work }: Case): string {
  if (work.kind !== "client" || work.mode === "churn" || work.mode === "idle") return "echo";
  return work.mode;
}

function size({ work }: Case): number {
  return "size" in work ? work.size : 0;
}

function closingArgs({ work }: Case): string[] {
  if (work.kind !== "closing") throw new TypeError("Only a network that closes is measured so");
  return ["--connections", String(work.connections), "--unread", String(work.unreadBytes)];
}

/** The same peer, answering all frames that came together in one send. */
function joinedPeer(peer: Peer): Peer {
  return {
    ...peer,
    name: `${peer.name} joined`,
    own: peer.own === null ? null : `${peer.own} joined`,
    sets: ["framed"],
    args: (work) => ["--mode", "joined", ...peer.args(work).slice(mode(work).length)],
  };
}

function cPeer(name: string, program: string, options: string[] = []): Peer[] {
  const peer: Peer = {
    name,
    family: "floor",
    runtime: null,
    own: null,
    sets: name === "c_epoll" ? [...ALWAYS, "main"] : MAIN,
    program: `build/${program}`,
    args: (work) => [...mode(work), ...options],
  };
  return [peer, joinedPeer(peer)];
}

/** A server of the floor, and the same program once more, where ratios have to be told apart. */
function floorPeer(receive: "oneshot" | "multishot"): Peer[] {
  const [peer, joined] = cPeer(`c_uring/${receive}`, "uring_echo", ["--recv", receive]);
  return [peer, { ...peer, name: `${peer.name}${TWIN}`, sets: ["modes", "backends"] }, joined];
}

function ringPeers(runtime: "bun" | "deno"): Peer[] {
  const common = {
    family: "uringnet" as const,
    runtime,
    own: runtime === "bun" ? "Bun.listen" : "Deno.listen",
    program: "peers/uringnet_echo.ts",
  };
  const name = `uringnet/${runtime}`;
  const startProgram = "build/uringnet_start.ts";
  const peer: Peer = { ...common, name, sets: MAIN, startProgram, args: mode };
  return [
    peer,
    {
      ...common,
      name: `${name} files`,
      sets: ["start"],
      program: "peers/uringnet_start.ts",
      args: () => [],
    },
    {
      ...common,
      name: `${name} exact`,
      sets: ["modes"],
      args: (work) => ["--exact", String(size(work))],
    },
    {
      ...common,
      name: `${name} metrics`,
      sets: ["modes"],
      args: (work) => [...mode(work), "--metrics", "/dev/null"],
    },
    {
      ...common,
      name: `${name} split`,
      sets: ["modes", "spin"],
      args: (work) => [...mode(work), "--topology", "split"],
    },
    {
      ...common,
      name: `${name} no spin`,
      sets: ["spin"],
      args: (work) => [...mode(work), "--spin", "off"],
    },
    {
      ...common,
      name: `${name} portable`,
      own: `node:net/${runtime}`,
      sets: ["spin", "modes", "backends"],
      args: (work) => [...mode(work), "--backend", "portable"],
    },
    joinedPeer(peer),
    ...["recv-send", "codec"].map((mode): Peer => ({
      ...common,
      name: `${name} ${mode}`,
      sets: ["framed"],
      args: () => ["--mode", mode],
    })),
    { ...common, name: `${name} pooled`, sets: ["source"], args: () => ["--mode", "pooled"] },
    {
      ...common,
      name: `${name} workers`,
      sets: ["workers"],
      program: "peers/uringnet_workers.ts",
      args: (work) => ["--workers", String(work.workers ?? 1)],
    },
    { ...common, name, own: null, sets: ["closing"], program: "closing.ts", args: closingArgs },
  ];
}

function socketPeer(name: string, runtime: Runtime, program: string, own: string | null): Peer[] {
  const sets = own === name ? MAIN : ALWAYS;
  const peer: Peer = {
    name,
    family: "runtime",
    runtime,
    own: own === name ? null : own,
    sets,
    program: `peers/${program}`,
    args: mode,
  };
  return [peer, joinedPeer(peer)];
}

export const PEERS: readonly Peer[] = [
  ...floorPeer("oneshot"),
  ...floorPeer("multishot"),
  ...cPeer("c_epoll", "epoll_echo"),
  ...ringPeers("bun"),
  ...ringPeers("deno"),
  ...socketPeer("Bun.listen", "bun", "bun_listen.ts", "Bun.listen"),
  ...socketPeer("Deno.listen", "deno", "deno_listen.ts", "Deno.listen"),
  ...socketPeer("node:net/bun", "bun", "node_net.mjs", "Bun.listen"),
  ...socketPeer("node:net/deno", "deno", "node_net.mjs", "Deno.listen"),
  ...socketPeer("node:net/node", "node", "node_net.mjs", null),
];

/** The peers of a case, in the order of the table. */
export function peersOf(work: Case, parts: readonly string[] | null = null): Peer[] {
  return PEERS.filter(({ name, sets }) =>
    sets.includes(work.peers) &&
    (parts === null || parts.some((part) => name.toLowerCase().includes(part.toLowerCase())))
  );
}

export const BENCH_FOLDER = join(import.meta.dirname as string, "..");

/** Finds the runtimes once: the command that starts a program in each, or why there is none. */
export class Runtimes {
  readonly #commands: Record<Runtime, string[] | string>;

  constructor() {
    const node = spawnSync("node", ["--version"]).status === 0;
    this.#commands = {
      bun: found("bun", []),
      deno: found("deno", ["run", "--quiet", "--allow-all"]),
      node: node ? ["node"] : "node is not in PATH",
    };
  }

  /** How to start a peer on a free port, or the reason why it cannot run here. */
  command(peer: Peer, work: Case): string[] | string {
    const name = (work.peers === "start" ? peer.startProgram : undefined) ?? peer.program;
    const program = join(BENCH_FOLDER, name);
    if (!existsSync(program)) return `${name} was not built: run bench/build.sh`;
    const start = peer.runtime === null ? [] : this.#commands[peer.runtime];
    return typeof start === "string" ? start : [...start, program, "0", ...peer.args(work)];
  }

  /** The command that starts a program, or null. */
  of(runtime: Runtime): string[] | null {
    const start = this.#commands[runtime];
    return typeof start === "string" ? null : start;
  }
}

/** A runtime that scripts/tool.sh finds. */
function found(name: "bun" | "deno", args: string[]): string[] | string {
  const tool = join(BENCH_FOLDER, "..", "scripts", "tool.sh");
  const { status, stdout } = spawnSync("sh", [tool, name], { encoding: "utf8" });
  return status === 0 ? [stdout.trim(), ...args] : `${name} is not installed`;
}
