// The processes of one host: starts them, replaces one after the other, and ends them.
//
// All of them accept on descriptor 3. A process that ends leaves its backlog to the others, so the
// order is: the successor is ready, the predecessor gets SIGTERM, finishes, and ends.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const LISTENING = 3;
const RESTART_MS = 1_000;
const program = fileURLToPath(new URL("worker.ts", import.meta.url));

export class Workers {
  readonly #running = new Set<ChildProcess>();
  readonly #leaving = new Set<ChildProcess>();
  readonly #onLast: (metrics: object[]) => void;

  /** `onLast` gets the last metrics of each process that ends in order. */
  constructor(onLast: (metrics: object[]) => void) {
    this.#onLast = onLast;
  }

  get count(): number {
    return this.#running.size;
  }

  get processIds(): number[] {
    return [...this.#running].map(({ pid }) => pid as number);
  }

  /** Resolves when the new process serves. */
  async start(): Promise<void> {
    const child = fork(program, [], { stdio: ["ignore", "inherit", "inherit", LISTENING, "ipc"] });
    this.#running.add(child);
    child.once("exit", () => this.#ended(child));
    const ready = once(child, "message");
    const failed = once(child, "exit").then(([code]) => {
      throw new Error(`a process ended with ${code} before it was ready`);
    });
    await Promise.race([ready, failed]);
    failed.catch(() => {});
    child.on("message", ({ last }: { last?: object[] }) => {
      if (last === undefined) return;
      this.#onLast(last);
      child.send("bye");
    });
  }

  async replaceAll(): Promise<void> {
    for (const child of [...this.#running]) {
      await this.start();
      await this.#end(child);
    }
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.#end(child)));
  }

  /** The metrics of each process, as prom-client's getMetricsAsJSON() made them. */
  async metrics(): Promise<object[][]> {
    const answers = [...this.#running].map((child) =>
      new Promise<object[]>((resolve) => {
        const listen = ({ metrics, last }: { metrics?: object[]; last?: object[] }) => {
          const answer = metrics ?? last;
          if (answer === undefined) return;
          child.off("message", listen);
          resolve(answer);
        };
        child.on("message", listen);
        child.once("exit", () => resolve([]));
        child.send("metrics", (error) => error && resolve([]));
      })
    );
    return await Promise.all(answers);
  }

  async #end(child: ChildProcess): Promise<void> {
    if (!this.#running.has(child)) return;
    this.#leaving.add(child);
    const ended = once(child, "exit");
    // Deno's child.kill() would close the channel, too.
    process.kill(child.pid as number, "SIGTERM");
    await ended;
  }

  #ended(child: ChildProcess): void {
    this.#running.delete(child);
    if (this.#leaving.delete(child)) return;
    console.error(`process ${child.pid} ended unasked: another one takes its place`);
    setTimeout(() => this.start().catch(console.error), RESTART_MS);
  }
}
