/**
 * Listening on the ring for servers that are no server of `uringnet/net`: those of `node:http`,
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
import { ERRNO } from "../../base/errno.ts";
import type { NetModule, NetServer, NetSocket } from "./node_modules.ts";

/** The fields of a server that both runtimes have. */
export interface OuterServer extends EventEmitter {
  _handle: unknown;
  _connections: number;
  _pipeName?: string;
  _unref?: boolean;
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  highWaterMark?: number;
  maxConnections?: number;
  _emitCloseIfDrained(): void;
}

/** What a runtime's server calls of the thing that listens. */
class RingHandle {
  readonly #inner: NetServer;
  /** Asked for by Bun: the path of a unix socket. */
  readonly unix: string | undefined;

  constructor(inner: NetServer) {
    this.#inner = inner;
    const address = inner.address();
    this.unix = typeof address === "string" ? address : undefined;
  }

  getsockname(out: object): number {
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

const OPTIONS = [
  "pauseOnConnect",
  "noDelay",
  "keepAlive",
  "keepAliveInitialDelay",
  "highWaterMark",
] as const;

/** A server of `uringnet/net` with the options of another server. */
function innerServer(net: NetModule, outer: OuterServer): NetServer {
  // The protocol above answers after the client's FIN: a half is never closed by itself.
  const options: Record<string, unknown> = { allowHalfOpen: true };
  for (const name of OPTIONS) if (outer[name] !== undefined) options[name] = outer[name];
  const inner = new net.Server(options);
  Object.defineProperty(inner, "maxConnections", { get: () => outer.maxConnections });
  return inner;
}

/** Arguments of `listen` without the callback, and the callback. */
export function splitCallback(args: readonly unknown[]): [unknown[], (() => void) | null] {
  const last = args.at(-1);
  if (typeof last !== "function") return [[...args], null];
  return [args.slice(0, -1), last as () => void];
}

/**
 * Starts to listen for `outer`. `take` gets each socket. Throws what `listen` throws. Returns the
 * server that listens.
 */
export function listenOnRing(
  net: NetModule,
  outer: OuterServer,
  args: readonly unknown[],
  take: (socket: NetSocket) => void,
): NetServer {
  const [rest, callback] = splitCallback(args);
  const inner = innerServer(net, outer);
  inner.on("connection", (socket: NetSocket) => {
    socket.server = outer;
    take(socket);
  });
  inner.on("listening", () => outer.emit("listening"));
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
  const inner = listenOnRing(net, outer, args, (socket) => {
    outer._connections++;
    socket.once("close", () => {
      outer._connections--;
      outer._emitCloseIfDrained();
    });
    outer.emit("connection", socket);
  });
  const handle = new RingHandle(inner);
  outer._handle = handle;
  if (handle.unix !== undefined) outer._pipeName = handle.unix;
  inner.on("error", (error: Error) => {
    if (outer._handle === handle && inner.address() === null) outer._handle = null;
    outer.emit("error", error);
  });
}
