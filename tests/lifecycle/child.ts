/**
 * Runs one of `programs/` in a process of its own, in the runtime that runs the test, and listens
 * to the lines that it prints.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { deferred } from "../harness.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

const children = new Set<ReturnType<typeof spawn>>();

/** Ends what a failed test left running. */
export function endChildren(): void {
  for (const child of children) child.kill("SIGKILL");
}

/** How a program ended. */
export interface Ending {
  code: number | null;
  signal: string | null;
  output: string;
  /** When it ended, on the clock of `performance.now()`. */
  at: number;
  /** The same on the clock of `Date.now()`, which the program shares. */
  wallMs: number;
}

export interface Program {
  /** Waits for a line that matches, and returns the match. Fails when the program ends first. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  ended: Promise<Ending>;
  running(): boolean;
  kill(): void;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
}

export interface ProgramOptions {
  args?: readonly string[];
  /** Limit of open descriptors. */
  descriptorsMax?: number;
  /** The command that runs the program, whose own command line follows. */
  prefix?: readonly string[];
  /** Where the program is; `programs/` unless given. */
  folder?: URL;
  /** `globalThis.gc` can be called; in Bun `Bun.gc` always can. */
  collects?: boolean;
  /** Options of the runtime, in front of the file. */
  flags?: readonly string[];
}

/** Starts `programs/<name>.ts`. */
export function start(name: string, options: ProgramOptions = {}): Program {
  const folder = options.folder ?? new URL("./programs/", import.meta.url);
  const file = fileURLToPath(new URL(`./${name}.ts`, folder));
  const engine = options.collects === true ? ["--v8-flags=--expose-gc"] : [];
  const flags = "Deno" in globalThis
    ? ["run", "--no-check", "--no-lock", "--config", `${root}/deno.json`, "-A", ...engine]
    : [];
  flags.push(...options.flags ?? [], file);
  const limit = options.descriptorsMax;
  const command = [...options.prefix ?? [], process.execPath, ...flags, ...options.args ?? []];
  // Half a second after its start Deno would look for updates, with descriptors of its own.
  const env = { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  const child = limit === undefined
    ? spawn(command[0], command.slice(1), { cwd: root, env })
    : spawn("sh", ["-c", `ulimit -n ${limit} && exec "$0" "$@"`, ...command], { cwd: root, env });
  children.add(child);
  let output = "";
  let running = true;
  let wallMs = 0;
  const ended = deferred<Ending>();
  const listeners = new Set<() => void>();
  const add = (chunk: unknown) => {
    output += String(chunk);
    for (const look of [...listeners]) look();
  };
  child.stdout.on("data", add);
  child.stderr.on("data", add);
  child.on("error", ended.reject);
  child.on("exit", () => {
    wallMs = Date.now();
    running = false;
    children.delete(child);
  });
  child.on("close", (code, signal) => {
    ended.resolve({ code, signal, output, at: performance.now(), wallMs });
  });
  return {
    ended: ended.promise,
    running: () => running,
    kill: () => void child.kill("SIGKILL"),
    // Not child.kill(): in Deno that sends one signal and no second.
    signal: (name) => void process.kill(child.pid as number, name),
    line(pattern) {
      const found = deferred<RegExpExecArray>();
      const look = () => {
        const match = pattern.exec(output);
        if (match === null) return;
        listeners.delete(look);
        found.resolve(match);
      };
      listeners.add(look);
      look();
      void ended.promise.then(() =>
        found.reject(new Error(`"${name}" ended without ${pattern}:\n${output}`))
      );
      return found.promise;
    },
  };
}
