/**
 * A server: accepts connections of one listener, runs a handler for each, and ends in order.
 *
 *   accepting --close(), signal, network.close()--> draining --handlers ended, or reset--> finished
 *       |                                              ^
 *       +--listener closed by its owner----------------+
 *
 * Order of events when it drains: the context's signal is aborted, the peers in the backlog are
 * accepted (`LateConnections`), the listener closes, handlers finish within the budget, the rest is
 * reset, `finished` resolves.
 *
 * Invariants
 * - Above `maxConnections` no `accept` is pending: peers wait in the kernel's backlog.
 * - A handler's failure ends only its own connection. Errors of `accept` never end the loop.
 * - Each connection is closed or reset exactly once, when its handler ends or the budget does.
 *
 * @module
 */
import { check } from "../base/check.ts";
import type { HostTimer } from "../base/host.ts";
import { intrinsics } from "../base/intrinsics.ts";
import { LIMITS } from "../base/limits.ts";
import type { NetworkError } from "../base/network_error.ts";
import { Roster } from "../base/roster.ts";
import type { BacklogTaker } from "../net/accept/backlog_taker.ts";
import {
  closeListener,
  drainListener,
  type Listener,
  listenerContext,
  listenerEnd,
  listenerReference,
} from "../net/accept/listener.ts";
import type { Connection } from "../net/connection/connection.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import type { NetworkContext, Server as NetworkServer } from "../net/socket/network_context.ts";
import { AcceptPause } from "./accept_pause.ts";
import { IdleClock } from "./idle_clock.ts";
import { LateConnections, owesAnswer } from "./late_connections.ts";
import type { ConnectionHandler, ServeContext, Server } from "./server.ts";
import { serveErrors } from "./serve_errors.ts";
import { Served } from "./served.ts";
import { checkDrainTimeout, type CheckedServeOptions } from "./serve_options.ts";

type ServerState = "accepting" | "draining" | "finished";

export class RunningServer implements Server {
  /** Hides what only the network may call, and closes whatever `close` the program has put here. */
  readonly #entry: NetworkServer = { rosterIndex: -1, close: () => this.#close(undefined) };
  readonly #listener: Listener;
  readonly #handler: ConnectionHandler;
  readonly #options: CheckedServeOptions;
  readonly #context: NetworkContext;
  readonly #served = new Roster<Served>();
  readonly #drain = new AbortController();
  /** The reason of that signal; null until the server drains. */
  #drainReason: NetworkError | null = null;
  readonly #serveContext: ServeContext;
  readonly #pause: AcceptPause;
  readonly #finished = Promise.withResolvers<void>();
  #state: ServerState = "accepting";
  /** Null until the server drains. */
  #late: LateConnections | null = null;
  /** False once the accept loop has ended. Until then it may return one more connection. */
  #accepts = true;
  #drainTimer: HostTimer | null = null;
  #drainEndMs = Infinity;
  #drainIsOver = false;
  #idleTimer: HostTimer | null = null;
  /** Null without `idleTimeoutMs`. */
  readonly #idleClock: IdleClock | null;

