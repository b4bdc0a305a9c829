/**
 * Listening on the ring for servers of other modules than `uringnet/net`: `node:http`,
 * `node:https`, `node:http2` and `node:tls`.
 *
 *   outer.listen() -> inner = net.Server of uringnet/net, listening
 *   inner "connection" -> outer "connection" with the socket: Node's documented injection point
 *   inner "error", "listening", "drop" -> the same of outer
 *
 * The outer server gets a handle with the few methods that its own class calls, so that `close`,
 * `address`, `listening`, `ref`, `unref`, `getConnections` and the draining at the end are those of
 * the runtime.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { ERRNO } from "../../base/errno.ts";
import { closeOnAbort } from "../close_on_abort.ts";
import { netChannels } from "../net_channels.ts";
import { nodeError } from "../node_error.ts";
import type { ServerOptions } from "../server.ts";
import { type SocketStream, STATE } from "../socket_stream.ts";
import type { NetModule, NetServer, NetSocket } from "./node_modules.ts";

/** The options of a server that it passes on to the one that listens for it. */
const OPTIONS = [
  "pauseOnConnect",
  "noDelay",
  "keepAlive",
  "keepAliveInitialDelay",
  "highWaterMark",
] as const satisfies readonly (keyof ServerOptions)[];

type Options = Pick<ServerOptions, "allowHalfOpen" | typeof OPTIONS[number]>;

/** The fields of a server that both runtimes have. */
export interface OuterServer extends EventEmitter, Options {
  _handle: unknown;
  _connections: number;
  _pipeName?: string;
  _unref?: boolean;
  maxConnections?: number;
  _emitCloseIfDrained(): void;
  close(): unknown;
}

/** The handle that a server of the runtime calls, over a listening server of `uringnet/net`. */
class RingHandle {
  readonly #inner: NetServer;

  constructor(inner: NetServer) {
    this.#inner = inner;
  }

  /** The path of a unix socket, which Bun reads. */
  get unix(): string | undefined {
    const address = this.#inner.address();
    return typeof address === "string" ? address : undefined;
  }

  /** Undefined for a unix socket, whose path Deno takes from elsewhere, and before it is bound. */
  get getsockname(): ((out: object) => number) | undefined {
    const address = this.#inner.address();
    if (address === null || typeof address === "string") return undefined;
    return (out) => this.#name(out);
  }

  #name(out: object): number {
    const address = this.#inner.address();
    if (address === null || typeof address !== "object") return -ERRNO.EINVAL;
    Object.assign(out, address);
    return 0;
  }

  close(): void {
    this.#inner.close();
  }

  /** Bun's name for `close`. */
  stop(): void {
    this.#inner.close();
  }

  ref(): void {
    this.#inner.ref();
  }

  unref(): void {
    this.#inner.unref();
  }

  getAsyncId(): number {
    return 0;
  }
}

/** A server of `uringnet/net` with the options of another server. */
function innerServer(net: NetModule, outer: OuterServer, halfOpen: boolean): NetServer {
  const options: Record<string, unknown> = { allowHalfOpen: outer.allowHalfOpen ?? halfOpen };
  for (const name of OPTIONS) if (outer[name] !== undefined) options[name] = outer[name];
  const inner = new net.Server(options);
  netChannels.standFor(inner, outer);
  Object.defineProperty(inner, "maxConnections", { get: () => outer.maxConnections });
  return inner;
}

/** Arguments of `listen` without the callback, and the callback. */
function splitCallback(args: readonly unknown[]): [unknown[], (() => void) | null] {
  const last = args.at(-1);
  if (typeof last !== "function") return [[...args], null];
  return [args.slice(0, -1), last as () => void];
}

/**
 * Takes the `signal` out of the options, so that it closes the outer server and not the inner one.
 */
function takeSignal(args: unknown[], outer: OuterServer): void {
  const [options] = args;
  if (options === null || typeof options !== "object") return;
  const { signal, ...rest } = options as { signal?: AbortSignal };
  if (!(signal instanceof AbortSignal)) return;
  args[0] = rest;
  closeOnAbort(signal, outer);
}

/** How a class of servers treats its sockets. */
export interface ListenWays {
  /** Whether a socket stays writable after the peer's FIN, where the server does not say. */
  halfOpen: boolean;
  take(socket: NetSocket): void;
  /** A taken socket is closed. Not by its "close": programs remove all listeners of a socket. */
  left(socket: NetSocket): void;
}

/**
 * Starts to listen for `outer`. `take` gets each socket. Throws what `listen` throws. Returns the
 * server that listens.
 */
export function listenOnRing(
  net: NetModule,
  outer: OuterServer,
  args: readonly unknown[],
  { halfOpen, take, left }: ListenWays,
): NetServer {
  const [rest, callback] = splitCallback(args);
  takeSignal(rest, outer);
  const inner = innerServer(net, outer, halfOpen);
  inner.on("connection", (socket: NetSocket) => {
    socket.server = outer;
    (socket as unknown as SocketStream)[STATE].left = left as (socket: Duplex) => void;
    take(socket);
  });
  inner.on("listening", () => {
    netChannels.tellListening(outer);
    outer.emit("listening");
  });
  inner.on("drop", (data: unknown) => outer.emit("drop", data));
  if (callback !== null) outer.once("listening", callback);
  try {
    inner.listen(...rest);
  } catch (error) {
    if (callback !== null) outer.removeListener("listening", callback);
    throw error;
  }
  if (outer._unref) inner.unref();
  return inner;
}

/** `listen` for a server whose class is the runtime's own `net.Server`, or extends it. */
export function listenAsNetServer(
  net: NetModule,
  outer: OuterServer,
  args: readonly unknown[],
): void {
  const take = (socket: NetSocket): void => {
    outer._connections++;
    outer.emit("connection", socket);
  };
  const left = (): void => {
    outer._connections--;
    outer._emitCloseIfDrained();
  };
  // A name is looked up, or the backend binds later: meanwhile the server may not listen again.
  if (waiting.get(outer)?._lookup) throw nodeError.fixed("ERR_SERVER_ALREADY_LISTEN");
  const inner = listenOnRing(net, outer, args, { halfOpen: false, take, left });
  const handle = new RingHandle(inner);
  const begin = (): void => {
    endWaiting(outer, inner);
    outer._handle = handle;
    if (handle.unix !== undefined) outer._pipeName = handle.unix;
    if (outer._unref) inner.unref();
  };
  if (inner.listening) {
    begin();
  } else {
    waiting.set(outer, inner);
    // Before the listeners of the outer server run.
    inner.prependOnceListener("listening", begin);
  }
  inner.on("error", (error: Error) => {
    endWaiting(outer, inner);
    if (outer._handle === handle && !inner.listening) outer._handle = null;
    outer.emit("error", error);
  });
}

/** Servers that are to listen but have no handle yet, with the server that will listen for them. */
const waiting = new WeakMap<object, NetServer>();

function endWaiting(outer: object, inner: NetServer): void {
  if (waiting.get(outer) === inner) waiting.delete(outer);
}

/** Called when a server is closed. Its class closes a handle, and knows of no pending listen. */
export function cancelListen(outer: object): void {
  waiting.get(outer)?.close();
  waiting.delete(outer);
}
