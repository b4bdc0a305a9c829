/**
 * A server with the interface of `net.Server`, over listeners of this library.
 *
 *   listen() binds at once, so that address() answers -> 'listening' -> 'connection' ...
 *   close() -> no connection left -> 'close'
 *
 * Connections above `maxConnections`, and those that the block list names, are closed, and 'drop'
 * is emitted.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import { nextTick } from "node:process";
import { closeOnAbort } from "./close_on_abort.ts";
import { listenArguments } from "./listen_arguments.ts";
import type { Listening } from "./listening.ts";
import { nodeError } from "./node_error.ts";
import { type ListeningServer, serverListen } from "./server_listen.ts";
import type { Socket } from "./socket.ts";
import type { Callback } from "./socket_arguments.ts";
import { type SocketName, socketName } from "./socket_name.ts";
import { probeDelay } from "./socket_state.ts";
import { type Blocker, validate } from "./validate.ts";

export interface ServerOptions {
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  highWaterMark?: number;
  blockList?: Blocker;
  captureRejections?: boolean;
}

const REJECTION = Symbol.for("nodejs.rejection");

export class Server extends EventEmitter implements ListeningServer {
  declare allowHalfOpen: boolean;
  declare pauseOnConnect: boolean;
  declare noDelay: boolean;
  declare keepAlive: boolean;
  declare keepAliveInitialDelay: number;
  declare highWaterMark: number | undefined;
  declare blockList: Blocker | undefined;
  declare maxConnections: number | undefined;
  declare dropMaxConnection: boolean | undefined;
  declare _connections: number;
  declare _handle: Listening | null;
  declare _pipeName: string | undefined;
  declare _connectionKey: string | undefined;
  declare _unref: boolean;
  /** One object for each lookup or listen that is under way; null when there is none. */
  declare _lookup: object | null;

  constructor(options?: ServerOptions | Callback | null, listener?: Callback) {
    super(typeof options === "object" && options !== null ? emitterOptions(options) : undefined);
    Server.initialize(this, options, listener);
  }

  /** @internal For programs that inherit without `class` syntax. */
  static inherit(server: Server, options?: ServerOptions | Callback, listener?: Callback): void {
    (EventEmitter as unknown as Callback).call(server);
    Server.initialize(server, options, listener);
  }

  /** @internal The part of the constructor that follows the emitter's. */
  static initialize(
    server: Server,
    given: ServerOptions | Callback | null | undefined,
    listener: Callback | undefined,
  ): void {
    const wrong = given !== undefined && given !== null && typeof given !== "object" &&
      typeof given !== "function";
    if (wrong) throw nodeError.argumentType("options", "object", given);
    const options = typeof given === "object" && given !== null ? given : {};
    const onConnection = typeof given === "function" ? given : listener;
    if (typeof onConnection === "function") server.on("connection", onConnection);
    if (options.keepAliveInitialDelay !== undefined) {
      validate.number(options.keepAliveInitialDelay, "options.keepAliveInitialDelay");
    }
    server._connections = 0;
    server._handle = null;
    server._unref = false;
    server._lookup = null;
    server.allowHalfOpen = options.allowHalfOpen || false;
    server.pauseOnConnect = Boolean(options.pauseOnConnect);
    server.noDelay = Boolean(options.noDelay);
    server.keepAlive = Boolean(options.keepAlive);
    // Kept in seconds, as in Node.
    server.keepAliveInitialDelay = probeDelay(options.keepAliveInitialDelay);
    server.highWaterMark = readHighWaterMark(options);
    if (options.blockList !== undefined) {
      server.blockList = validate.blockList(options.blockList, "options.blockList");
    }
  }

  listen(...args: unknown[]): this {
    if (this._handle !== null || this._lookup !== null) {
      throw nodeError.fixed("ERR_SERVER_ALREADY_LISTEN");
    }
    const plan = listenArguments(args);
    if (plan.callback !== null) this.once("listening", plan.callback);
    if (plan.signal !== undefined) closeOnAbort(plan.signal, this);
    serverListen(this, plan);
    return this;
  }

  /** The address or the path; null while the server does not listen. */
  address(): SocketName | string | null {
    if (this._handle === null) return null;
    return this._pipeName ?? socketName(this._handle.localAddress);
  }

  get listening(): boolean {
    return this._handle !== null;
  }

  getConnections(callback: Callback): this {
    nextTick(callback, null, this._connections);
    return this;
  }

  /** Stops accepting. 'close' is emitted once the last connection has ended. */
  close(callback?: Callback): this {
    if (typeof callback === "function") {
      if (this._handle === null) {
        this.once("close", () => callback(nodeError.fixed("ERR_SERVER_NOT_RUNNING")));
      } else {
        this.once("close", callback);
      }
    }
    this._lookup = null;
    if (this._handle !== null) {
      this._handle.close();
      this._handle = null;
      this._pipeName = undefined;
    }
    this._emitCloseIfDrained();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle === null) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error?: Error) => error ? reject(error) : resolve());
    });
  }

  ref(): this {
    this._unref = false;
    this._handle?.ref();
    return this;
  }

  unref(): this {
    this._unref = true;
    this._handle?.unref();
    return this;
  }

  /** @internal */
  _emitCloseIfDrained(): void {
    if (this._handle !== null || this._connections > 0) return;
    // Also when the server listens again by then, as the end of the first listener is waited for.
    nextTick(() => {
      if (this._connections === 0) this.emit("close");
    });
  }

  /** @internal An async listener of 'connection' failed. */
  [REJECTION](error: Error, event: string, socket?: Socket): void {
    if (event === "connection") socket?.destroy(error);
    else this.emit("error", error);
  }
}

/** A negative value stands for the default of the streams. */
function readHighWaterMark({ highWaterMark }: ServerOptions): number | undefined {
  if (highWaterMark === undefined) return undefined;
  const bytes = validate.number(highWaterMark, "options.highWaterMark");
  return bytes < 0 ? undefined : bytes;
}

function emitterOptions(
  { captureRejections }: ServerOptions,
): { captureRejections: boolean } | undefined {
  return captureRejections === undefined ? undefined : { captureRejections };
}
