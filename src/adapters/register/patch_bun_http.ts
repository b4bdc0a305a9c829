/**
 * Servers of `node:http` and `node:https` in Bun. They are not a `net.Server` there but listen
 * inside the runtime, in C++. This module makes them listen on the ring. Each connection reaches
 * the server through its "connection" event, and Bun serves such a connection in JavaScript.
 *
 *   http.Server.listen()  -> net.Server of uringnet/net -> "connection" -> HTTP/1 in JavaScript
 *   https.Server.listen() -> net.Server -> TLSSocket -> "connection" of a plain http.Server
 *
 * The plain server passes its events on to the https server, because an https server of Bun refuses
 * a TLS socket in its "connection" event.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import { nextTick } from "node:process";
import { queueMicrotask } from "../../base/queue_microtask.ts";
import {
  type Exports,
  type Fields,
  type NetModule,
  type NetServer,
  type NetSocket,
  replaceFunction,
  replaceGetter,
} from "./node_modules.ts";
import { nodeError } from "../node_error.ts";
import { plainServer } from "./plain_server.ts";
import { readsAsAsked } from "./reads_as_asked.ts";
import { bunHttpAnswers, type HttpRequest, type HttpResponse } from "./bun_http_answers.ts";
import { BunHttpLimits, type LimitedServer } from "./bun_http_limits.ts";
import { bunHttpsServers } from "./bun_https_servers.ts";
import { listenOnRing, type OuterServer } from "./listen_on_ring.ts";
import { serverTlsOptions } from "./server_tls_options.ts";
import { connectionError } from "./tls_sockets.ts";

interface HttpServer extends OuterServer, LimitedServer {
  closeIdleConnections(): void;
  closeAllConnections(): void;
  close(callback?: (error?: Error) => void): unknown;
}

/** The state of a server that listens on the ring. */
interface Listening {
  inner: NetServer;
  sockets: Set<NetSocket>;
  /** Sockets whose TLS handshake is not finished. */
  handshaking: Set<NetSocket>;
  /** Serves the connections: the server itself, or the plain server below an https server. */
  plain: HttpServer;
  /** The options of its TLS sockets; null for a server without TLS. */
  tls: Fields | null;
  closing: boolean;
  limits: BunHttpLimits;
}

const listening = new WeakMap<object, Listening>();

function finishClose(server: HttpServer, state: Listening): void {
  if (!state.closing || state.sockets.size > 0) return;
  state.limits.close();
  // A server may listen again while its connections end: then its "close" comes later.
  if (listening.get(server) !== state) return;
  listening.delete(server);
  queueMicrotask(() => server.emit("close"));
}

/**
 * Emits "connection" for the listeners of the program only: Bun's own listeners would treat the
 * socket as one of Bun's.
 */
function tellConnection(server: HttpServer, socket: NetSocket): void {
  const own = bunHttpsServers.ownListeners(server);
  for (const listener of server.rawListeners("connection")) {
    if (!own?.has(listener)) Reflect.apply(listener, server, [socket]);
  }
}

/** Sockets of an https server become TLS sockets first. */
function secure(tls: Exports, server: HttpServer, state: Listening, socket: NetSocket): void {
  const secured = new tls.TLSSocket(socket, state.tls);
  const failed = (error: Error) => {
    socket.removeListener("close", hungUp);
    // In this order, as Node's servers of https listen to "tlsClientError" before the program.
    if (!server.emit("clientError", error, secured)) secured.destroy(error);
    server.emit("tlsClientError", error, secured);
  };
  // A client that leaves in the middle of the handshake is told of in Node's words.
  const hungUp = () => failed(connectionError(socket) ?? nodeError.fixed("ECONNRESET"));
  secured.once("error", failed);
  socket.once("close", hungUp);
  state.handshaking.add(socket);
  secured.once("close", () => {
    state.handshaking.delete(socket);
    socket.destroy();
  });
  secured.once("secure", () => {
    state.handshaking.delete(socket);
    secured.removeListener("error", failed);
    socket.removeListener("close", hungUp);
    state.limits.secured(socket, secured);
    server.emit("secureConnection", secured);
    bunHttpAnswers.beginHttp(secured);
    state.plain.emit("connection", secured);
  });
}

function startListening(
  net: NetModule,
  { http, tls }: { http: Exports; tls: Exports },
  server: HttpServer,
  args: readonly unknown[],
): void {
  const given = bunHttpsServers.options(server);
  const isSecure = given !== undefined;
  let secured: Fields | null = null;
  try {
    if (isSecure) secured = serverTlsOptions(tls, given);
  } catch (error) {
    // As in Bun, whose servers read their certificate here: else each connection would throw.
    nextTick(() => server.emit("error", error));
    return;
  }
  const take = (socket: NetSocket): void => {
    state.sockets.add(socket);
    state.limits.add(socket, isSecure);
    if (isSecure) {
      tellConnection(server, socket);
      secure(tls, server, state, socket);
    } else {
      bunHttpAnswers.beginHttp(socket);
      server.emit("connection", socket);
    }
  };
  const left = (socket: NetSocket): void => {
    state.sockets.delete(socket);
    state.limits.remove(socket);
    finishClose(server, state);
  };
  // First, as it throws for wrong arguments: then no timer of the limits is left.
  const inner = listenOnRing(net, server, args, { halfOpen: !isSecure, take, left });
  const state: Listening = {
    inner,
    sockets: new Set(),
    handshaking: new Set(),
    plain: isSecure ? plainServer(http, server, given) : server,
    tls: secured,
    closing: false,
    limits: new BunHttpLimits(server),
  };
  inner.on("error", (error: Error) => {
    if (inner.address() === null) {
      // Closed, and perhaps listening again, meanwhile.
      if (listening.get(server) === state) listening.delete(server);
      state.limits.close();
    }
    server.emit("error", error);
  });
  listening.set(server, state);
}

