/**
 * A network namespace for a test: interfaces, addresses and routes of its own.
 *
 * A socket stays in the namespace in which its thread was when the socket was made. So one thread
 * can hold both ends of a line between two namespaces: it enters a namespace, binds or dials there,
 * and comes back. A namespace exists as long as a descriptor or a socket of it does.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { close, enterNetwork, open, unshareNetwork } from "../support/libc.ts";

// Of the thread: /proc/self is that of the first thread.
const CURRENT = "/proc/thread-self/ns/net";

/** The output of a command, and its exit code. */
export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export class NetNamespace {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** A new, empty namespace; null where the system refuses to make one. */
  static make(): NetNamespace | null {
    const home = opened(CURRENT);
    if (!unshareNetwork()) {
      close(home);
      return null;
    }
    try {
      return new NetNamespace(opened(CURRENT));
    } finally {
      enter(home);
      close(home);
    }
  }

  /** Runs a function with this thread in the namespace, until its promise settles. */
  async inside<T>(body: () => Promise<T>): Promise<T> {
    const home = opened(CURRENT);
    enter(this.#fd);
    try {
      return await body();
    } finally {
      enter(home);
      close(home);
    }
  }

  /** Runs a command in the namespace, whatever its exit status. */
  try(...command: string[]): Outcome {
    const home = opened(CURRENT);
    enter(this.#fd);
    try {
      const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), {
        encoding: "utf8",
      });
      return { status, stdout: stdout ?? "", stderr: error ? String(error) : stderr ?? "" };
    } finally {
      enter(home);
      close(home);
    }
  }

  /** Runs a command that must succeed, and returns what it printed. */
  run(...command: string[]): string {
    const { status, stdout, stderr } = this.try(...command);
    if (status === 0) return stdout;
    throw new Error(`"${command.join(" ")}" ended with ${status}: ${stderr || stdout}`);
  }

  /** The name of the namespace for `ip link set ... netns`, while this process lives. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** Lets go of the namespace. */
  close(): void {
    close(this.#fd);
  }
}

function opened(path: string): number {
  const fd = open(path);
  if (fd < 0) throw new Error(`Cannot open ${path}`);
  return fd;
}

function enter(fd: number): void {
  if (!enterNetwork(fd)) throw new Error(`Cannot enter the network namespace ${fd}`);
}
