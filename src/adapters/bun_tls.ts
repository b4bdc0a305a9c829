/**
 * TLS sockets of Bun over sockets of this library.
 *
 * Bun makes one in two methods of its `net.Socket`: `connect` with the option `socket`, which
 * `new TLSSocket` of a client calls as well, and the upgrade of a server. Both get another stream
 * in the place of the socket (`tls_transport.ts`), which Bun reads and writes like any Duplex. The
 * socket itself is the `_parent` of the TLS socket, as in Node.
 *
 *   _write --> Bun: encrypts, writes to the transport --> the transport has room --> the callback
 *
 * Bun takes the bytes for sent as soon as the transport has them. So the callback of each write is
 * called only when there is room for more. Otherwise bytes for a peer that does not read would fill
 * the memory.
 *
 * The key of the upgrade is a registered symbol. In a version of Bun without it nothing is changed,
 * and the tests of `node:tls` fail.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { announcingRest } from "./announcing_rest.ts";
import type { Done } from "./any_function.ts";
import { runtimeNet } from "./runtime_net.ts";
import type { TlsTransport } from "./tls_transport.ts";

interface TlsSocket extends Pick<Readable, "read"> {
  _parent: unknown;
  _write(chunk: unknown, encoding: unknown, done: Done): void;
}

type Method = (this: TlsSocket, ...args: unknown[]) => unknown;

const UPGRADE = Symbol.for("::bunUpgradeServerTLS::");

let installed = false;

/**
 * From now on the callback of each write waits for room below TLS, and a `read()` announces the
 * chunks that it leaves.
 */
function adapt(secured: TlsSocket, transport: TlsTransport): void {
  const { _write: write, read } = secured;
  secured.read = announcingRest(read);
  secured._write = (chunk, encoding, done) => {
    const taken: Done = (error) => error ? done(error) : transport.whenRoom(done);
    Reflect.apply(write, secured, [chunk, encoding, taken]);
  };
}

/**
 * Installs the hook, once for each thread. `transportOf` returns what TLS gets in the place of a
 * socket of this library, and null for any other value. Other runtimes have no such method.
 */
export function bunTls(transportOf: (stream: unknown) => TlsTransport | null): void {
  if (installed) return;
  installed = true;
  const prototype = runtimeNet.Socket.prototype as unknown as Record<string | symbol, Method>;
  const { connect: original, [UPGRADE]: upgrade } = prototype;
  if (upgrade === undefined) return;
  prototype[UPGRADE] = function (stream, ...rest) {
    const transport = transportOf(stream);
    if (transport === null) return Reflect.apply(upgrade, this, [stream, ...rest]);
    adapt(this, transport);
    const result = Reflect.apply(upgrade, this, [transport, ...rest]);
    this._parent = stream;
    return result;
  };
  prototype.connect = function connect(...args) {
    const options = optionsOf(args);
    const stream = options?.socket;
    const transport = transportOf(stream);
    if (transport === null) return Reflect.apply(original, this, args);
    adapt(this, transport);
    const replaced = { ...options, socket: transport };
    if (Array.isArray(args[0])) args[0][0] = replaced;
    else args[0] = replaced;
    const result = Reflect.apply(original, this, args);
    this._parent = stream;
    return result;
  };
}

/** The options of a `connect`, which is also called with an array of options and callback. */
function optionsOf([first]: unknown[]): Record<string, unknown> | null {
  const options = Array.isArray(first) ? first[0] : first;
  return options !== null && typeof options === "object" ? options : null;
}
