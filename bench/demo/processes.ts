/**
 * The programs of the demo as processes of their own: servers, and the client in C.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";

/** The client's report: one line of JSON. The fields that the demo shows. */
export interface Report {
  messages_per_second: number;
  latency_us: { p50: number; p99: number };
  server_cpu_us_per_message: number;
  wrong_bytes: number;
  errors: number;
}

export interface Server {
  pid: number;
  port: number;
  /** Asks it to end and waits until it has; the last resort is a kill. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;

const children = new Set<ChildProcess>();

// Whatever ends the demo ends its servers.
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.on(signal, () => process.exit(code));
}

function start(command: string[], pin: number | null): ChildProcess {
  const [program, ...args] = pin === null ? command : ["taskset", "-c", String(pin), ...command];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  child.on("exit", () => children.delete(child));
  return child;
}

/** Collects what a process writes to stderr. */
function errorsOf(child: ChildProcess): { text: string } {
  const errors = { text: "" };
  child.stderr?.on("data", (chunk) => errors.text += chunk);
  return errors;
}

/** Starts a server and waits for its line `listening PORT`. */
export async function startServer(command: string[], pin: number | null): Promise<Server> {
  const child = start(command, pin);
  const errors = errorsOf(child);
  const port = await new Promise<number>((resolve, reject) => {
    const fail = (what: string) =>
      reject(new Error(`${command.join(" ")}: ${what}\n${errors.text.trim()}`));
    const timer = setTimeout(() => fail("did not start"), START_TIMEOUT_MS);
    child.once("error", (error) => fail(error.message));
    child.once("close", (code) => fail(`ended with exit code ${code}`));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const found = /^listening (\d+)$/.exec(line);
      if (found === null) return;
      clearTimeout(timer);
      resolve(Number(found[1]));
    });
  });
  return { pid: child.pid as number, port, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** Runs the client; `onProgress` gets its progress lines as they come. */
export async function runClient(
  command: string[],
  options: { pin: number | null; onProgress: (line: string) => void },
): Promise<{ report: Report; exitCode: number; complaints: string[] }> {
  const child = start(command, options.pin);
  let output = "";
  const complaints: string[] = [];
  child.stdout?.on("data", (chunk) => output += chunk);
  createInterface({ input: child.stderr! }).on("line", (line) => {
    if (/ s .* messages\/s /.test(line)) options.onProgress(line.trim());
    else if (line !== "") complaints.push(line);
  });
  const [exitCode] = await once(child, "close") as [number | null];
  try {
    return { report: JSON.parse(output), exitCode: exitCode ?? 1, complaints };
  } catch {
    throw new Error(`The client ended with exit code ${exitCode}\n${complaints.join("\n")}`);
  }
}
