/**
 * One listening socket of `node:net`.
 *
 * The runtime accepts connections before the core does. They wait here, paused, until the core
 * accepts them: at most as many as the backlog of `listen`. Further connections are reset, as by a
 * kernel with `tcp_abort_on_overflow`. Connections that wait when the listener closes are reset as
 * well.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import {
  errnoOf,
  type RuntimeServer,
  type RuntimeSocket,
  runtimeSockets,
  shielded,
} from "./runtime_sockets.ts";

export interface ListenTarget {
  readonly path: string | null;
  readonly host: string;
  readonly port: number;
  readonly ipv6Only: boolean;
  readonly reusePort: boolean;
}

export class PortableListener {
  readonly server: RuntimeServer;
  /** Resolves with 0 once the socket listens, or with -errno. */
  readonly opened: Promise<number>;
  readonly #waiting: RuntimeSocket[] = [];
  readonly #backlog: number;
  readonly #onConnection: () => void;
  #closed = false;
  // The pending accept of the core.
  slot = -1;
  generation = 0;
  block = -1;

  constructor(target: ListenTarget, backlog: number, onConnection: () => void) {
    this.#backlog = Math.max(backlog, 1);
    this.#onConnection = onConnection;
    this.server = runtimeSockets.createServer(
      shielded({ allowHalfOpen: true, pauseOnConnect: true }),
    );
    this.server.on("connection", this.#add);
    const opened = Promise.withResolvers<number>();
    this.opened = opened.promise;
    this.server.once("listening", () => opened.resolve(0));
    this.server.on("error", (error) => opened.resolve(-listenErrno(error)));
    const { path, host, port, ipv6Only, reusePort } = target;
    // The kernel accepts any backlog, but the runtimes require a positive one.
    const common = { backlog: this.#backlog, exclusive: true };
    const options = path !== null ? shielded({ ...common, path }) : shielded({
      ...common,
      path: undefined,
      host,
      port,
      ipv6Only,
      reusePort: reusePort ? true : undefined,
    });
    guardListen(this.server, (error) => opened.resolve(-listenErrno(error)));
    try {
      // Not `server.listen`, which `uringnet/register` has replaced by a method that leads here.
      Reflect.apply(runtimeSockets.listen, this.server, [options]);
      this.server.unref();
    } catch (error) {
      opened.resolve(-listenErrno(error));
    }
  }

  /** Whether the runtime has bound the socket. A refusal is known by `opened` alone. */
  get listens(): boolean {
    return !this.#closed && this.server.listening && this.server.address() !== null;
  }

  /** Takes a waiting connection. */
  take(): RuntimeSocket | null {
    let socket = this.#waiting.shift();
    while (socket !== undefined && socket.destroyed) socket = this.#waiting.shift();
    if (socket === undefined) return null;
    socket.off("error", ignore);
    return socket;
  }

  /** Stops listening. Later connections are refused. */
  stop(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.server.close();
    } catch {
      // The server never listened.
    }
    for (const socket of this.#waiting.splice(0)) socket.resetAndDestroy();
  }

  readonly #add = (socket: RuntimeSocket): void => {
    socket.on("error", ignore);
    socket.unref();
    if (this.#closed || this.#waiting.length >= this.#backlog) {
      socket.resetAndDestroy();
      return;
    }
    this.#waiting.push(socket);
    this.#onConnection();
  };
}

type Method = (...args: unknown[]) => unknown;

/**
 * Deno's `listen` binds in a later tick, where the refusal of a permission is thrown past every
 * listener and would end the process.
 */
function guardListen(server: RuntimeServer, refused: (error: unknown) => void): void {
  const inside = server as unknown as { _listen2?: Method };
  const bind = inside._listen2;
  if (typeof bind !== "function") return;
  inside._listen2 = function (...args) {
    try {
      return Reflect.apply(bind, this, args);
    } catch (error) {
      return refused(error);
    }
  };
}

/** Deno reports EINVAL for a valid address that does not belong to this machine. */
function listenErrno(error: unknown): number {
  const errno = errnoOf(error);
  return errno === ERRNO.EINVAL ? ERRNO.EADDRNOTAVAIL : errno;
}

/** Ignores the error of a waiting connection, which is skipped later. */
function ignore(): void {}

let ipv6OnlySupport: Promise<boolean> | null = null;

/** Ports that are tried: any of them may be taken for IPv4 by another process. */
const IPV6_ONLY_TRY_COUNT = 8;

/**
 * Whether the runtime applies `ipv6Only`, which Deno 2.9 ignores. Tested once, by a second
 * listener: beside one for both families, an IPv4 listener cannot have the same port.
 */
export function ipv6OnlySupported(): Promise<boolean> {
  return ipv6OnlySupport ??= tryIpv6Only();
}

async function tryIpv6Only(): Promise<boolean> {
  for (let i = 0; i < IPV6_ONLY_TRY_COUNT; i++) {
    if (await sharesPort()) return true;
  }
  return false;
}

/** Whether a port that the kernel chooses for IPv6 alone is free for IPv4. */
async function sharesPort(): Promise<boolean> {
  const common = { path: null, reusePort: false };
  const only = { ...common, host: "::", port: 0, ipv6Only: true };
  const first = new PortableListener(only, 1, ignore);
  try {
    if (await first.opened < 0) return false;
    const { port } = first.server.address() as { port: number };
    const both = new PortableListener(
      { ...common, host: "0.0.0.0", port, ipv6Only: false },
      1,
      ignore,
    );
    const result = await both.opened;
    both.stop();
    return result === 0;
  } finally {
    first.stop();
  }
}

/** The errno of an accept that finds no connection. */
export const NONE_WAITS = -ERRNO.EAGAIN;
