/**
 * A quiet client: one connection, one message at fixed intervals. A server that spins for what does
 * not come, or wakes up for nothing, shows here.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { PacedWork } from "./cases.ts";
import type { Sample } from "./metrics.ts";
import { percentile } from "./statistics.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 2_000;

/** A server that has run for a while is compiled, and waits as it will go on waiting. */
const WARMUP_MESSAGES = 3_000;
const SETTLING_MESSAGES = 50;

/** CPU time of all threads that a process has, in nanoseconds. */
export function cpuNanoseconds(pid: number): number {
  let total = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8");
    total += Number(text.split(" ")[0]);
  }
  return total;
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => reject(new Error("connect timed out")));
  socket.once("connect", resolve);
  socket.once("error", reject);
  await promise;
  socket.setTimeout(0);
  return socket;
}

/** Messages that left and wait for their answers, oldest first; answers come in order. */
class Conversation {
  readonly #socket: Socket;
  readonly #message: Uint8Array;
  readonly #sentAt: number[] = [];
  readonly #failed: Promise<never>;
  #latenciesUs: number[] = [];
  #bytes = 0;
  #answered = () => {};

  constructor(socket: Socket, size: number) {
    this.#socket = socket;
    this.#message = new Uint8Array(size).fill(7);
    this.#failed = new Promise((_, reject) => {
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the server closed the connection")));
    });
    this.#failed.catch(() => {});
    socket.on("data", (chunk) => this.#receive(chunk.length));
  }

  send(): void {
    this.#sentAt.push(performance.now());
    this.#socket.write(this.#message);
  }

  /** One after the other, as fast as the server answers. */
  async sendMany(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.send();
      await this.allAnswered();
    }
  }

  async sendPaced(count: number, stepMs: number): Promise<void> {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      await pause(start + i * stepMs - performance.now());
      this.send();
    }
    await this.allAnswered();
  }

  async allAnswered(): Promise<void> {
    if (this.#sentAt.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#answered = resolve;
    const late = () => reject(new Error(`${this.#sentAt.length} messages were not answered`));
    const timer = setTimeout(late, ANSWER_TIMEOUT_MS);
    try {
      await Promise.race([promise, this.#failed]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The latencies since the last call, least first. */
  takeLatencies(): number[] {
    const taken = this.#latenciesUs.sort((a, b) => a - b);
    this.#latenciesUs = [];
    return taken;
  }

  #receive(bytes: number): void {
    const size = this.#message.length;
    for (this.#bytes += bytes; this.#bytes >= size; this.#bytes -= size) {
      const sentAt = this.#sentAt.shift() as number;
      this.#latenciesUs.push((performance.now() - sentAt) * 1_000);
    }
    if (this.#sentAt.length === 0) this.#answered();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(ms, 0)));
}

/** Warms the server up, then sends for `seconds`. */
export async function runPaced(
  work: PacedWork,
  server: { pid: number; port: number },
  seconds: number,
): Promise<Sample> {
  const socket = await connected(server.port);
  const conversation = new Conversation(socket, work.size);
  const stepMs = 1_000 / work.messagesPerSecond;
  const count = Math.max(1, Math.round(seconds * work.messagesPerSecond));
  try {
    await conversation.sendMany(WARMUP_MESSAGES);
    await conversation.sendPaced(SETTLING_MESSAGES, stepMs);
    conversation.takeLatencies();
    const cpuBefore = cpuNanoseconds(server.pid);
    const start = performance.now();
    await conversation.sendPaced(count, stepMs);
    const elapsedMs = performance.now() - start;
    const cpuUs = (cpuNanoseconds(server.pid) - cpuBefore) / 1_000;
    const latencies = conversation.takeLatencies();
    return {
      cpuMsPerSecond: cpuUs / elapsedMs,
      cpuUs: cpuUs / count,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
    };
  } finally {
    socket.destroy();
  }
}
