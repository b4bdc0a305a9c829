/**
 * The demo's client, in C, as a process of its own.
 *
 * @module
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { startProgram } from "../lib/processes.ts";

/** The client's report: one line of JSON. The fields that the demo shows. */
export interface Report {
  messages_per_second: number;
  latency_us: { p50: number; p99: number };
  server_cpu_us_per_message: number;
  wrong_bytes: number;
  errors: number;
}

/** Runs the client; `onProgress` gets its progress lines as they come. */
export async function runClient(
  command: string[],
  options: { processors: string | null; onProgress: (line: string) => void },
): Promise<{ report: Report; exitCode: number; complaints: string[] }> {
  const child = startProgram(command, options.processors);
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
