/**
 * One end of a random connection: a sender and a receiver with a seed, and their record.
 *
 * @module
 */
import { LIMITS } from "../../src/base/limits.ts";
import { NetworkError } from "../../src/base/network_error.ts";
import { IoBufs } from "../../src/buf/io_bufs.ts";
import { IoBuf } from "../../src/buf/io_buf.ts";
import type { CallOptions } from "../../src/net/call/call_options.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import type { Sendable } from "../../src/net/send/load_call.ts";
import type { Random } from "../harness.ts";
import { contentOf } from "./content.ts";
import type { FakeSocket } from "./fake_socket.ts";
import type { Plan } from "./random_plan.ts";
import { PlantedError } from "./random_throws.ts";
import type { Sim, SimNetwork } from "./sim.ts";

/** The outcome of a message, as far as its sender knows. */
export type Fate =
  | { kind: "pending" }
  | { kind: "sent" }
  /** Exactly so many bytes went out. */
  | { kind: "exact"; bytes: number; code: string }
  /** At least so many. */
  | { kind: "unknown"; bytes: number; code: string };

export interface Message {
  key: number;
  length: number;
  fate: Fate;
  /** Whether its memory is transferred away before it is sent, or while it is queued. */
  lost: boolean;
}

/** How the receiving half ended. */
export type ReadEnd = "eof" | "error" | "closed" | "stopped";

/** The reason of the test's own aborts, which no other code may use. */
export class Aborted extends Error {}

