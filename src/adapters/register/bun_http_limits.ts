/**
 * The time limits of a server of `node:http`, for connections that Bun serves in JavaScript. Bun
 * enforces none of them there.
 *
 *   connected --first byte--> headers --"request"--> body --request complete--> answer
 *       |                        ^                                                |
 *       |                        +---------- first byte ------ idle <--finished---+
 *       headersTimeout, requestTimeout: 408       keepAliveTimeout and its buffer: the end
 *
 *   any phase --"upgrade", "connect"--> released: the connection is the program's
 *
 * The first two are checked once in each `connectionsCheckingInterval`, as in Node; a request
 * begins when the check first sees bytes of it. `server.timeout` and `keepAliveTimeout` use the
 * timeout of the socket, so no timer is set for a request. Programs change it as well, by
 * `response.setTimeout`: a timeout is told to the request, the response and the server, and ends
 * the connection if none of them listens.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import { nowMs } from "../../base/now_ms.ts";
import type { NetSocket } from "./node_modules.ts";

/** A server with the fields that set limits. */
export interface LimitedServer extends EventEmitter {
  timeout?: number;
  keepAliveTimeout?: number;
  keepAliveTimeoutBuffer?: number;
  headersTimeout?: number;
  requestTimeout?: number;
  connectionsCheckingInterval?: number;
}

interface Message extends EventEmitter {
  complete?: boolean;
}

/** The state of one connection. */
interface Exchange {
  phase: "headers" | "body" | "answer" | "idle" | "released";
  /** When the request began, on the clock of `nowMs()`; -1 while none has. */
  sinceMs: number;
  /** Bytes that had arrived when the connection became idle. */
  bytesBefore: number;
  /**
   * Requests whose answer is not finished, in their order, with the answers. A peer may pipeline as
   * many as it likes.
   */
  readonly unanswered: Map<Message, EventEmitter>;
  /** The last request, whose body may go on. Null while the connection is idle. */
  latest: Message | null;
  /** The socket that the program sees. Null before the end of a TLS handshake. */
  shown: NetSocket | null;
}

const CHECK_MS = 30_000;
/** The name of the symbol under which Bun notes that a request on a socket has begun. */
const REQUEST_BEGUN = "http1MessageOpen";
const TIMED_OUT = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";

export class BunHttpLimits {
  readonly #server: LimitedServer;
  readonly #exchanges = new Map<NetSocket, Exchange>();
  readonly #timer: ReturnType<typeof setInterval>;
  /** Undefined before the first look; null in a version of Bun without such a symbol. */
  #begun: symbol | null | undefined;

