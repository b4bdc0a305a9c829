/**
 * Clients of `node:tls`, `node:http`, `node:https` and `node:http2` connect through `uringnet/net`.
 *
 *   tls.connect(options)      -> net.connect(options), given to the original as `socket`
 *   http.Agent, https.Agent   -> their `createConnection`, which serves all requests without one of
 *                                their own, uses net.connect and tls.connect
 *   http2.connect(url)        -> its `createConnection` option
 *
 * A session of HTTP/2 turns Nagle's algorithm off at its socket, in Node. The runtimes do so at
 * their own sockets, or at all of them. So the sockets of sessions have `noDelay` here: without it
 * the small frames of flow control wait for acknowledgements, 40 ms each.
 *
 * Options that name a socket or a `createConnection` of their own are left unchanged.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import { promisify } from "node:util";
import { nodeError } from "../node_error.ts";
import { socketArguments } from "../socket_arguments.ts";
import { closeAnswersLater } from "./close_answers_later.ts";
import { denoHttp2Sessions } from "./deno_http2_sessions.ts";
import {
  type Exports,
  type Fields,
  type NetModule,
  type NetSocket,
  replaceFunction,
} from "./node_modules.ts";
import { readInto } from "./read_into.ts";

/** The fields of `tls.connect` that concern the connection under TLS. */
const CONNECTION_FIELDS = [
  "port",
  "host",
  "path",
  "localAddress",
  "localPort",
  "family",
  "hints",
  "lookup",
  "allowHalfOpen",
  "noDelay",
  "keepAlive",
  "keepAliveInitialDelay",
  "autoSelectFamily",
  "autoSelectFamilyAttemptTimeout",
  "blockList",
] as const;

/** The events of a connection before it is there. */
const CONNECTING_EVENTS = [
  "lookup",
  "connectionAttempt",
  "connectionAttemptFailed",
  "connectionAttemptTimeout",
] as const;

/** `[port[, host]][, options]`, `path[, options]` or `options`, then a callback. */
function normalize(args: readonly unknown[]): [Fields, unknown] {
  const callback = typeof args.at(-1) === "function" ? args.at(-1) : undefined;
  const rest = callback === undefined ? args : args.slice(0, -1);
  const fields: Fields = {};
  for (const [index, arg] of rest.entries()) {
    if (arg !== null && typeof arg === "object") Object.assign(fields, arg);
    else if (index === 0 && socketArguments.isPath(arg)) fields.path = arg;
    else if (index === 0 && arg !== undefined) fields.port = arg;
    else if (index === 1 && typeof arg === "string" && typeof rest[0] !== "object") {
      fields.host = arg;
    }
  }
  return [fields, callback];
}

function connectionFields(fields: Fields): Fields {
  const chosen: Fields = {};
  for (const name of CONNECTION_FIELDS) {
    if (fields[name] !== undefined) chosen[name] = fields[name];
  }
  return chosen;
}

/** A `tls.connect` over `net.connect`. */
function ringTlsConnect(net: NetModule, original: (...args: unknown[]) => NetSocket) {
  return function connect(...args: unknown[]): NetSocket {
    const [fields, callback] = normalize(args);
    if (fields.socket || (fields.port === undefined && fields.path === undefined)) {
      return original(...args);
    }
    const socket = net.connect(connectionFields(fields));
    const options: Fields = { ...fields, socket };
    // Node sends the host name to the server unless the host is an address. Bun does not do so over
    // a given socket.
    const { host } = fields;
    if (options.servername === undefined && typeof host === "string" && net.isIP(host) === 0) {
      options.servername = host;
    }
    let secured: NetSocket;
    try {
      secured = original(options, ...callback === undefined ? [] : [callback]);
    } catch (error) {
      // A wrong option of TLS: the program has no socket whose errors it could hear of.
      socket.on("error", () => {});
      socket.destroy();
      throw error;
    }
    // The TLS socket stands in for the connection, so programs wait for these events on it.
    if (socket.connecting && !secured.connecting) {
      secured.connecting = true;
      for (const name of CONNECTING_EVENTS) {
        socket.on(name, (...about: unknown[]) => secured.emit(name, ...about));
      }
      socket.once("connect", () => {
        secured.connecting = false;
        secured.emit("connect");
        secured.emit("ready");
      });
    }
    // The connection ends with the TLS socket, whether or not the handshake succeeded.
    secured.once("close", () => socket.destroy());
    readInto(secured, fields.onread);
    // The runtimes use this option only for a connection that they open.
    if (fields.timeout) secured.setTimeout(fields.timeout as number);
    return secured;
  };
}