  constructor(listener: Listener, handler: ConnectionHandler, options: CheckedServeOptions) {
    this.#listener = listener;
    this.#handler = handler;
    this.#options = options;
    this.#context = listenerContext(listener);
    const { idleTimeoutMs } = options;
    const now = this.#context.host.now();
    this.#idleClock = idleTimeoutMs === null ? null : new IdleClock(idleTimeoutMs, now);
    this.#pause = new AcceptPause(listenerReference(listener));
    this.#serveContext = Object.freeze({ signal: this.#drain.signal });
    this.#context.servers.add(this.#entry);
    const { signal } = options;
    if (signal !== undefined) {
      if (intrinsics.isAborted(signal)) this.#onAbort();
      else intrinsics.listenToAbort(signal, this.#onAbort);
    }
    void this.#accept();
    // While the server is full, no accept ends with the listener.
    void listenerEnd(listener).then(() => this.#pause.end());
  }

  get connections(): number {
    return this.#served.size;
  }

  get draining(): boolean {
    return this.#state !== "accepting";
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  close(options?: { drainTimeoutMs?: number | null }): Promise<void> {
    try {
      const { drainTimeoutMs } = check.options("options", options, ["drainTimeoutMs"]);
      return this.#close(checkDrainTimeout("options.drainTimeoutMs", drainTimeoutMs));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #close(drainTimeoutMs: number | null | undefined): Promise<void> {
    this.#startDrain(drainTimeoutMs);
    return this.#finished.promise;
  }

  readonly #onAbort = (): void => this.#startDrain(undefined);

  async #accept(): Promise<void> {
    let pauseMs: number = LIMITS.acceptBackOffFirstMs;
    while (!this.#listener.closed && !this.draining) {
      if (this.#served.size >= this.#options.maxConnections) {
        await this.#pause.wait(null);
        continue;
      }
      try {
        // In a reaction of its own: an async context that a handler enters stays out of this loop.
        await this.#listener.accept().then(this.#arrived);
        pauseMs = LIMITS.acceptBackOffFirstMs;
      } catch (error) {
        if (this.#listener.closed || this.draining) break;
        this.#tell(error, null);
        await this.#pause.wait(pauseMs);
        pauseMs = Math.min(pauseMs * 2, LIMITS.acceptBackOffLastMs);
      }
    }
    this.#accepts = false;
    // The program has closed the listener. A drain that has begun keeps the budget of its caller.
    if (this.#state === "accepting") this.#startDrain(undefined);
    this.#startHeld();
    this.#finishIfDone();
  }

  readonly #arrived = (connection: Connection): void => this.#start(connection);

  #start(connection: Connection): void {
    const clock = this.#idleClock;
    const served = new Served(connection, clock?.read(this.#context.host.now()) ?? 0);
    this.#served.add(served);
    if (clock !== null) this.#watchIdle(clock);
    if (this.#drainIsOver) this.#end(served);
    else void this.#run(served, this.#late?.watch(connection) ?? this.#serveContext);
  }

  /** Starts the handler of a connection from the backlog. */
  #startLate(connection: SocketConnection): void {
    if (this.#isFull && !this.#drainIsOver) this.#late?.hold(connection);
    else this.#start(connection);
  }

  /** Whether a drain has no room. The pending `accept` may still return a connection. */
  get #isFull(): boolean {
    return this.#served.size + (this.#accepts ? 1 : 0) >= this.#options.maxConnections;
  }

  #startHeld(): void {
    while (!this.#isFull) {
      const held = this.#late?.take() ?? null;
      if (held === null) return;
      this.#start(held);
    }
  }

  /** Never rejects. */
  async #run(served: Served, context: ServeContext): Promise<void> {
    const { connection } = served;
    try {
      await this.#handler(connection, context);
      await connection.close();
    } catch (error) {
      // The drain's signal has ended the handler's call, so the handler has finished.
      const isDrained = this.#drainReason !== null && error === this.#drainReason;
      const ended = served.finish(!isDrained || owesAnswer(connection));
      if (!isDrained && !served.ended) this.#tell(error, connection);
      await ended;
    }
    this.#leave(served);
  }

  #leave(served: Served): void {
    if (!this.#served.delete(served)) return;
    this.#late?.forget(served.connection);
    this.#startHeld();
    this.#pause.end();
    this.#finishIfDone();
  }

  /** Resets a connection. The server does not wait for a handler that never ends. */
  #end(served: Served): void {
    void served.end().then(() => this.#leave(served));
  }

  #startDrain(timeoutMs: number | null | undefined): void {
    if (this.#state === "finished") return;
    const { host, config } = this.#context;
    const { drainTimeoutMs } = this.#options;
    const ownMs = drainTimeoutMs === undefined ? config.shutdownTimeoutMs : drainTimeoutMs;
    const budgetMs = timeoutMs === undefined ? ownMs : timeoutMs;
    if (this.#state === "accepting") this.#beginDrain(budgetMs === 0);
    const endMs = budgetMs === null ? Infinity : host.now() + budgetMs;
    if (endMs < this.#drainEndMs) {
      this.#drainEndMs = endMs;
      this.#drainTimer?.cancel();
      this.#drainTimer = host.setTimer(this.#onDrainEnd, budgetMs as number);
    }
    this.#finishIfDone();
  }

  #beginDrain(isOver: boolean): void {
    this.#state = "draining";
    this.#context.addReference();
    const { signal } = this.#options;
    if (signal !== undefined) intrinsics.ignoreAbort(signal, this.#onAbort);
    const reason = this.#drainReason = serveErrors.drainReason();
    this.#late = new LateConnections(this.#context.host, reason);
    if (isOver) void closeListener(this.#listener);
    else void drainListener(this.#listener, this.#backlog);
    this.#pause.end();
    serveErrors.abort(this.#drain, reason);
  }

  readonly #backlog: BacklogTaker = {
    take: (connection) => this.#startLate(connection),
    done: (failure) => {
      if (failure !== null) this.#tell(failure, null);
      this.#finishIfDone();
    },
  };

  /** Called at the end of the budget. Resets connections whose handlers have not finished. */
  readonly #onDrainEnd = (): void => {
    this.#drainIsOver = true;
    void closeListener(this.#listener);
    this.#late?.end();
    for (const served of this.#served.all()) this.#end(served);
    this.#context.endedCalls.tellSome();
  };

  #finishIfDone(): void {
    const isOver = this.#listener.closed && !this.#accepts && this.#served.size === 0;
    if (this.#state !== "draining" || !isOver || (this.#late?.heldCount ?? 0) > 0) return;
    this.#state = "finished";
    this.#drainTimer?.cancel();
    this.#idleTimer?.cancel();
    // Only after the listener's descriptor is closed.
    void closeListener(this.#listener).then(() => {
      this.#context.servers.delete(this.#entry);
      this.#context.removeReference();
      this.#finished.resolve();
    });
  }

  /** One timer for all connections. It fires several times in an idle time. */
  #watchIdle(clock: IdleClock): void {
    if (this.#idleTimer !== null) return;
    const { host } = this.#context;
    clock.set(host.now());
    this.#idleTimer = host.setTimer(() => {
      this.#idleTimer = null;
      this.#endIdle(clock, host.now());
      if (this.#served.size > 0) this.#watchIdle(clock);
    }, clock.lookMs);
  }

  #endIdle(clock: IdleClock, timeMs: number): void {
    const isLate = clock.isLate(timeMs);
    const nowMs = clock.read(timeMs);
    const { idleTimeoutMs } = clock;
    for (const served of this.#served.all()) {
      if (!served.isIdle(nowMs, idleTimeoutMs, isLate)) continue;
      const { bytes, connection } = served;
      this.#tell(serveErrors.idleError(connection, idleTimeoutMs, bytes), connection);
      this.#end(served);
    }
  }

  #tell(error: unknown, connection: Connection | null): void {
    serveErrors.tell(this.#context.host, this.#options.onError, error, connection);
  }
}
