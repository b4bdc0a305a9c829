/**
 * Sockets of `node:tls` over sockets of `uringnet/net`. A runtime knows the addresses of the TLS
 * sockets that it has opened itself, and of no others.
 *
 *   TLSSocket -> remoteAddress, address(), ... -> _getpeername, _getsockname -> the socket below
 *   TLSSocket -> ref, unref, setNoDelay, setKeepAlive -> the same of the socket below
 *
 * The socket below is noted when the TLS socket is made: in Deno by `_init`, which every
 * constructor calls. Bun has no such method, but keeps the socket below in a field.
 *
 * @module
 */
import { undecoded } from "../undecoded.ts";
import { type Exports, type NetModule, type NetSocket, replaceFunction } from "./node_modules.ts";

interface Name {
  address?: string | undefined;
  port?: number | undefined;
  family?: string | undefined;
}

type Method = (...args: unknown[]) => unknown;
type Naming = (socket: NetSocket) => Name;

/** The socket of `uringnet/net` below a TLS socket, as far as it is known. */
export const socketsBelow = new WeakMap<object, NetSocket>();

class SocketFinder {
  readonly #net: NetModule;

  constructor(net: NetModule) {
    this.#net = net;
  }

  note(secured: object, below: unknown): void {
    if (below === secured || !(below instanceof this.#net.Socket)) return;
    socketsBelow.set(secured, below as NetSocket);
  }

  of(secured: object): NetSocket | null {
    if (!socketsBelow.has(secured)) this.#search(secured as Exports);
    return socketsBelow.get(secured) ?? null;
  }

  /** Looks through the fields that are named by symbols, which the runtime sets. */
  #search(secured: Exports): void {
    for (const key of Object.getOwnPropertySymbols(secured)) {
      this.note(secured, secured[key as unknown as string]);
    }
  }
}

/** The name that a TLS socket gives: that of the socket below, if this library has opened it. */
function namedBy(finder: SocketFinder, naming: Naming, original: () => Name): () => Name {
  return function (this: object): Name {
    const socket = finder.of(this);
    if (socket === null) return Reflect.apply(original, this, []);
    const name = naming(socket);
    // A socket that is still connecting has no name yet, and one of the file system never has.
    return name.address === undefined ? {} : name;
  };
}

const remoteName: Naming = ({ remoteAddress, remotePort, remoteFamily }) => ({
  address: remoteAddress,
  family: remoteFamily,
  port: remotePort,
});

const localName: Naming = ({ localAddress, localPort, localFamily }) => ({
  address: localAddress,
  family: localFamily,
  port: localPort,
});

/**
 * Bytes that wait in a connection when it is upgraded may be no TLS. Then Deno destroys the TLS
 * socket in the middle of its `_start`, whose next line reads a field of the handle that is gone.
 * That error would end the process, at the will of the peer.
 */
function survivesFailedStart(start: () => void): () => void {
  return function (this: { _handle: unknown }): void {
    const begun = this._handle !== null;
    try {
      Reflect.apply(start, this, []);
    } catch (error) {
      const { message = "" } = error as Error;
      if (!begun || this._handle !== null || !message.includes("_flushEncOut")) throw error;
    }
  };
}

/** A TLS socket is a socket of the replaced `net` too, as its class extends the runtime's own. */
function includeTlsSockets(net: NetModule, tls: Exports): void {
  const { Socket } = net;
  const { TLSSocket } = tls;
  const ordinary = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(Socket, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, value: unknown): boolean {
      if (Reflect.apply(ordinary, this, [value])) return true;
      return this === Socket && Reflect.apply(ordinary, TLSSocket, [value]);
    },
  });
}

/**
 * Methods that concern the connection. Without `unref` a connection that waits in an agent of
 * `node:https` would keep the process alive.
 */
const CONNECTION_METHODS = ["ref", "unref", "setNoDelay", "setKeepAlive"] as const;

/** Such a method, which then calls that of the socket below as well. */
function calledBelow(finder: SocketFinder, name: string, original: Method): Method {
  return function (this: object, ...args: unknown[]): unknown {
    const result = Reflect.apply(original, this, args);
    const socket = finder.of(this) as Exports | null;
    socket?.[name](...args);
    return result;
  };
}

interface FailingSocket extends NetSocket {
  /** Returns the error, or null before the end of the handshake. */
  _tlsError(error: Error): Error | null;
}

/**
 * An error of the connection destroys the TLS socket, whose "close" names it then. The runtimes
 * only emit it, so that the socket closed without an error, and in Bun with a clean end before.
 */
function failsWithConnection(finder: SocketFinder, original: (error: Error) => void): Method {
  return function (this: FailingSocket, error: unknown): void {
    if (finder.of(this)?.errored !== error) return Reflect.apply(original, this, [error]);
    const told = this._tlsError(error as Error);
    if (told !== null) this.destroy(told);
  } as Method;
}

/**
 * A connection below TLS does not end by itself when its peer does: it would be closed, and in Deno
 * the TLS socket with it, before the program has read the bytes that came.
 */
function leaveEndToTls(below: NetSocket | null): void {
  if (below !== null) below.allowHalfOpen = true;
}

/** Calls `done` once the connection has taken all bytes that TLS has written to it. */
function whenWritten(below: NetSocket, done: () => void): void {
  if (below.destroyed || below.writableFinished) done();
  else if (below.writableEnded) below.once("finish", done);
  else below.write(new Uint8Array(0), done);
}

/**
 * Both runtimes take the bytes that TLS has written for sent, and destroy the connection while they
 * wait in it: the rest of an answer with "Connection: close" was lost.
 */
function destroyedWhenSent(finder: SocketFinder, original: Method): Method {
  return function (this: NetSocket): unknown {
    const below = finder.of(this);
    if (below === null) return Reflect.apply(original, this, []);
    if (this.writable) this.end();
    const sent = () => whenWritten(below, () => this.destroy());
    if (this.writableFinished) sent();
    else this.once("finish", sent);
    return undefined;
  } as Method;
}

/** Gives TLS sockets over this library the members that the runtime's own have. */
export function patchTlsSockets(net: NetModule, tls: Exports): void {
  const { prototype } = tls.TLSSocket;
  const finder = new SocketFinder(net);
  const { _init: init, _start: start, _emitTLSError: emitTlsError } = prototype;
  const { _getpeername: getPeerName, _getsockname: getSocketName } = prototype;
  if (typeof init === "function") {
    replaceFunction(prototype, "_init", function (this: object, ...args: unknown[]) {
      finder.note(this, args[0]);
      const below = finder.of(this);
      leaveEndToTls(below);
      if (below !== null) undecoded(below);
      return Reflect.apply(init, this, args);
    });
    replaceFunction(prototype, "_start", survivesFailedStart(start));
  }
  replaceFunction(prototype, "_emitTLSError", failsWithConnection(finder, emitTlsError));
  replaceFunction(prototype, "_getpeername", namedBy(finder, remoteName, getPeerName));
  replaceFunction(prototype, "_getsockname", namedBy(finder, localName, getSocketName));
  replaceFunction(prototype, "destroySoon", destroyedWhenSent(finder, prototype.destroySoon));
  for (const name of CONNECTION_METHODS) {
    replaceFunction(prototype, name, calledBelow(finder, name, prototype[name]));
  }
  includeTlsSockets(net, tls);
}