/**
 * For Deno, whose agents hold the runtime's own `net`. In Bun the agents use the replaced module
 * anyway. A request through a proxy stays with the runtime.
 */
export function patchAgents(net: NetModule, http: Exports): void {
  const { prototype } = http.Agent;
  const original = prototype.createConnection;
  replaceFunction(prototype, "createConnection", function (this: unknown, ...args: unknown[]) {
    const [options] = args;
    const proxied = (options as { _proxy?: unknown } | null)?._proxy;
    if (proxied) return Reflect.apply(original, this, args);
    return net.connect(...args);
  });
}

/** The connection below an HTTP/2 session, for an authority and the options of `http2.connect`. */
function http2Connection(net: NetModule, tls: Exports, authority: URL, options: Fields): NetSocket {
  const protocol = authority.protocol || options.protocol || "https:";
  const host = (authority.hostname || authority.host || "localhost").replace(/^\[(.*)\]$/, "$1");
  const plain = protocol === "http:";
  if (!plain && protocol !== "https:") throw nodeError.unsupportedProtocol(String(protocol));
  const port = authority.port || (plain ? "80" : "443");
  if (plain) return net.connect({ port, host, ...options, noDelay: true });
  // No name for an address: Deno takes an empty one for the host of the session's origin.
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  return tls.connect(port, host, { ALPNProtocols: ["h2"], ...name, ...options, noDelay: true });
}

/** `util.promisify(http2.connect)`: a promise of the session that is connected. */
function promised(connect: Exports["connect"]): (...args: unknown[]) => Promise<EventEmitter> {
  return (authority, options) =>
    new Promise((resolve, reject) => {
      const session: EventEmitter = connect(authority, options, () => {
        session.removeListener("error", reject);
        resolve(session);
      });
      session.once("error", reject);
    });
}

function patchHttp2(net: NetModule, tls: Exports, http2: Exports): void {
  const original = http2.connect;
  replaceFunction(http2, "connect", function connect(authority: unknown, ...args: unknown[]) {
    denoHttp2Sessions.prepare(original);
    const options = (typeof args[0] === "object" && args[0] !== null ? args[0] : {}) as Fields;
    const listener = args.find((arg) => typeof arg === "function");
    const given = options.createConnection !== undefined || options.socket !== undefined;
    const createConnection = given
      ? options.createConnection
      : (url: URL, all: Fields) => http2Connection(net, tls, url, all);
    const session = original(authority, { ...options, createConnection }, listener);
    if ("Bun" in globalThis) closeAnswersLater(session);
    return session;
  });
  Object.defineProperty(http2.connect, promisify.custom, { value: promised(http2.connect) });
  for (const name of ["createServer", "createSecureServer"]) {
    const make = http2[name];
    const made = (...args: unknown[]): unknown => {
      denoHttp2Sessions.prepare(original);
      return Object.assign(make(...args), { noDelay: true });
    };
    replaceFunction(http2, name, made);
  }
}

/** Replaces what connects; `tls` and `http2` are replaced in place. */
export function patchClients(
  net: NetModule,
  { tls, http2 }: { tls: Exports; http2: Exports },
): void {
  replaceFunction(tls, "connect", ringTlsConnect(net, tls.connect));
  patchHttp2(net, tls, http2);
}
