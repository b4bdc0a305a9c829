/**
 * One end of a connection of `node:net` in a random program: it writes, reads and ends as its
 * choices say, notes every event, and compares the events with the promises of `node:net`.
 *
 * Each byte depends on its direction and its position, so that a lost, doubled or moved one shows.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { setImmediate } from "node:timers";
import { Random } from "../harness/random.ts";

export type Reading = "data" | "readable" | "iterate" | "pipe";
export type Disruption = "destroy" | "error" | "reset" | "break" | "destroySoon";

/** Errors that the other end can cause. */
const PEER_ERRORS = ["ECONNRESET", "EPIPE"];
const OWN_ERROR = "the program's own error";
const LOG_LINES_MAX = 400;

export interface EndPlan {
  name: string;
  /** The direction in which this end sends, and the one in which it receives. */
  sends: number;
  receives: number;
  random: Random;
  allowHalfOpen: boolean;
  /** How this end breaks off; null when it reads and writes to the end. */
  disruption: Disruption | null;
  /** Neither end breaks off: every byte has to arrive. */
  calm: boolean;
  /** No end half closes before it has all that the other end writes. */
  waits: boolean;
}

export class NetEnd {
  readonly log: string[] = [];
  readonly closed: Promise<void>;
  socket: Socket | null = null;
  peer: NetEnd | null = null;
  sent = 0;
  received = 0;
  sawEnd = false;
  sawFinish = false;
  sawClose = false;
  #error: Error | null = null;
  #destroyedHere = false;
  #connected = false;
  #wrote = false;
  /** When the target of a pipe has all bytes. */
  #targetDone: Promise<void> | null = null;
  readonly #calledBack = new Set<number>();
  #writes = 0;
  #failedWrites = 0;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(readonly plan: EndPlan) {
    this.closed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.closed.catch(() => {});
  }

  /** Begins to write, to read and to note; must be called in the tick that gives the socket. */
  begin(socket: Socket): void {
    this.socket = socket;
    const { random } = this.plan;
    this.#connected = !socket.connecting;
    socket.on("connect", () => this.#connected = true);
    for (const event of ["connect", "ready", "drain", "timeout"]) {
      socket.on(event, () => this.#note(event));
    }
    socket.on("end", () => {
      this.#note("end");
      if (this.sawEnd) this.fail("a second 'end'");
      this.sawEnd = true;
    });
    socket.on("finish", () => {
      this.#note("finish");
      if (this.sawFinish) this.fail("a second 'finish'");
      if (!socket.writableEnded) this.fail("'finish' before end()");
      this.sawFinish = true;
    });
    socket.on("error", (error: Error) => {
      this.#note(`error ${error.message}`);
      if (this.#error !== null) this.fail("a second 'error'");
      this.#error = error;
    });
    socket.on("close", (hadError: boolean) => this.#onClose(hadError));
    if (random.chance(0.3)) socket.setTimeout(random.int(1, 30));
    if (random.chance(0.2)) socket.setNoDelay(random.chance(0.5));
    if (random.chance(0.2)) socket.unref();
    if (random.chance(0.2)) setTimeout(() => socket.ref(), random.int(0, 5));
    this.#run(this.#write(socket, random.fork()));
    this.#run(this.#read(socket, random.fork()));
    if (this.plan.disruption !== null) this.#run(this.#disrupt(socket, random.fork()));
  }

  toString(): string {
    return [this.plan.name, ...this.log.slice(-LOG_LINES_MAX)].join("\n    ");
  }

  fail(claim: string): never {
    const error = new Error(`${claim}: ${this}`);
    this.#reject(error);
    throw error;
  }

  /** After both ends are closed. */
  judge(): void {
    const { peer, plan, socket } = this;
    if (socket === null || peer === null) return;
    if (this.received > peer.sent) this.fail(`${this.received} of ${peer.sent} bytes received`);
    if (this.#calledBack.size !== this.#writes) {
      this.fail(`${this.#calledBack.size} callbacks of ${this.#writes} writes`);
    }
    if (!plan.calm) return this.#judgeError();
    if (this.#error !== null) this.fail("an error without a reason");
    if (!this.sawEnd) this.fail("no 'end'");
    if (!this.sawFinish) this.fail("no 'finish'");
    if (this.#failedWrites > 0) this.fail("a write failed without a reason");
    if (this.received !== peer.sent) this.fail(`${this.received} of ${peer.sent} bytes`);
    if (socket.bytesRead !== this.received) this.fail(`bytesRead is ${socket.bytesRead}`);
    if (socket.bytesWritten !== this.sent) this.fail(`bytesWritten is ${socket.bytesWritten}`);
  }

  /** An end that has left no byte unread ends a connection with FIN, however it breaks off. */
  judgePeer(): void {
    const { peer, plan } = this;
    const { disruption } = peer!.plan;
    if (plan.disruption !== null || this.sent > 0 || !this.#connected || !peer!.#connected) return;
    if (disruption === null || disruption === "reset") return;
    if (this.#error !== null || !this.sawEnd) this.fail(`no clean end after ${disruption}()`);
    const missing = peer!.sawFinish && this.received !== peer!.sent;
    if (missing) this.fail(`${this.received} of ${peer!.sent} bytes after ${disruption}()`);
  }

  #judgeError(): void {
    const error = this.#error as Error & { code?: string } | null;
    if (error === null) return;
    if (error.message === OWN_ERROR) return;
    if (this.plan.disruption === "break" && error.name === "AbortError") return;
    if (!PEER_ERRORS.includes(error.code ?? "")) this.fail(`an unexpected error: ${error.stack}`);
  }

  #onClose(hadError: boolean): void {
    this.#note(`close ${hadError}`, false);
    if (this.sawClose) this.fail("a second 'close'");
    this.sawClose = true;
    if (hadError !== (this.#error !== null)) this.fail(`hadError is ${hadError}`);
    if (!this.socket!.destroyed) this.fail("'close' of a socket that is not destroyed");
    const allCalledBack = this.#calledBack.size === this.#writes;
    if (this.#connected && !allCalledBack) this.fail("'close' before a write's callback");
    // A while later, so that an event that follows 'close' is seen.
    setTimeout(async () => {
      if (this.sawEnd) await this.#targetDone;
      this.#resolve();
    }, 2);
  }

  #note(event: string, checks = true): void {
    this.log.push(`${performance.now().toFixed(1)} ${event}`);
    if (checks && this.sawClose) this.fail(`'${event}' after 'close'`);
  }

  #run(work: Promise<void>): void {
    work.catch((error) => {
      this.log.push(`thrown: ${error.stack}`);
      this.#reject(error);
    });
  }

  // --------------------------------------------------------------------------------- writing

  async #write(socket: Socket, random: Random): Promise<void> {
    let stepCount = random.int(0, 12);
    while (stepCount-- > 0 && this.#mayWrite(socket)) {
      switch (random.int(0, 4)) {
        case 0:
          await this.#pause(random);
          break;
        case 1:
          socket.cork();
          for (let count = random.int(0, 5); count > 0; count--) this.#writeOne(socket, random);
          if (random.chance(0.3)) await this.#pause(random);
          socket.uncork();
          break;
        default:
          if (!this.#writeOne(socket, random) && random.chance(0.8)) await this.#drain(socket);
      }
    }
    if (!this.#mayWrite(socket)) return;
    if (random.chance(0.5)) await this.#pause(random);
    if (!this.#mayWrite(socket)) return;
    this.#wrote = true;
    if (this.plan.waits && !await this.#hasAll()) return;
    this.log.push("end()");
    if (random.chance(0.3) && !this.plan.waits) socket.end(this.#next(random.int(1, 5_000)));
    else socket.end();
  }

  /** Whether every byte of the other end has come, and none will follow. */
  async #hasAll(): Promise<boolean> {
    while (this.#mayWrite(this.socket!)) {
      const peer = this.peer!;
      if (peer.sawClose || (peer.#wrote && this.received === peer.sent)) return true;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return false;
  }

  #mayWrite(socket: Socket): boolean {
    if (this.sawClose || this.#destroyedHere || !socket.writable) return false;
    return this.plan.allowHalfOpen || !this.sawEnd;
  }

  #writeOne(socket: Socket, random: Random): boolean {
    const length = random.int(1, random.pick([10, 200, 3_000, 20_000, 70_000, 400_000]));
    const bytes = this.#next(length);
    const index = this.#writes++;
    const erase = random.chance(0.3);
    const done = (error?: Error | null) => {
      // Writes that wait for a connection end with 'close', as its listeners.
      this.#note(`callback ${index}${error ? ` ${error.message}` : ""}`, this.#connected);
      if (this.#calledBack.has(index)) this.fail(`callback ${index} came twice`);
      const isNext = this.#calledBack.size === index;
      // The order is kept until a socket is destroyed.
      if (!isNext && !socket.destroyed) this.fail(`callback ${index} came out of order`);
      this.#calledBack.add(index);
      if (error) this.#failedWrites++;
      if (erase) bytes.fill(0);
    };
    this.log.push(`write ${index} of ${length}`);
    switch (random.int(0, 5)) {
      case 0:
        return socket.write(bytes.toString("latin1"), "latin1", done);
      case 1:
        return socket.write(bytes.toString("hex"), "hex", done);
      default:
        return socket.write(bytes, done);
    }
  }

  #next(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) bytes[i] = byteAt(this.plan.sends, this.sent + i);
    this.sent += length;
    return bytes;
  }

  /** Until the socket takes more, has ended or is closed. */
  #drain(socket: Socket): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        socket.off("drain", go).off("close", go);
        resolve();
      };
      if (socket.destroyed || !socket.writableNeedDrain) return resolve();
      socket.once("drain", go).once("close", go).once("end", go);
    });
  }

  // --------------------------------------------------------------------------------- reading

  async #read(socket: Socket, random: Random): Promise<void> {
    if (random.chance(0.4)) await this.#pause(random);
    const reading = random.pick<Reading>(["data", "data", "readable", "iterate", "pipe"]);
    this.log.push(`reads by ${reading}`);
    switch (reading) {
      case "data":
        return this.#readData(socket, random);
      case "readable":
        socket.on("readable", () => this.#readSome(socket, random));
        return;
      case "iterate":
        return await this.#iterate(socket, random);
      case "pipe":
        socket.pipe(this.#target(random));
        socket.resume();
        return;
    }
  }

  #readData(socket: Socket, random: Random): void {
    const encoding = random.pick<BufferEncoding | null>([null, null, null, "latin1", "hex"]);
    if (encoding !== null) socket.setEncoding(encoding);
    const pauses = random.chance(0.4) ? random.float() : 0;
    socket.on("data", (chunk: Buffer | string) => {
      this.#check(typeof chunk === "string" ? Buffer.from(chunk, encoding!) : chunk);
      if (!random.chance(pauses)) return;
      socket.pause();
      setTimeout(() => socket.resume(), random.int(0, 3));
    });
    socket.resume();
  }

  #readSome(socket: Socket, random: Random): void {
    for (;;) {
      const size = random.chance(0.5) ? undefined : random.int(1, 10_000);
      const chunk = socket.read(size) ?? socket.read();
      if (chunk === null) return;
      const keep = random.chance(0.1) && chunk.length > 1 ? random.int(1, chunk.length - 1) : 0;
      this.#check(chunk.subarray(0, chunk.length - keep));
      if (keep > 0) socket.unshift(chunk.subarray(chunk.length - keep));
    }
  }

  async #iterate(socket: Socket, random: Random): Promise<void> {
    // By default the end of an iteration destroys the socket, even while it sends.
    const destroyOnReturn = this.plan.disruption === "break";
    let left = destroyOnReturn ? random.int(0, 5) : Infinity;
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn })) {
        this.#check(chunk);
        if (random.chance(0.2)) await this.#pause(random);
        if (left-- <= 0) break;
      }
    } catch (error) {
      this.log.push(`iteration: ${(error as Error).message}`);
      if (this.plan.calm) this.fail("an iteration that failed");
      return;
    }
    if (this.plan.calm && !this.sawEnd) this.fail("an iteration that ended before 'end'");
  }

  #target(random: Random): Writable {
    const target = new Writable({
      highWaterMark: random.pick([1, 1_000, 65_536]),
      write: (chunk, _encoding, done) => {
        this.#check(chunk);
        if (random.chance(0.7)) done();
        else setTimeout(done, random.int(0, 2));
      },
    });
    this.#targetDone = new Promise((resolve) => target.on("finish", resolve));
    return target;
  }

  #check(bytes: Uint8Array): void {
    this.#note(`data ${bytes.length}`, false);
    if (this.sawEnd && this.#targetDone === null) this.fail("bytes after 'end'");
    for (let i = 0; i < bytes.length; i++) {
      const expected = byteAt(this.plan.receives, this.received + i);
      if (bytes[i] !== expected) this.fail(`the byte at ${this.received + i} is wrong`);
    }
    this.received += bytes.length;
  }

  // ------------------------------------------------------------------------------- breaking off

  async #disrupt(socket: Socket, random: Random): Promise<void> {
    for (let count = random.int(0, 4); count > 0; count--) await this.#pause(random);
    if (socket.destroyed) return;
    const { disruption } = this.plan;
    this.log.push(`${disruption}()`);
    this.#destroyedHere = true;
    if (disruption === "error") socket.destroy(new Error(OWN_ERROR));
    else if (disruption === "reset") socket.resetAndDestroy();
    else if (disruption === "destroySoon") (socket as Destroyable).destroySoon();
    else socket.destroy();
    if (random.chance(0.3)) socket.destroy();
  }

  /** A tick, an immediate or some milliseconds. */
  #pause(random: Random): Promise<void> {
    return new Promise((resolve) => {
      const kind = random.int(0, 3);
      if (kind === 0) queueMicrotask(resolve);
      else if (kind === 1) setImmediate(resolve);
      else setTimeout(resolve, random.int(0, 4));
    });
  }
}

interface Destroyable {
  destroySoon(): void;
}

function byteAt(direction: number, position: number): number {
  return (position * 31 + (position >>> 8) * 7 + direction * 13) & 255;
}
