/**
 * One listening socket of `node:net`.
 *
 * The runtime accepts by itself. What it has accepted waits here, paused, until the core accepts
 * it: as many as the backlog that `listen` was given. Those beyond are reset, as a kernel does with
 * `tcp_abort_on_overflow`. What waits when the listener closes is reset, as a kernel does.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import {
  errnoOf,
  type RuntimeServer,
  type RuntimeSocket,
  runtimeSockets,
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
  /** 0 once it listens, or -errno. */
  readonly opened: Promise<number>;
  readonly #waiting: RuntimeSocket[] = [];
  readonly #backlog: number;
  readonly #onConnection: () => void;
  #closed = false;
  // The accept that is parked.
  slot = -1;
  generation = 0;
  block = -1;

  constructor(target: ListenTarget, backlog: number, onConnection: () => void) {
    this.#backlog = Math.max(backlog, 1);
    this.#onConnection = onConnection;
    this.server = runtimeSockets.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    this.server.on("connection", this.#add);
    const opened = Promise.withResolvers<number>();
    this.opened = opened.promise;
    this.server.once("listening", () => opened.resolve(0));
    this.server.on("error", (error) => opened.resolve(-errnoOf(error)));
    const { path, host, port, ipv6Only, reusePort } = target;
    // The kernel refuses no backlog; the runtimes want a positive one.
    const common = { backlog: this.#backlog, exclusive: true };
    const options = path !== null ? { ...common, path } : {
      ...common,
      host,
      port,
      ipv6Only,
      ...(reusePort ? { reusePort } : {}),
    };
    try {
      this.server.listen(options);
      this.server.unref();
    } catch (error) {
      opened.resolve(-errnoOf(error));
    }
  }

  /** A connection that waits. */
  take(): RuntimeSocket | null {
    let socket = this.#waiting.shift();
    while (socket !== undefined && socket.destroyed) socket = this.#waiting.shift();
    if (socket === undefined) return null;
    socket.off("error", ignore);
    return socket;
  }

  /** Stops listening; whoever comes is refused from now on. */
  stop(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.server.close();
    } catch {
      // It never listened.
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

/** Of one that nobody has accepted: it shows as closed when it is its turn. */
function ignore(): void {}

/** The errno of an accept that finds no connection. */
export const NONE_WAITS = -ERRNO.EAGAIN;
