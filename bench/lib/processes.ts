/**
 * Programs as processes: servers that say `listening PORT`, and programs that run to their end.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";

export interface Server {
  pid: number;
  port: number;
  /** Asks it to end and waits until it has; the last resort is a kill. */
  stop(): Promise<void>;
}

export interface Finished {
  exitCode: number;
  stdout: string;
  stderr: string;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;

const children = new Set<ChildProcess>();

let guarded = false;

/** From the first start on, whatever ends this process ends what it started. */
function guard(): void {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => {
    for (const child of children) child.kill("SIGKILL");
  });
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    process.on(signal, () => process.exit(code));
  }
}

/** `processors` is a list as `taskset -c` takes it; null leaves the choice to the kernel. */
export function startProgram(
  command: readonly string[],
  processors: string | null,
): ChildProcess {
  const pinned = processors === null ? command : ["taskset", "-c", processors, ...command];
  const [program, ...args] = pinned;
  guard();
  // Reasons why a peer failed are shown in tables and pages, which know no colours.
  const env = { ...process.env, NO_COLOR: "1" };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  child.on("exit", () => children.delete(child));
  return child;
}

/** Its last words: the lines of stderr that a person would look at first. */
function lastWords(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? "";
}

/** Starts a server and waits for its line `listening PORT`. Rejects with the reason it did not. */
export async function startServer(
  command: readonly string[],
  processors: string | null,
): Promise<Server> {
  const child = startProgram(command, processors);
  let stderr = "";
  child.stderr?.on("data", (chunk) => stderr += chunk);
  const listening = Promise.withResolvers<number>();
  const fail = (what: string) => listening.reject(new Error(`${what} ${lastWords(stderr)}`.trim()));
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    fail("did not start");
  }, START_TIMEOUT_MS);
  child.once("error", (error) => fail(error.message));
  child.once("close", (code) => fail(`ended with exit code ${code}:`));
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const found = /^listening (\d+)$/.exec(line);
    if (found !== null) listening.resolve(Number(found[1]));
  });
  try {
    const port = await listening.promise;
    return { pid: child.pid as number, port, stop: () => stop(child) };
  } finally {
    clearTimeout(timer);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** Runs a program to its end; kills it when it takes longer than `timeoutMs`. */
export async function runProgram(
  command: readonly string[],
  processors: string | null,
  timeoutMs: number,
): Promise<Finished> {
  const child = startProgram(command, processors);
  const finished: Finished = { exitCode: 1, stdout: "", stderr: "" };
  child.stdout?.on("data", (chunk) => finished.stdout += chunk);
  child.stderr?.on("data", (chunk) => finished.stderr += chunk);
  const timer = setTimeout(() => {
    finished.stderr += `was ended after ${timeoutMs / 1000} s\n`;
    child.kill("SIGKILL");
  }, timeoutMs);
  try {
    const [code] = await once(child, "close") as [number | null];
    finished.exitCode = code ?? 1;
    return finished;
  } finally {
    clearTimeout(timer);
  }
}