  constructor(server: LimitedServer) {
    this.#server = server;
    const everyMs = server.connectionsCheckingInterval ?? CHECK_MS;
    this.#timer = setInterval(() => this.#check(), everyMs);
    (this.#timer as unknown as { unref(): void }).unref();
  }

  /** A connection, before its first request, and before its handshake if it gets one of TLS. */
  add(socket: NetSocket, getsTls: boolean): void {
    const exchange: Exchange = {
      phase: "headers",
      sinceMs: nowMs(),
      bytesBefore: 0,
      unanswered: new Map(),
      latest: null,
      shown: getsTls ? null : socket,
    };
    this.#exchanges.set(socket, exchange);
    socket.setTimeout(this.#server.timeout ?? 0);
    socket.on("timeout", () => this.#timedOut(exchange));
  }

  /** A connection is closed. */
  remove(socket: NetSocket): void {
    this.#exchanges.delete(socket);
  }

  /** The TLS handshake of a connection is finished. As in Node, the first request begins here. */
  secured(socket: NetSocket, shown: NetSocket): void {
    const exchange = this.#exchanges.get(socket);
    if (exchange === undefined) return;
    exchange.shown = shown;
    exchange.sinceMs = nowMs();
    shown.on("timeout", () => this.#timedOut(exchange));
  }

  /** The headers of a request are complete. A program may emit "request" again for one request. */
  request(socket: NetSocket, request: Message, response: EventEmitter): void {
    const exchange = this.#exchanges.get(socket);
    if (exchange === undefined || exchange.unanswered.has(request)) return;
    if (exchange.phase === "idle") socket.setTimeout(this.#server.timeout ?? 0);
    // The check has not seen the beginning of a request that follows another one at once.
    if (exchange.phase !== "headers") exchange.sinceMs = nowMs();
    exchange.phase = request.complete ? "answer" : "body";
    exchange.unanswered.set(request, response);
    exchange.latest = request;
    request.once("end", () => {
      // A request before the last one is complete, whenever the program reads its end.
      const isLast = exchange.latest === request;
      if (isLast && exchange.phase === "body") exchange.phase = "answer";
    });
    response.once("close", () => {
      exchange.unanswered.delete(request);
      if (exchange.unanswered.size === 0 && !socket.destroyed) this.#idle(socket, exchange);
    });
  }

  /**
   * Forgets a socket that is not an HTTP connection any more, because it was upgraded. As in Node,
   * the limit of an idle connection ends, and no timeout ends the connection.
   */
  release(socket: NetSocket): void {
    const exchange = this.#exchanges.get(socket);
    if (exchange === undefined) return;
    if (exchange.phase === "idle") socket.setTimeout(this.#server.timeout ?? 0);
    exchange.phase = "released";
    this.#exchanges.delete(socket);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Every listener is told, in Node's order; a connection without any is destroyed. */
  #timedOut({ phase, shown, unanswered }: Exchange): void {
    if (phase === "released" || shown === null) return;
    const [[request, response] = []] = unanswered;
    const told = [
      request !== undefined && !request.complete && request.emit("timeout", shown),
      response?.emit("timeout", shown),
      this.#server.emit("timeout", shown),
    ];
    if (!told.includes(true)) shown.destroy();
  }

  #idle(socket: NetSocket, exchange: Exchange): void {
    if (!this.#exchanges.has(socket)) return;
    if (this.#hasBegun(exchange.shown ?? socket)) {
      // A part of the next head has come together with the request before it.
      exchange.phase = "headers";
      exchange.sinceMs = nowMs();
      return;
    }
    const { keepAliveTimeout = 0, keepAliveTimeoutBuffer = 0, timeout = 0 } = this.#server;
    exchange.phase = "idle";
    exchange.latest = null;
    exchange.sinceMs = -1;
    exchange.bytesBefore = socket.bytesRead;
    const limitMs = keepAliveTimeout > 0 ? keepAliveTimeout + keepAliveTimeoutBuffer : timeout;
    socket.setTimeout(limitMs);
  }

  #hasBegun(shown: NetSocket): boolean {
    if (this.#begun === undefined) {
      const symbols = Object.getOwnPropertySymbols(shown);
      this.#begun = symbols.find(({ description }) => description === REQUEST_BEGUN) ?? null;
    }
    const noted = shown as unknown as Record<symbol, unknown>;
    return this.#begun !== null && noted[this.#begun] === true;
  }

  #check(): void {
    const { headersTimeout = 0, requestTimeout = 0 } = this.#server;
    const now = nowMs();
    for (const [socket, exchange] of this.#exchanges) {
      if (exchange.phase === "answer") continue;
      if (exchange.phase === "idle") {
        if (socket.bytesRead === exchange.bytesBefore) continue;
        exchange.phase = "headers";
        exchange.sinceMs = now;
      }
      const tookMs = now - exchange.sinceMs;
      const late = (limitMs: number) => limitMs > 0 && tookMs > limitMs;
      if (late(requestTimeout) || (exchange.phase === "headers" && late(headersTimeout))) {
        this.#refuse(socket, exchange.shown);
      }
    }
  }

  /** A limit has passed: emits the server's "clientError", or answers 408. */
  #refuse(socket: NetSocket, shown: NetSocket | null): void {
    this.#exchanges.delete(socket);
    // An answer that is not encrypted would be no TLS.
    if (shown === null) return void socket.destroy();
    const error = Object.assign(new Error("Request timeout"), {
      code: "ERR_HTTP_REQUEST_TIMEOUT",
    });
    if (this.#server.emit("clientError", error, shown)) return;
    if (shown.writable) shown.write(TIMED_OUT);
    shown.destroySoon();
  }
}