type Method = (this: HttpServer, ...args: unknown[]) => unknown;

/** Replaces methods; each gets the original for servers that do not listen on the ring. */
function wrap(prototype: Exports, name: string, make: (original: Method) => Method): void {
  replaceFunction(prototype, name, make(prototype[name]));
}

interface Request extends EventEmitter, HttpRequest {
  readonly socket: NetSocket & { _parent: NetSocket | null };
}

/** Updates the state of a connection from a request or an upgrade. False when it is refused. */
function noteExchange(server: HttpServer, name: unknown, args: readonly unknown[]): boolean {
  const limits = listening.get(server)?.limits;
  if (limits === undefined) return true;
  const [request, response] = args as [Request, EventEmitter & HttpResponse];
  const socket = request.socket._parent ?? request.socket;
  if (!REQUESTS.has(name)) {
    limits.release(socket);
    bunHttpAnswers.endHttp(request.socket);
    return true;
  }
  readsAsAsked(request);
  limits.request(socket, request, response);
  return !bunHttpAnswers.refusesHostless(server, request, response);
}

/** A program that hears of an error writes the answer itself. True when there is no more to do. */
function noteError(server: HttpServer, [error, socket]: readonly unknown[]): boolean {
  if (server.listenerCount("clientError") === 0) {
    return bunHttpAnswers.endsInAnswer(error as Error, socket as NetSocket);
  }
  bunHttpAnswers.endHttp(socket as NetSocket);
  return false;
}

/** A program that listens to one of the last two gets no "request" where it applies. */
const REQUESTS = new Set<unknown>(["request", "checkContinue", "checkExpectation"]);
const EXCHANGES = new Set<unknown>([...REQUESTS, "upgrade", "connect"]);

function patchLifecycle(prototype: Exports): void {
  wrap(prototype, "emit", (original) =>
    function (...args) {
      const [name, ...rest] = args;
      if (EXCHANGES.has(name) && listening.has(this)) {
        if (!noteExchange(this, name, rest)) return true;
      } else if (name === "clientError" && listening.has(this) && noteError(this, rest)) {
        return true;
      }
      return Reflect.apply(original, this, args);
    });
  wrap(prototype, "close", (original) =>
    function (callback) {
      const state = listening.get(this);
      if (state === undefined || state.closing) return Reflect.apply(original, this, [callback]);
      if (typeof callback === "function") {
        // A host that is looked up still, or an address that is in use.
        const failure = state.inner.listening ? [] : [nodeError.fixed("ERR_SERVER_NOT_RUNNING")];
        this.once("close", () => callback(...failure));
      }
      state.closing = true;
      state.inner.close();
      // The original finds no listener of its own, so it only ends idle connections.
      Reflect.apply(original, this, []);
      if (state.plain !== this) state.plain.close();
      finishClose(this, state);
      return this;
    });
  wrap(prototype, "address", (original) =>
    function () {
      const state = listening.get(this);
      if (state === undefined) return Reflect.apply(original, this, []);
      return state.inner.address();
    });
  wrap(prototype, "getConnections", (original) =>
    function (callback) {
      const state = listening.get(this);
      if (state === undefined) return Reflect.apply(original, this, [callback]);
      const answer = callback as (error: null, count: number) => void;
      queueMicrotask(() => answer(null, state.sockets.size));
      return this;
    });
  for (const name of ["closeAllConnections", "closeIdleConnections"] as const) {
    wrap(prototype, name, (original) =>
      function () {
        const state = listening.get(this);
        Reflect.apply(original, state?.plain ?? this, []);
        if (name === "closeAllConnections") state?.handshaking.forEach((one) => one.destroy());
      });
  }
  for (const name of ["ref", "unref"] as const) {
    wrap(prototype, name, (original) =>
      function () {
        Reflect.apply(original, this, []);
        listening.get(this)?.inner[name]();
        return this;
      });
  }
  const original = Object.getOwnPropertyDescriptor(prototype, "listening")?.get;
  replaceGetter(prototype, "listening", function (this: HttpServer) {
    const state = listening.get(this);
    if (state !== undefined) return state.inner.listening;
    return original === undefined ? false : Reflect.apply(original, this, []);
  });
}

/** Replaces how servers of `node:http` and `node:https` listen in Bun. */
export function patchBunHttp(
  net: NetModule,
  modules: { http: Exports; https: Exports; tls: Exports },
): void {
  const { prototype } = modules.http.Server;
  patchLifecycle(prototype);
  wrap(prototype, "listen", (original) =>
    function (...args) {
      const [options] = args as [Fields | undefined];
      const ownTls = options !== null && typeof options === "object" && "tls" in options;
      // The original refuses a second `listen` only where it has a listener of its own.
      if (ownTls) return Reflect.apply(original, this, args);
      if (listening.get(this)?.closing === false) {
        throw nodeError.fixed("ERR_SERVER_ALREADY_LISTEN");
      }
      startListening(net, modules, this, args);
      return this;
    });
  bunHttpAnswers.patchTrailers(modules.http);
  bunHttpsServers.note(modules.https);
}
