/**
 * The stream that TLS reads and writes in the place of a socket of this library. In Node, TLS takes
 * the handle of a socket, whose listeners then get nothing more. The runtimes read any other Duplex
 * by its public events, which a program hears and removes as well. So TLS gets a stream of its own:
 *
 *   connection --> handle --> transport: 'data', 'end' --> TLS --> write(), end() of the socket
 *   an error of the connection --> the transport's; the socket closes without one, as in Node
 *   destroy() of either --> the other; "close" of the transport, then of the socket
 *
 * - Bytes that wait in the socket reach TLS first. They are taken in the next tick, as in Node: by
 *   then a program has removed its listeners. Bytes that arrive meanwhile wait behind them.
 * - The writing half is that of the socket: what the program has written before goes first.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import { Duplex } from "node:stream";
import type { AnyFunction, Done } from "./any_function.ts";
import { unasked } from "./unasked.ts";

/** The socket below TLS, as far as its transport needs it. */
export interface Transported extends Duplex {
  readonly _host: string | null;
  /** Directs the bytes and the errors of the connection to the transport. */
  _carry(transport: TlsTransport): void;
  /** Asks the connection for bytes. */
  _receive(): void;
}

/** Members of the writing half, and the host that a certificate is compared with. */
const MEMBERS_OF_SOCKET = [
  "writable",
  "writableCorked",
  "writableEnded",
  "writableFinished",
  "writableLength",
  "writableNeedDrain",
  "_host",
] as const;

/** The way of the bytes: the members of the class, not those that a program puts in their place. */
const { cork, end, uncork, write } = Duplex.prototype as unknown as Record<string, AnyFunction>;

const NO_BYTES = Buffer.alloc(0);

export class TlsTransport extends Duplex {
  readonly #socket: Transported;
  /** The bytes that arrive before the waiting ones are taken, null for the end; null afterwards. */
  #early: (Uint8Array | null)[] | null = [];
  /** Whether a write found no room, and 'drain' waits for it. */
  #owesDrain = false;
  /** Takes what TLS has encrypted and will write only later, in a runtime that writes later. */
  lastBytes: (() => Uint8Array | null) | null = null;

  static {
    for (const name of MEMBERS_OF_SOCKET) {
      Object.defineProperty(this.prototype, name, {
        get(this: TlsTransport): unknown {
          return this.#socket[name];
        },
      });
    }
  }

  constructor(socket: Transported) {
    const { readableHighWaterMark } = socket;
    // Neither ends nor closes by itself: its writing half, of which that depends, is the socket's.
    super({ readableHighWaterMark, allowHalfOpen: true, autoDestroy: false, emitClose: false });
    unasked(this);
    this.#socket = socket;
    // As in Node, TLS listens to the errors of the socket below. Those of the transport may come
    // when TLS is gone.
    socket.on("error", ignore);
    this.on("error", ignore);
    socket.pause();
    socket._carry(this);
    nextTick(() => this.#take());
  }

  override push(chunk: Uint8Array | string | null, encoding?: BufferEncoding): boolean {
    if (this.#early === null) return super.push(chunk, encoding);
    this.#early.push(chunk as Uint8Array | null);
    return false;
  }

  override _read(): void {
    this.#socket._receive();
  }

  override write(...args: unknown[]): boolean {
    const more = Reflect.apply(write, this.#socket, args);
    if (!this.#owesDrain && this.writableNeedDrain && this.listenerCount("drain") > 0) {
      this.#owesDrain = true;
      this.whenRoom(() => {
        this.#owesDrain = false;
        this.emit("drain");
      });
    }
    return more;
  }

  /** Calls `done` when the socket has room for more bytes, or takes none any more. */
  whenRoom(done: () => void): void {
    // Not by the event of the socket, which a program may remove. Later writes may fill it again
    // before those ahead of the empty one have left.
    if (this.#socket.writableNeedDrain) {
      Reflect.apply(write, this.#socket, [NO_BYTES, () => this.whenRoom(done)]);
    } else done();
  }

  override end(...args: unknown[]): this {
    Reflect.apply(end, this.#socket, args);
    return this;
  }

  override cork(): void {
    Reflect.apply(cork, this.#socket, []);
  }

  override uncork(): void {
    Reflect.apply(uncork, this.#socket, []);
  }

  override _destroy(error: Error | null, done: Done): void {
    done(error);
    const bytes = this.lastBytes?.() ?? NO_BYTES;
    if (bytes.length > 0 && this.#socket.writable) this.write(bytes);
    this.#socket.destroy();
  }

  #take(): void {
    const early = this.#early ?? [];
    this.#early = null;
    if (this.destroyed) return;
    const socket = this.#socket;
    const { readableLength, readableEncoding } = socket;
    // By its length: then the socket does not notice that it is at its end, and stays open.
    if (readableLength > 0) this.push(socket.read(readableLength), readableEncoding ?? undefined);
    if (hasEnded(socket)) this.push(null);
    for (const chunk of early) this.push(chunk);
    this.read(0);
  }
}

function ignore(): void {}

/** Whether the peer had ended before TLS. */
function hasEnded(socket: Duplex): boolean {
  return (socket as unknown as { _readableState: { ended: boolean } })._readableState.ended;
}
