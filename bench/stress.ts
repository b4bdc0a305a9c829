/**
 * The stress run: many clients and one server in one process, over one network, in lockstep, every
 * byte compared.
 *
 *   client --send(message)--> server        96 clients x 16,384 messages x 4,096 bytes
 *   client <--recv(4,096)---- server        each awaits its answer before the next message
 *
 * The bytes of a message depend on the client, the number of the message and the position, so that
 * a byte that is lost, doubled, late or another connection's is seen.
 *
 * Usage: stress.ts [--clients N] [--messages N] [--size BYTES] [--topology shared|split]
 * Exit code: 0, or 1 after a wrong byte, an error or something left behind.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Connection, type Listener, Network } from "../mod.ts";

export interface StressOptions {
  clients: number;
  /** Messages of each client. */
  messages: number;
  /** Bytes of each message; a multiple of 4. */
  size: number;
  topology: "shared" | "split";
  /** Called now and then with the number of messages that are back. */
  onProgress?: (messages: number) => void;
}

export interface StressResult {
  messages: number;
  seconds: number;
  messagesPerSecond: number;
  wrongMessages: number;
  /** Buffers of the pool that were not given back. */
  buffersLeft: number;
  /** Connections that were still open after everybody had closed. */
  connectionsLeft: number;
}

export const FULL_RUN = { clients: 96, messages: 16_384, size: 4_096 } as const;

const PROGRESS_EVERY_MS = 250;

/** Fills a message: a sequence of words whose start no two messages of a run share by chance. */
function fill(words: Uint32Array, client: number, message: number): void {
  let word = Math.imul(client + 1, 0x9e3779b1) ^ Math.imul(message + 1, 0x85ebca6b);
  for (let i = 0; i < words.length; i++) {
    words[i] = word;
    word = (word + 0x6d2b79f5) | 0;
  }
}

async function answer(connection: Connection, { messages, size }: StressOptions): Promise<void> {
  const { sink, stream } = connection;
  for (let message = 0; message < messages; message++) await sink.send(await stream.recv(size));
  await connection.close();
}

/** Answers as many connections as there are clients. */
async function serve(listener: Listener, options: StressOptions): Promise<void> {
  const answers: Promise<void>[] = [];
  for (let i = 0; i < options.clients; i++) {
    answers.push(answer(await listener.accept(), options));
  }
  await Promise.all(answers);
}

interface Counters {
  answered: number;
  wrong: number;
}

async function drive(
  connection: Connection,
  client: number,
  options: StressOptions,
  counters: Counters,
): Promise<void> {
  const { sink, stream } = connection;
  const words = new Uint32Array(options.size / 4);
  const bytes = new Uint8Array(words.buffer);
  for (let message = 0; message < options.messages; message++) {
    fill(words, client, message);
    await sink.send(bytes);
    const answered = await stream.recv(options.size);
    let at = 0;
    let same = answered.length === options.size;
    for (const chunk of answered.chunks) {
      same &&= Buffer.compare(chunk, bytes.subarray(at, at + chunk.length)) === 0;
      at += chunk.length;
    }
    answered.release();
    if (!same) counters.wrong++;
    counters.answered++;
  }
  await connection.close();
}

/** Runs it all on a network of its own. Rejects when a call fails. */
export async function stress(options: StressOptions): Promise<StressResult> {
  const counters: Counters = { answered: 0, wrong: 0 };
  await using network = await Network.start({ ring: { topology: options.topology } });
  const listener = await network.bind("127.0.0.1:0");
  const timer = setInterval(() => options.onProgress?.(counters.answered), PROGRESS_EVERY_MS);
  const started = performance.now();
  try {
    const served = serve(listener, options);
    const drives: Promise<void>[] = [];
    for (let client = 0; client < options.clients; client++) {
      const dialed = network.dial(listener.localAddress);
      drives.push(dialed.then((connection) => drive(connection, client, options, counters)));
    }
    await Promise.all([served, ...drives]);
  } finally {
    clearInterval(timer);
  }
  const seconds = (performance.now() - started) / 1_000;
  await listener.close();
  return {
    messages: counters.answered,
    seconds,
    messagesPerSecond: counters.answered / seconds,
    wrongMessages: counters.wrong,
    buffersLeft: await buffersLeft(network),
    connectionsLeft: network.stats().connections,
  };
}

/** The buffers in use once the last operations have landed; circulating read buffers come back. */
async function buffersLeft(network: Network): Promise<number> {
  await network.close();
  return network.pool.stats().classes.reduce((sum, entry) => sum + entry.allocated, 0);
}

/** The fault of a result, or null. */
export function complaint(result: StressResult, options: StressOptions): string | null {
  const expected = options.clients * options.messages;
  if (result.messages !== expected) return `${result.messages} of ${expected} messages came back`;
  if (result.wrongMessages > 0) return `${result.wrongMessages} messages came back changed`;
  if (result.buffersLeft > 0) return `${result.buffersLeft} buffers were not given back`;
  if (result.connectionsLeft > 0) return `${result.connectionsLeft} connections were left open`;
  return null;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    options: {
      clients: { type: "string" },
      messages: { type: "string" },
      size: { type: "string" },
      topology: { type: "string", default: "shared" },
    },
  });
  const total = Number(values.clients ?? FULL_RUN.clients) *
    Number(values.messages ?? FULL_RUN.messages);
  const live = process.stderr.isTTY === true;
  const runtime = "Bun" in globalThis ? "bun" : "deno";
  const name = `${runtime} ${values.topology}`;
  const started = performance.now();
  let shownAt = started;
  const options: StressOptions = {
    clients: Number(values.clients ?? FULL_RUN.clients),
    messages: Number(values.messages ?? FULL_RUN.messages),
    size: Number(values.size ?? FULL_RUN.size),
    topology: values.topology as "shared" | "split",
    onProgress(messages) {
      // A terminal gets one line that changes, a log a line every few seconds.
      const now = performance.now();
      if (!live && now - shownAt < 5_000) return;
      shownAt = now;
      const rate = messages / ((now - started) / 1_000);
      const text = `${name}: ${grouped(messages)} of ${grouped(total)} messages, ${
        grouped(rate)
      }/s`;
      process.stderr.write(live ? `\r\x1b[K${text}` : `${text}\n`);
    },
  };
  const result = await stress(options);
  if (live) process.stderr.write("\r\x1b[K");
  const wrong = complaint(result, options);
  console.log(
    `${name.padEnd(12)} ${grouped(result.messages)} messages of ${grouped(options.size)} bytes, ` +
      `${grouped(options.clients)} clients, ${result.seconds.toFixed(1)} s, ` +
      `${grouped(result.messagesPerSecond)} echoes/s, ${wrong ?? "every byte right"}`,
  );
  process.exitCode = wrong === null ? 0 : 1;
}

if (import.meta.main) await main();
