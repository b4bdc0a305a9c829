/**
 * The machine of the demo: the kernel, and the processors that this process may use.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { release } from "node:os";

export interface Machine {
  kernel: string;
  /** Processor of the servers and of the client; null when they cannot be told apart. */
  pins: { server: number; client: number } | null;
}

/** "0-3,6" -> [0, 1, 2, 3, 6] */
function expand(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

export function readMachine(): Machine {
  const status = readFileSync("/proc/self/status", "utf8");
  const allowed = expand(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0");
  const hasTaskset = spawnSync("taskset", ["--version"]).status === 0;
  return {
    kernel: release(),
    pins: allowed.length > 1 && hasTaskset ? { server: allowed[0], client: allowed[1] } : null,
  };
}
