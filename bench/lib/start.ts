/**
 * From the start of a program to the first echo that it answers: the runtime's own start, what the
 * program loads, its listener, one connection and one message.
 *
 *   spawn -> "listening PORT" -> connect -> message -> answer -> CPU time read -> the server ends
 *
 * @module
 */
import { connect } from "node:net";
import type { Sample } from "./metrics.ts";
import { cpuNanoseconds } from "./paced.ts";
import { type Server, startServer } from "./processes.ts";
import { StartError } from "./stand.ts";

const MESSAGE_BYTES = 64;
const ANSWER_TIMEOUT_MS = 5_000;

/** Resolves when the whole message has come back. */
async function firstEcho({ port }: Server): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  let missing = MESSAGE_BYTES;
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => reject(new Error("the echo did not come in time")));
  socket.on("connect", () => socket.write(new Uint8Array(MESSAGE_BYTES).fill(7)));
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("the server closed the connection")));
  socket.on("data", ({ length }) => {
    missing -= length;
    if (missing === 0) resolve();
  });
  try {
    await promise;
  } finally {
    socket.destroy();
  }
}

/** Starts the program, waits for one echo, and ends it. Rejects with StartError, or what failed. */
export async function runStart(
  command: readonly string[],
  processors: string | null,
): Promise<Sample> {
  const begin = performance.now();
  const server = await startServer(command, processors).catch((error: Error) => {
    throw new StartError(error.message);
  });
  try {
    await firstEcho(server);
    const startMs = performance.now() - begin;
    return { startMs, startCpuMs: cpuNanoseconds(server.pid) / 1_000_000 };
  } finally {
    await server.stop();
  }
}
