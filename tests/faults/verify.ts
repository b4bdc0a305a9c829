/**
 * Echoes messages over connections that fail in every way that does not end them, and compares
 * every byte: short sends and receives, errnos that are tried again, completions that come late or
 * in another order, cancels that are lost, receives that time out or are aborted and go on.
 *
 *   client --send(message)--> server       both ends do as the fault table says, which is set
 *   client <------echo------- server       anew all the time
 *
 * Usage: verify.ts [MESSAGES] [SEED]. The last line sums up. Exit code: 0, or 1 after a wrong byte,
 * an error or something left behind.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import type { Connection } from "../../mod.ts";
import { allocated } from "../contract/fixture.ts";
import { Random } from "../harness.ts";
import { FaultyNetwork } from "./library.ts";
import { type Fault, table } from "./table.ts";

export interface VerifyOptions {
  messages: number;
  seed: number;
  connections?: number;
  onProgress?: (messages: number) => void;
}

export interface VerifyResult {
  messages: number;
  bytes: number;
  /** How often a rule of the table acted. */
  faults: number;
  /** Receives that timed out or were aborted, and were continued. */
  interrupted: number;
  wrong: number;
  seconds: number;
  /** Connections, operations and buffers that were still there at the end. */
  left: number;
}

const CONNECTION_COUNT = 64;
const RULE_COUNT = 8;
/** Together below the limit of attempts in a row, if all rules should meet one connection. */
const ERRNO_REPEAT_MAX = 4;
/** Messages after which one rule is replaced. */
const MESSAGES_PER_RULE = 50;
const PROGRESS_EVERY_MS = 250;

/** One random rule that ends no connection. */
function randomFault(random: Random): Fault {
  // Those that happen most are named most.
  const on = random.pick(
    ["recvSelect", "recvSelect", "recvMultishot", "send", "send", "sendmsg", "recv"] as const,
  );
  const span = { after: random.int(0, 50), repeat: random.int(1, 200) };
  switch (random.int(0, 6)) {
    case 0:
    case 1: {
      const errno = random.pick(["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM"]);
      return { on, errno, after: span.after, repeat: random.int(1, ERRNO_REPEAT_MAX) };
    }
    case 2:
      return { on, delayTurns: random.int(1, 30), ...span };
    case 3:
      return { on: "any", reorder: true, ...span };
    case 4:
      return { on: "cancel", errno: "EALREADY", ...span, repeat: 1 };
    case 5:
      return { on: "provide", clampBytes: random.int(1, 500), ...span };
    default:
      return { on, clampBytes: random.int(1, 300), ...span };
  }
}

class Verification {
  readonly random: Random;
  readonly result: VerifyResult;
  #started = 0;

  constructor(readonly options: VerifyOptions) {
    this.random = new Random(options.seed);
    this.result = {
      messages: 0,
      bytes: 0,
      faults: 0,
      interrupted: 0,
      wrong: 0,
      seconds: 0,
      left: 0,
    };
  }

  /** Puts another rule in the place of one. */
  setAnew(): void {
    const index = this.random.int(0, RULE_COUNT - 1);
    this.result.faults += table.acted(index);
    table.set(index, randomFault(this.random));
  }

  async talk(connection: Connection, random: Random): Promise<void> {
    const { sink, stream } = connection;
    const pattern = random.bytes(16_384);
    while (this.#started < this.options.messages) {
      this.#started++;
      const length = random.int(1, random.pick([32, 64, 64, 64, 64, 64, 64, 300, 300, 6_000]));
      const start = random.int(0, pattern.length - length);
      const message = pattern.subarray(start, start + length);
      if (random.chance(0.003)) await this.#waitInVain(stream, random);
      if (this.#started % MESSAGES_PER_RULE === 0) this.setAnew();
      await sink.send(message);
      await this.#compare(stream, message, random);
      this.result.messages++;
      this.result.bytes += length;
    }
    await sink.close();
  }

  /** A receive that ends before anything was asked for; what it leaves behind must do no harm. */
  async #waitInVain(stream: Connection["stream"], random: Random): Promise<void> {
    const length = random.pick([1, 1, 100_000]);
    const { code } = await stream.recv(length, { timeoutMs: 0 }).then(
      () => ({ code: "bytes from nowhere" }),
      (error) => error,
    );
    if (code === "Timeout") this.result.interrupted++;
    else throw new Error(`A receive that nothing was sent for: ${code}`);
  }

