/**
 * One connection of the small Redis: commands are parsed where they were received, all that have
 * come are run, and their replies leave in one send.
 */
import { Buffer } from "node:buffer";
import type { Connection } from "../../mod.ts";
import { type Database, nameOf, type Subscriber } from "./commands.ts";
import { Reply } from "./reply.ts";

/** The largest command, all its arguments together. */
const COMMAND_BYTES_MAX = 1 << 26;
const ARGUMENT_COUNT_MAX = 1 << 16;
/** A subscriber with more than this unread is too slow. */
const UNREAD_BYTES_MAX = 1 << 24;

const CR = 13;
const LF = 10;
const DOLLAR = 36;
const STAR = 42;

class ProtocolError extends Error {}

export class Session implements Subscriber {
  readonly channels = new Set<string>();
  readonly #connection: Connection;
  readonly #database: Database;
  readonly #reply = new Reply();
  /** Where parsing is, and the command that was parsed. */
  #at = 0;
  #name = "";
  #arguments: string[] = [];
  /** The memory that the last bytes came in: connections share it, so it is seldom another. */
  #memory: Buffer = Buffer.alloc(0);

  constructor(connection: Connection, database: Database) {
    this.#connection = connection;
    this.#database = database;
  }

  /** Serves until the peer ends, or `signal` asks to come to an end. */
  async run(signal: AbortSignal): Promise<void> {
    // Closing sends the replies that are queued. With the signal in each call, 16 commands at a
    // time would cost a fifth more.
    const close = () => this.#connection.close();
    signal.addEventListener("abort", close);
    try {
      await this.#serve();
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", close);
      for (const channel of [...this.channels]) this.#database.unsubscribe(channel, this);
    }
  }

  async #serve(): Promise<void> {
    const { stream, sink } = this.#connection;
    try {
      for (let wanted = 1; await stream.wait(wanted);) {
        const view = stream.peek(stream.buffered);
        if (view.buffer !== this.#memory.buffer) this.#memory = Buffer.from(view.buffer);
        const used = this.#runAll(this.#memory, view.byteOffset, view.byteOffset + view.length);
        wanted = view.length - used + 1;
        stream.consume(used);
        if (this.#reply.length > 0) await sink.send(Buffer.from(this.#reply.take(), "latin1"));
        if (wanted > COMMAND_BYTES_MAX) throw new ProtocolError("the command is too long");
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#reply.error(`ERR Protocol error: ${error.message}`);
      await sink.send(Buffer.from(this.#reply.take(), "latin1"));
    }
  }

  deliver(channel: string, message: string): void {
    const { sink } = this.#connection;
    const pushed = new Reply();
    pushed.array(3).bulk("message").bulk(channel).bulk(message);
    // A failed send ends the connection, and `run` with it.
    if (sink.bytesQueued > UNREAD_BYTES_MAX) this.#connection.reset();
    else sink.send(Buffer.from(pushed.take(), "latin1")).catch(() => this.#connection.reset());
  }

  /** Runs every whole command; returns the bytes of these. */
  #runAll(bytes: Buffer, start: number, end: number): number {
    let used = start;
    this.#at = start;
    while (this.#at < end && this.#parse(bytes, end)) {
      used = this.#at;
      if (this.#name !== "") this.#database.run(this.#name, this.#arguments, this.#reply, this);
    }
    return used - start;
  }

  /** Parses the next command. False when it is not whole. */
  #parse(bytes: Buffer, limit: number): boolean {
    this.#name = "";
    if (bytes[this.#at] !== STAR) return this.#parseInline(bytes, limit);
    const count = this.#number(bytes, limit, STAR);
    if (count < 0) return false;
    if (count > ARGUMENT_COUNT_MAX) throw new ProtocolError("invalid multibulk length");
    let name = "";
    const found: string[] = [];
    for (let i = 0; i < count; i++) {
      const length = this.#number(bytes, limit, DOLLAR);
      if (length > COMMAND_BYTES_MAX) throw new ProtocolError("invalid bulk length");
      const end = this.#at + length;
      if (length < 0 || end + 2 > limit) return false;
      const known = i === 0 ? nameOf(bytes, this.#at, end) : undefined;
      const text = known ?? bytes.toString("latin1", this.#at, end);
      if (i === 0) name = text;
      else found.push(text);
      this.#at = end + 2;
    }
    this.#name = name;
    this.#arguments = found;
    return true;
  }

  /** The number behind `kind`, up to the end of its line. -1 when the line is not whole. */
  #number(bytes: Uint8Array, limit: number, kind: number): number {
    if (this.#at >= limit) return -1;
    if (bytes[this.#at] !== kind) {
      throw new ProtocolError(`expected '${String.fromCharCode(kind)}'`);
    }
    let value = 0;
    let at = this.#at + 1;
    for (; at < limit && bytes[at] !== CR; at++) {
      const digit = bytes[at] - 48;
      if (digit < 0 || digit > 9 || value > COMMAND_BYTES_MAX) {
        throw new ProtocolError("invalid length");
      }
      value = value * 10 + digit;
    }
    if (at + 1 >= limit) return -1;
    this.#at = at + 2;
    return value;
  }

  /** Words on a line, as one types them into telnet. */
  #parseInline(bytes: Buffer, limit: number): boolean {
    const end = bytes.subarray(this.#at, limit).indexOf(LF);
    if (end < 0) return false;
    const text = bytes.toString("latin1", this.#at, this.#at + end);
    const [name = "", ...found] = text.split(/\s+/).filter(Boolean);
    this.#name = name;
    this.#arguments = found;
    this.#at += end + 1;
    return true;
  }
}