const SMALL_BYTES = 300;
const PENDING_MAX = 6;
const CROWD_MAX = 60;
const WINDOW_BYTES = LIMITS.copyWindowBytes;
/** Where 31 and 32 bits end. */
const HUGE_LENGTHS = [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const GIVE_UP_AFTER = 20;
const FLUSH_CHANCE = 0.15;
/** How long a call may outlive its budget: a tick, a late timer, the answer to a cancel. */
const BUDGET_MS_OVER = 150;

/** Lets the reactions to settled promises run, because `await` chains take a few rounds. */
async function microtasks(): Promise<void> {
  for (let round = 0; round < 8; round++) await null;
}

export class Side {
  readonly messages: Message[] = [];
  readonly end: Promise<void>;
  readEnd: ReadEnd | null = null;
  received = 0;
  /** Of the first flush that the end of the half, or its budget, has failed. */
  flushError: NetworkError | null = null;
  /** Calls that have not settled. */
  pending = 0;
  #failure: unknown = null;
  readonly #sim: Sim;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #network: SimNetwork;
  readonly #held: { value: IoBuf | IoBufs; position: number }[] = [];
  #timedOut = 0;
  #receiving = 0;

  constructor(
    sim: Sim,
    plan: Plan,
    network: SimNetwork,
    readonly connection: Connection,
    readonly socket: FakeSocket,
  ) {
    this.#sim = sim;
    this.#plan = plan;
    this.#network = network;
    this.#random = sim.random.fork();
    this.end = this.#live();
  }

  async #live(): Promise<void> {
    await Promise.all([this.#write(), this.#read()]);
    if (this.#random.chance(0.5)) await this.#sim.sleep(this.#random.float() * 10);
    this.#releaseHeld(0);
    await this.connection.close();
    if (this.#failure !== null) throw this.#failure;
    if (this.pending !== 0) throw new Error(`${this.pending} calls hang after close`);
  }

  // ---- sending -------------------------------------------------------------------------------

  async #write(): Promise<void> {
    const random = this.#random;
    const { sink } = this.connection;
    const count = random.int(0, this.#plan.messageCountMax);
    const sends: Promise<void>[] = [];
    const flushes: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      const length = this.#messageBytes();
      const key = random.int(0, 60_000);
      // A send that has resolved when it was buffered would show its error to another one.
      const lost = !this.#plan.config.writeBufferSize && random.chance(0.02);
      const message: Message = { key, length, fate: { kind: "pending" }, lost };
      this.messages.push(message);
      const sending = this.#send(message);
      sends.push(sending);
      if (random.chance(FLUSH_CHANCE)) flushes.push(this.#flush(sends.slice()));
      const { chatty, crowded } = this.#plan;
      const waits = random.chance(crowded ? 0.02 : 0.4);
      if (this.pending > (crowded ? CROWD_MAX : PENDING_MAX) || waits) await sending;
      const pauseMs = chatty ? 2 : 5;
      const pauses = random.chance(chatty ? 0.6 : crowded ? 0.02 : 0.2);
      if (pauses) await this.#sim.sleep(random.float() * pauseMs);
    }
    await Promise.all(sends);
    if (this.#plan.config.writeBufferSize && random.chance(0.5)) await sink.flush();
    await sink.close();
    await Promise.all(flushes);
  }

  #messageBytes(): number {
    const random = this.#random;
    const { messageBytesMax, chatty, crowded } = this.#plan;
    if (random.chance(chatty ? 0.9 : 0.5)) {
      return random.int(1, Math.min(SMALL_BYTES, messageBytesMax));
    }
    if (crowded) {
      // Small ones between middling ones are ranges of their own; a large one has two windows.
      const longest = random.pick([6_000, 6_000, 6_000, WINDOW_BYTES, 2 * WINDOW_BYTES]);
      const most = Math.min(longest, messageBytesMax);
      return random.int(Math.ceil(most / 2), most);
    }
    if (random.chance(0.6)) return random.int(1, Math.min(20_000, messageBytesMax));
    return random.int(1, messageBytesMax);
  }

  async #send(message: Message): Promise<void> {
    const { sendTimeouts, sendAborts } = this.#plan.disruptions;
    const options = this.#options(sendTimeouts, sendAborts);
    const startedMs = this.#sim.host.now();
    this.pending++;
    try {
      const sending = message.lost
        ? this.#sendLost(message, options)
        : this.connection.sink.send(this.#sendable(message), options);
      await sending;
      message.fate = { kind: "sent" };
      if (message.lost) this.#failure ??= new Error("memory that was gone was sent");
    } catch (error) {
      message.fate = message.lost && error instanceof TypeError
        ? { kind: "exact", bytes: 0, code: "gone" }
        : this.#fateOf(error);
    }
    this.#checkBudget(options, startedMs);
    this.pending--;
  }

  /** The memory of a plain buffer is transferred away, before or behind the call. */
  #sendLost({ key, length }: Message, options: CallOptions | undefined): Promise<void> {
    const buffer = IoBuf.from(contentOf(key, length));
    const memory = buffer.bytes.buffer;
    const takeAway = () => structuredClone(memory, { transfer: [memory as ArrayBuffer] });
    const before = this.#random.chance(0.5);
    if (before) takeAway();
    const sending = this.connection.sink.send(buffer, options);
    if (!before) takeAway();
    return sending;
  }

  /**
   * Flushes, and checks the time at which that settles: not before the kernel has the bytes that
   * were given until now, and not after the last send that it waits for.
   */
  async #flush(before: Promise<void>[]): Promise<void> {
    const { sink } = this.connection;
    const { sendTimeouts, sendAborts } = this.#plan.disruptions;
    const options = this.#options(sendTimeouts, sendAborts);
    const givenBytes = sink.bytesSent + sink.bytesQueued;
    const startedMs = this.#sim.host.now();
    let sentCount = 0;
    for (const send of before) void send.then(() => sentCount++);
    this.pending++;
    const flushing = sink.flush(options);
    let settled = false;
    const settle = () => void (settled = true);
    flushing.then(settle, settle);
    const judged = flushing.then(
      () => this.#flushed(givenBytes, () => sentCount === before.length),
      (error) => this.#flushFailed(error),
    ).finally(() => {
      this.pending--;
      this.#checkBudget(options, startedMs);
    });
    await this.#taken(before, givenBytes, () => settled);
    await microtasks();
    // A closed half settles when its operation has landed.
    if (!settled && !sink.closed) {
      this.#failure ??= new Error(`a flush waits on behind the ${givenBytes} bytes before it`);
    }
    await judged;
  }

  /** Waits until the bytes before a flush are taken or dropped. */
  async #taken(before: Promise<void>[], givenBytes: number, settled: () => boolean): Promise<void> {
    const { sink } = this.connection;
    await Promise.all(before);
    // Buffered sends have settled long before, and none of them fails.
    if (!this.#plan.config.writeBufferSize) return;
    while (sink.bytesSent < givenBytes && !settled()) await this.#sim.sleep(0.2);
  }

  async #flushed(givenBytes: number, allSettled: () => boolean): Promise<void> {
    const { bytesSent } = this.connection.sink;
    await microtasks();
    const early = this.#plan.config.writeBufferSize ? bytesSent < givenBytes : !allSettled();
    if (early) this.#failure ??= new Error(`a flush of ${givenBytes} bytes ended at ${bytesSent}`);
  }

  #flushFailed(error: unknown): void {
    if (error instanceof Aborted) return;
    const { code } = error as { code?: string };
    const known = error instanceof NetworkError && (code === "Timeout" || code === "Closed");
    if (known) this.flushError ??= error;
    else this.#failure ??= error;
  }

  #fateOf(error: unknown): Fate {
    if (error instanceof Aborted) return { kind: "unknown", bytes: 0, code: "abort" };
    if (!(error instanceof NetworkError)) {
      this.#failure ??= error;
      return { kind: "unknown", bytes: 0, code: "?" };
    }
    const { code, bytesDone } = error;
    // The half broke before the sent bytes were counted.
    if (error.cause instanceof PlantedError) return { kind: "unknown", bytes: bytesDone, code };
    if (code === "Timeout" || code === "SendFailed") {
      return { kind: "exact", bytes: bytesDone, code };
    }
    if (code !== "Closed") this.#failure ??= error;
    return { kind: "unknown", bytes: bytesDone, code };
  }

  /** The bytes of a message in one of the shapes that `send` takes. */
  #sendable({ key, length }: Message): Sendable {
    const random = this.#random;
    const bytes = contentOf(key, length);
    switch (random.int(0, 6)) {
      case 0:
        return bytes;
      case 1:
        return bytes.buffer;
      case 2:
        return new TextDecoder().decode(bytes);
      case 3: {
        const buffer = this.#network.pool.alloc(length);
        buffer.bytes.set(bytes);
        return buffer;
      }
      case 4: {
        const buffer = this.#network.pool.alloc(length);
        buffer.bytes.set(bytes);
        const frozen = buffer.freeze();
        const copy = frozen.clone();
        frozen.release();
        return copy;
      }
      case 5:
        return this.#parts(bytes);
      default: {
        const parts = new IoBufs();
        for (const part of this.#parts(bytes)) {
          const buffer = this.#network.pool.alloc(part.length);
          buffer.bytes.set(part);
          parts.append(random.chance(0.7) ? buffer : buffer.freeze());
        }
        return parts;
      }
    }
  }

  #parts(bytes: Uint8Array): Uint8Array[] {
    const random = this.#random;
    const parts: Uint8Array[] = [];
    const countMax = random.pick([2, 10, 50]);
    for (let at = 0; at < bytes.length;) {
      const rest = bytes.length - at;
      const span = random.chance(0.5) ? random.int(1, Math.min(rest, 100)) : random.int(1, rest);
      const count = parts.length === countMax ? rest : span;
      parts.push(bytes.subarray(at, at + count));
      at += count;
    }
    return parts;
  }

  // ---- receiving -----------------------------------------------------------------------------

  async #read(): Promise<void> {
    const random = this.#random;
    const { stream } = this.connection;
    while (this.readEnd === null && this.#failure === null) {
      this.#lookAhead();
      const calls: Promise<void>[] = [];
      const { chatty } = this.#plan;
      const count = random.chance(chatty ? 0.95 : 0.8) ? 1 : random.int(2, 4);
      for (let i = 0; i < count; i++) calls.push(this.#receive());
      await Promise.all(calls);
      this.#releaseHeld(3);
      this.#checkBuffered();
      if (random.chance(chatty ? 0.02 : 0.1)) await this.#sim.sleep(random.float() * 8);
    }
    // A program that cannot read any more must not wait until the peer has read all of its own.
    if (this.readEnd !== "eof") this.connection.reset();
    if (this.readEnd === "eof" && stream.buffered > 0) {
      this.#failure ??= new Error(`${stream.buffered} bytes are buffered behind the end`);
    }
    if (this.readEnd === "eof" && stream.bytesReceived !== this.received) {
      this.#failure ??= new Error(`bytesReceived ${stream.bytesReceived}, not ${this.received}`);
    }
  }

  /** No call is pending: what has arrived and was not received is buffered. */
  #checkBuffered(): void {
    const { buffered, bytesReceived } = this.connection.stream;
    if (
      this.readEnd !== null || this.#isBroken() || this.#isClosed() ||
      buffered === bytesReceived - this.received
    ) {
      return;
    }
    const text = `${bytesReceived} bytes came, ${this.received} were received`;
    this.#failure ??= new Error(`${text}, ${buffered} are buffered`);
  }

  /** A half that an error inside the library has ended drops buffered bytes. */
  #isBroken(): boolean {
    return Boolean(this.#plan.throws) && this.connection.stream.closed;
  }

  /** A closed half drops buffered bytes. */
  #isClosed(): boolean {
    return this.connection.sink.closed && this.connection.stream.closed;
  }

  /** Calls `peek` and `tryRecv`, which do not wait. No other call is pending on the stream. */
  #lookAhead(): void {
    const random = this.#random;
    const { stream } = this.connection;
    if (random.chance(0.3)) {
      const length = random.int(1, 100_000);
      const seen = stream.peek(length);
      this.#expect(seen, this.received, "peek");
      const wanted = Math.min(length, stream.buffered);
      // Without a read buffer, only bytes of a look-ahead are shown.
      const mayHide = this.#plan.config.readBufferSize === 0 && seen.length === 0;
      if (seen.length !== wanted && !mayHide) {
        this.#failure ??= new Error(`peek(${length}) shows ${seen.length} bytes, not ${wanted}`);
      }
    }
    if (stream.buffered === 0 || random.chance(0.5)) return;
    const length = random.int(1, stream.buffered + 1);
    const got = stream.tryRecv(length);
    if ((got === null) !== length > stream.buffered && got === null) {
      this.#failure ??= new Error(`tryRecv(${length}) of ${stream.buffered} gave nothing`);
    }
    if (got !== null) this.#got(got, length, length);
  }

  async #receive(): Promise<void> {
    const random = this.#random;
    const { stream } = this.connection;
    const { recvTimeouts, recvAborts } = this.#plan.disruptions;
    // After many timeouts in a row, wait without a budget, so that a scenario ends.
    const patient = this.#timedOut > GIVE_UP_AFTER;
    const options = this.#options(recvTimeouts && !patient, recvAborts && !patient);
    const ended = stream.closed;
    const startedMs = this.#sim.host.now();
    this.pending++;
    this.#receiving++;
    try {
      if (random.chance(0.2) && !ended) {
        await this.#receiveUntil(options);
      } else if (random.chance(0.15)) {
        await this.#wait(options);
      } else if (random.chance(0.5) && !ended) {
        const length = this.#recvBytes();
        this.#got(await stream.recv(length, options), length, length);
      } else {
        const lengthMax = random.chance(0.1) ? random.pick(HUGE_LENGTHS) : this.#recvBytes();
        const got = await stream.recvSome(lengthMax, options);
        if (got === null) this.readEnd ??= "eof";
        else this.#got(got, 1, lengthMax);
      }
    } catch (error) {
      this.#lost(error);
    }
    this.#checkBudget(options, startedMs);
    this.pending--;
    this.#receiving--;
  }

  /** Through a delimiter of one to three bytes, which comes soon, late, or never. */
  async #receiveUntil(options: CallOptions | undefined): Promise<void> {
    const random = this.#random;
    const delimiter = contentOf(random.int(0, 65_000), random.pick([1, 1, 1, 2, 3]));
    const maxLength = Math.max(this.#recvBytes(), delimiter.length);
    const text = new TextDecoder().decode(delimiter);
    const given = random.pick([delimiter, text, delimiter.length === 1 ? delimiter[0] : text]);
    let got: IoBufs;
    try {
      got = await this.connection.stream.recvUntil(given, { ...options, maxLength });
    } catch (error) {
      // No byte was consumed, so the other calls take the bytes.
      if (!(error instanceof NetworkError) || error.code !== "TooLong") throw error;
      const { wire } = this.socket.peer as FakeSocket;
      const bytes = wire.slice(this.received, this.received + maxLength);
      const at = new TextDecoder().decode(bytes).indexOf(text);
      if (at >= 0 || bytes.length < maxLength) this.#failure ??= error;
      return;
    }
    const bytes = got.chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
    if (bytes.indexOf(text) !== got.length - delimiter.length) {
      this.#failure ??= new Error(`recvUntil() gave ${got.length} bytes with another end`);
    }
    this.#got(got, delimiter.length, maxLength);
  }

  /** Waits, and when no other call does, looks at the bytes and drops some. */
  async #wait(options: CallOptions | undefined): Promise<void> {
    const { stream } = this.connection;
    const length = this.#recvBytes();
    const isThere = await stream.wait(length, options);
    if (this.#receiving > 1 || this.#isBroken()) return;
    if (isThere !== stream.buffered >= length && !this.#isClosed()) {
      const { buffered } = stream;
      this.#failure ??= new Error(`wait(${length}) is ${isThere}, ${buffered} are buffered`);
    }
    if (!isThere || stream.buffered < length) return;
    this.#expect(stream.peek(length), this.received, "peek");
    const count = this.#random.int(0, length);
    stream.consume(count);
    this.received += count;
  }

  #recvBytes(): number {
    const random = this.#random;
    const { messageBytesMax, chatty } = this.#plan;
    if (random.chance(chatty ? 0.9 : 0.4)) return random.int(1, 300);
    return random.int(1, Math.min(random.pick([5_000, 70_000, 200_000]), messageBytesMax * 2));
  }

  #got(value: IoBuf | IoBufs, lengthMin: number, lengthMax: number): void {
    this.#timedOut = 0;
    const { length } = value;
    if (length < lengthMin || length > lengthMax) {
      this.#failure ??= new Error(`got ${length} bytes, wanted ${lengthMin} to ${lengthMax}`);
    }
    const position = this.received;
    this.received += length;
    this.#expectValue(value, position);
    if (this.#random.chance(0.7)) value.release();
    else this.#held.push({ value, position });
  }

  /** Checks old buffers again, because no other code may have written to them. */
  #releaseHeld(countMax: number): void {
    while (this.#held.length > countMax) {
      const { value, position } = this.#held.shift()!;
      this.#expectValue(value, position);
      value.release();
    }
  }

  #expectValue(value: IoBuf | IoBufs, start: number): void {
    const chunks = value instanceof IoBufs ? value.chunks : [value.bytes];
    let position = start;
    for (const chunk of chunks) {
      this.#expect(chunk, position, "received");
      position += chunk.length;
    }
  }

  #expect(bytes: Uint8Array, position: number, what: string): void {
    const { wire } = this.socket.peer as FakeSocket;
    if (wire.holds(bytes, position)) return;
    this.#failure ??= new Error(
      `${what}: ${bytes.length} bytes at ${position} are not what was sent (${wire.length} were)`,
    );
  }

  #lost(error: unknown): void {
    if (error instanceof Aborted) {
      this.#timedOut++;
      return;
    }
    if (!(error instanceof NetworkError)) {
      this.#failure ??= error;
      return;
    }
    if (error.code === "Timeout") this.#timedOut++;
    else if (error.code !== "Closed" && error.code !== "RecvFailed") this.#failure ??= error;
    // After the end of the stream, recvSome() returns the remaining bytes, and then null.
    else if (!error.endOfStream) this.#closed();
  }

  /** An error ended the half. Earlier bytes stay readable. */
  #closed(): void {
    const { stream } = this.connection;
    if (this.readEnd !== null || this.#receiving > 1) return;
    const rest = stream.tryRecv(stream.buffered);
    if (rest !== null && rest.length > 0) this.#got(rest, 1, rest.length);
    this.readEnd = "error";
  }

  // ---- both ----------------------------------------------------------------------------------

  #checkBudget(options: CallOptions | undefined, startedMs: number): void {
    const budgetMs = options?.timeoutMs;
    if (budgetMs === undefined || budgetMs === null) return;
    const tookMs = this.#sim.host.now() - startedMs;
    if (tookMs <= budgetMs + BUDGET_MS_OVER) return;
    this.#failure ??= new Error(`a call with a budget of ${budgetMs} ms took ${tookMs} ms`);
  }

  #options(timeouts: boolean, aborts: boolean): CallOptions | undefined {
    const random = this.#random;
    const options: CallOptions = {};
    if (timeouts && random.chance(0.3)) options.timeoutMs = random.int(0, 30);
    if (aborts && random.chance(0.3)) {
      const controller = new AbortController();
      options.signal = this.#sim.watchSignal(controller.signal);
      this.#sim.host.at(random.float() * 20, () => controller.abort(new Aborted("abort")));
    }
    return random.chance(0.5) || options.timeoutMs !== undefined || options.signal
      ? options
      : undefined;
  }
}