  async #compare(
    stream: Connection["stream"],
    message: Uint8Array,
    random: Random,
  ): Promise<void> {
    for (let at = 0; at < message.length;) {
      const options = random.chance(0.01) ? { timeoutMs: 0 } : undefined;
      const left = message.length - at;
      let bytes: Uint8Array;
      try {
        const received = random.chance(0.5)
          ? await stream.recv(random.int(1, left), options)
          : await stream.recvSome(left, options);
        bytes = received!.toUint8Array();
      } catch (error) {
        if ((error as { code?: string }).code !== "Timeout") throw error;
        this.result.interrupted++;
        continue;
      }
      if (Buffer.compare(bytes, message.subarray(at, at + bytes.length)) !== 0) this.result.wrong++;
      at += bytes.length;
    }
  }
}

async function echo({ sink, stream }: Connection): Promise<void> {
  for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
  await sink.close();
}

/** Runs it all. Rejects when a call fails that must not. */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  const run = new Verification(options);
  const { result, random } = run;
  const network = new FaultyNetwork({ pool: { debug: true } });
  const listener = await network.bind("127.0.0.1:0");
  const connections: Connection[] = [];
  const work: Promise<void>[] = [];
  const start = performance.now();
  for (let i = options.connections ?? CONNECTION_COUNT; i > 0; i--) {
    const dialed = network.dial(listener.localAddress);
    const [client, server] = await Promise.all([dialed, listener.accept()]);
    connections.push(client, server);
    work.push(echo(server), run.talk(client, random.fork()));
  }
  for (let i = 0; i < RULE_COUNT; i++) run.setAnew();
  const timer = setInterval(() => options.onProgress?.(result.messages), PROGRESS_EVERY_MS);
  try {
    await Promise.all(work);
  } finally {
    clearInterval(timer);
    for (let i = 0; i < RULE_COUNT; i++) result.faults += table.acted(i);
    table.reset();
  }
  result.seconds = (performance.now() - start) / 1_000;
  await Promise.all(connections.map((connection) => connection.close()));
  await Promise.all([listener.close(), network.close()]);
  const { connections: open, sendsPending, receivesPending } = network.stats();
  result.left = open + sendsPending + receivesPending + allocated(network as never);
  return result;
}

/** The fault of a result, or null. */
export function complaint(result: VerifyResult, messages: number): string | null {
  if (result.messages !== messages) return `${result.messages} of ${messages} messages came back`;
  if (result.wrong > 0) return `${result.wrong} parts were wrong`;
  if (result.left > 0) return `${result.left} things were left behind`;
  return result.faults > 0 ? null : "no fault came to pass";
}

async function main(): Promise<void> {
  const messages = Number(process.argv[2] ?? 1_000_000);
  const seed = Number(process.argv[3] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const name = "Bun" in globalThis ? "bun" : "deno";
  let shownAt = performance.now();
  const result = await verify({
    messages,
    seed,
    onProgress(done) {
      if (performance.now() - shownAt < 10_000) return;
      shownAt = performance.now();
      console.error(
        `${name}: ${done.toLocaleString("en-US")} of ${messages.toLocaleString("en-US")}`,
      );
    },
  });
  const wrong = complaint(result, messages);
  const shown = (value: number) => Math.round(value).toLocaleString("en-US");
  console.log(
    `${name} seed ${seed}: ${shown(result.messages)} messages, ${shown(result.bytes)} bytes, ` +
      `${shown(result.faults)} faults, ${shown(result.interrupted)} interrupted receives, ` +
      `${result.seconds.toFixed(1)} s, ${wrong ?? "every byte right, nothing left"}`,
  );
  process.exitCode = wrong === null ? 0 : 1;
}

if (import.meta.main) await main();
