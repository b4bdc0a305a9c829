/**
 * Sockets of `node:tls` over sockets of `uringnet/net`. A runtime knows the addresses of the TLS
 * sockets that it has opened itself, and of no others.
 *
 *   TLSSocket -> remoteAddress, address(), ... -> _getpeername, _getsockname -> the socket below
 *   TLSSocket -> ref, unref, setNoDelay, setKeepAlive -> the same of the socket below
 *
 * The socket below is `_parent` of the TLS socket, as in Node: in Deno from `_init` on, which every
 * constructor calls, and in Bun by `bun_tls.ts`.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { announcingRest } from "../announcing_rest.ts";
import type { SocketState } from "../socket_state.ts";
import { SocketStream, STATE, transportOf } from "../socket_stream.ts";
import type { TlsTransport } from "../tls_transport.ts";
import { denoTlsOutput, type TlsHandle } from "./deno_tls_output.ts";
import {
  type Exports,
  includeInstances,
  type NetModule,
  type NetSocket,
  replaceFunction,
} from "./node_modules.ts";

interface Name {
  address?: string | undefined;
  port?: number | undefined;
  family?: string | undefined;
}

type Method = (...args: unknown[]) => unknown;
type Naming = (socket: NetSocket) => Name;

interface SecuredSocket {
  _parent?: unknown;
}

class SocketFinder {
  readonly #net: NetModule;

  constructor(net: NetModule) {
    this.#net = net;
  }

  /** The socket of `uringnet/net` below a TLS socket, or null. */
  of(secured: object): NetSocket | null {
    const { _parent: below } = secured as SecuredSocket;
    return below instanceof this.#net.Socket ? below as NetSocket : null;
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

/** The state of a socket below TLS; undefined where it is not of this library. */
function stateOf(below: NetSocket | null): SocketState | undefined {
  return (below as Partial<SocketStream> | null)?.[STATE];
}

/** The error of a connection below TLS, which the socket itself closes without. */
export function connectionError(below: NetSocket | null): Error | null {
  return stateOf(below)?.transport?.errored ?? below?.errored ?? null;
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
    if (connectionError(finder.of(this)) !== error) return Reflect.apply(original, this, [error]);
    const told = this._tlsError(error as Error);
    if (told !== null) this.destroy(told);
  } as Method;
}

/** The stream of Deno between a TLS socket and a Duplex below it; or a socket of Deno's own. */
interface Wrapped {
  stream?: unknown;
}

/** How Deno listens to the Duplex below a TLS socket. */
const LISTENED = [["error", "on"], ["data", "on"], ["end", "once"], ["close", "once"]] as const;

/**
 * Moves a wrapped stream from a socket to the transport of the socket. The listeners of the stream
 * are the last ones of the socket, as the constructor of the TLS socket has just made it. Null for
 * any other stream.
 */
function moveToTransport(wrapped: Wrapped): TlsTransport | null {
  const { stream: socket } = wrapped;
  if (!(socket instanceof SocketStream)) return null;
  // Read first, as the transport listens to the socket as well.
  const listeners = LISTENED.map(([name]) => socket.listeners(name).at(-1) as Method);
  const transport = transportOf(socket);
  for (const [index, [name, method]] of LISTENED.entries()) {
    socket.removeListener(name, listeners[index]);
    transport[method](name, listeners[index]);
  }
  wrapped.stream = transport;
  return transport;
}

/** Calls `done` once the connection has taken all bytes that TLS has written to it. */
function whenWritten(below: NetSocket, done: () => void): void {
  if (below.destroyed || below.writableFinished) done();
  else if (below.writableEnded) below.end(done);
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

/**
 * The connection closes before the TLS socket, as in Node. A program that listens to both, and has
 * ended with the "close" of the TLS socket, would take the other one for a new event.
 */
function closesAfterConnection(finder: SocketFinder, original: Method): Method {
  return function (this: NetSocket, ...args: unknown[]): unknown {
    const below = args[0] === "close" ? finder.of(this) : null;
    const state = stateOf(below);
    if (below === null || state === undefined || state.toldClose) {
      return Reflect.apply(original, this, args);
    }
    state.afterClose = () => Reflect.apply(original, this, args);
    below.destroy();
    return true;
  } as Method;
}

/** Gives TLS sockets over this library the members that the runtime's own have. */
export function patchTlsSockets(net: NetModule, tls: Exports): void {
  const { prototype } = tls.TLSSocket;
  const finder = new SocketFinder(net);
  const { _init: init, _start: start, _emitTLSError: emitTlsError } = prototype;
  const { _wrapHandle: wrapHandle } = prototype;
  const { _getpeername: getPeerName, _getsockname: getSocketName } = prototype;
  if (typeof init === "function") {
    replaceFunction(prototype, "_init", function (this: SecuredSocket, ...args: unknown[]) {
      const result = Reflect.apply(init, this, args);
      const [below] = args;
      if (below !== this && below instanceof net.Socket) this._parent ??= below;
      return result;
    });
    replaceFunction(prototype, "_wrapHandle", function (this: Readable, ...args: unknown[]) {
      const transport = args[0] ? moveToTransport(args[0] as Wrapped) : null;
      if (transport !== null) this.read = announcingRest(this.read);
      const handle = Reflect.apply(wrapHandle, this, args) as TlsHandle;
      if (transport !== null) denoTlsOutput(handle, transport);
      return handle;
    });
    replaceFunction(prototype, "_start", survivesFailedStart(start));
  }
  replaceFunction(prototype, "_emitTLSError", failsWithConnection(finder, emitTlsError));
  replaceFunction(prototype, "_getpeername", namedBy(finder, remoteName, getPeerName));
  replaceFunction(prototype, "_getsockname", namedBy(finder, localName, getSocketName));
  replaceFunction(prototype, "destroySoon", destroyedWhenSent(finder, prototype.destroySoon));
  replaceFunction(prototype, "emit", closesAfterConnection(finder, prototype.emit));
  for (const name of CONNECTION_METHODS) {
    replaceFunction(prototype, name, calledBelow(finder, name, prototype[name]));
  }
  includeInstances(net.Socket, tls.TLSSocket);
}
