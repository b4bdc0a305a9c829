/**
 * The servers of one case. They are started when first measured and stay until the case is over, so
 * that each round is short: the machine's speed changes within seconds, and two servers can only be
 * compared in the same moment. All but the one that is loaded are silent.
 *
 *   round 1: start, warm up long, measure     later rounds: warm up short, measure
 *
 * @module
 */
import type { Case } from "./cases.ts";
import type { Machine } from "./machine.ts";
import { type Server, startServer } from "./processes.ts";

/** A server that could not be started. */
export class StartError extends Error {}

export interface Place {
  server: Server;
  /** It was started just now: nothing is compiled, no cache is filled. */
  fresh: boolean;
}

export class Stand {
  readonly #work: Case;
  readonly #machine: Pick<Machine, "pins">;
  readonly #servers = new Map<string, Server>();

  constructor(work: Case, machine: Pick<Machine, "pins">) {
    this.#work = work;
    this.#machine = machine;
  }

  /** The running server of that name, or a new one. Rejects with StartError. */
  async take(name: string, command: readonly string[]): Promise<Place> {
    const running = this.#servers.get(name);
    if (running !== undefined) return { server: running, fresh: false };
    const { workers, server: one } = this.#machine.pins;
    try {
      const server = await startServer(command, this.#work.peers === "workers" ? workers : one);
      this.#servers.set(name, server);
      return { server, fresh: true };
    } catch (error) {
      throw new StartError((error as Error).message);
    }
  }

  /** Ends one server; the next round starts it anew. */
  async drop(name: string): Promise<void> {
    const server = this.#servers.get(name);
    this.#servers.delete(name);
    await server?.stop();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((name) => this.drop(name)));
  }
}

/** Memory is that of a process that has done nothing else, and a first second comes once. */
export function keepsServers({ work, cold }: Case): boolean {
  if (cold === true || work.kind === "start") return false;
  return work.kind !== "client" || work.mode !== "idle";
}
