/**
 * A server that passes for that of `node:net`, over listeners of this library.
 *
 *   listen() binds at once, so that address() answers -> 'listening' -> 'connection' ...
 *   close() -> no connection left -> 'close'
 *
 * Connections above `maxConnections`, and those that the block list names, are closed with 'drop'.
 *
 * @module
 */
import { chmodSync } from "node:fs";
import { EventEmitter } from "node:events";
import * as dns from "node:dns";
import { nextTick } from "node:process";
import { ERRNO } from "../base/errno.ts";
import { parseAddress, type SocketAddress, type UnixAddress } from "../net/address.ts";
import type { Connection } from "../net/connection.ts";
import type { Listener } from "../net/listener.ts";
import { listenArguments, type ListenPlan } from "./listen_arguments.ts";
import { Listening, tryListen } from "./listening.ts";
import { nodeError } from "./node_error.ts";
import { runtimeNet } from "./runtime_net.ts";
import { Socket } from "./socket.ts";
import type { Callback } from "./socket_arguments.ts";
import { type SocketName, socketName } from "./socket_name.ts";
import { CONNECTION, type SocketServer } from "./socket_stream.ts";
import { type Blocker, validate } from "./validate.ts";

export interface ServerOptions {
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  highWaterMark?: number;
  blockList?: Blocker;
  captureRejections?: boolean;
}

/** What 'drop' tells of a connection that was not taken. */
interface Dropped {
  localAddress?: string;
  localPort?: number;
  localFamily?: string;
  remoteAddress?: string;
  remotePort?: number;
  remoteFamily?: string;
}

const REJECTION = Symbol.for("nodejs.rejection");

type PortPlan = Extract<ListenPlan, { kind: "port" }>;
type PathPlan = Extract<ListenPlan, { kind: "path" }>;

export class Server extends EventEmitter implements SocketServer {
  declare allowHalfOpen: boolean;
  declare pauseOnConnect: boolean;
  declare noDelay: boolean;
  declare keepAlive: boolean;
  declare keepAliveInitialDelay: number;
  declare highWaterMark: number | undefined;
  declare blockList: Blocker | undefined;
  declare maxConnections: number | undefined;
  declare dropMaxConnection: boolean | undefined;
  declare _connections: number;
  declare _handle: Listening | null;
  declare _pipeName: string | undefined;
  declare _unref: boolean;
  /** A name is being looked up: of the `listen` with this number. */
  declare _lookup: object | null;

  constructor(options?: ServerOptions | Callback | null, listener?: Callback) {
    super(typeof options === "object" && options !== null ? emitterOptions(options) : undefined);
    Server.initialize(this, options, listener);
  }

  /** @internal For programs that inherit in the old way. */
  static inherit(server: Server, options?: ServerOptions | Callback, listener?: Callback): void {
    (EventEmitter as unknown as Callback).call(server);
    Server.initialize(server, options, listener);
  }

  /** @internal All that a constructor does behind that of the emitter. */
  static initialize(
    server: Server,
    given: ServerOptions | Callback | null | undefined,
    listener: Callback | undefined,
  ): void {
    const wrong = given !== undefined && given !== null && typeof given !== "object" &&
      typeof given !== "function";
    if (wrong) throw nodeError.argumentType("options", "Object", given);
    const options = typeof given === "object" && given !== null ? given : {};
    const onConnection = typeof given === "function" ? given : listener;
    if (typeof onConnection === "function") server.on("connection", onConnection);
    if (options.keepAliveInitialDelay !== undefined) {
      validate.number(options.keepAliveInitialDelay, "options.keepAliveInitialDelay");
    }
    server._connections = 0;
    server._handle = null;
    server._unref = false;
    server._lookup = null;
    server.allowHalfOpen = options.allowHalfOpen || false;
    server.pauseOnConnect = Boolean(options.pauseOnConnect);
    server.noDelay = Boolean(options.noDelay);
    server.keepAlive = Boolean(options.keepAlive);
    server.keepAliveInitialDelay = Math.max(0, Math.trunc(options.keepAliveInitialDelay ?? 0));
    server.highWaterMark = options.highWaterMark;
    if (options.blockList !== undefined) {
      server.blockList = validate.blockList(options.blockList, "options.blockList");
    }
  }

  listen(...args: unknown[]): this {
    if (this._handle !== null || this._lookup !== null) {
      throw nodeError.fixed("ERR_SERVER_ALREADY_LISTEN");
    }
    const plan = listenArguments(args);
    if (plan.callback !== null) this.once("listening", plan.callback);
    watchSignal(this, plan.signal);
    switch (plan.kind) {
      case "fd":
        failLater(this, nodeError.explained(ERRNO.EINVAL, "listen", { address: `fd:${plan.fd}` }));
        break;
      case "path":
        listenPath(this, plan);
        break;
      case "port":
        if (plan.host === null) listenAnywhere(this, plan);
        else listenHost(this, plan, plan.host);
    }
    return this;
  }

  /** The address, a path, or null while it does not listen. */
  address(): SocketName | string | null {
    if (this._handle === null) return null;
    return this._pipeName ?? socketName(this._handle.localAddress);
  }

  get listening(): boolean {
    return this._handle !== null;
  }

  getConnections(callback: Callback): this {
    nextTick(callback, null, this._connections);
    return this;
  }

  /** No connection more; 'close' once the last one has ended. */
  close(callback?: Callback): this {
    if (typeof callback === "function") {
      if (this._handle === null) {
        this.once("close", () => callback(nodeError.fixed("ERR_SERVER_NOT_RUNNING")));
      } else {
        this.once("close", callback);
      }
    }
    this._lookup = null;
    if (this._handle !== null) {
      this._handle.close();
      this._handle = null;
      this._pipeName = undefined;
    }
    this._emitCloseIfDrained();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle === null) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error?: Error) => error ? reject(error) : resolve());
    });
  }

  ref(): this {
    this._unref = false;
    this._handle?.ref();
    return this;
  }

  unref(): this {
    this._unref = true;
    this._handle?.unref();
    return this;
  }

  /** @internal */
  _emitCloseIfDrained(): void {
    if (this._handle !== null || this._connections > 0) return;
    nextTick(() => {
      if (this._handle === null && this._connections === 0) this.emit("close");
    });
  }

  /** @internal An async listener of 'connection' failed. */
  [REJECTION](error: Error, event: string, socket?: Socket): void {
    if (event === "connection") socket?.destroy(error);
    else this.emit("error", error);
  }
}

function emitterOptions(
  { captureRejections }: ServerOptions,
): { captureRejections: boolean } | undefined {
  return captureRejections === undefined ? undefined : { captureRejections };
}

function watchSignal(server: Server, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const aborted = () => void server.close();
  if (signal.aborted) nextTick(aborted);
  else {
    signal.addEventListener("abort", aborted, { once: true });
    server.once("close", () => signal.removeEventListener("abort", aborted));
  }
}

function failLater(server: Server, error: Error): void {
  nextTick(() => server.emit("error", error));
}

/** Both families where the machine has IPv6, else IPv4. */
function listenAnywhere(server: Server, plan: PortPlan): void {
  const { port } = plan;
  const dual = tryListen({ hostname: "::", port }, plan);
  const found = typeof dual !== "number" ? dual : tryListen({ hostname: "0.0.0.0", port }, plan);
  if (typeof found !== "number") start(server, found);
  else failLater(server, nodeError.explained(found, "listen", { address: "::", port }));
}

function listenHost(server: Server, plan: PortPlan, host: string): void {
  if (runtimeNet.isIP(host) !== 0) {
    listenAt(server, plan, host);
    return;
  }
  const lookup = server._lookup = {};
  dns.lookup(host, (error, address) => {
    // Closed, and perhaps listening again, meanwhile.
    if (server._lookup !== lookup) return;
    server._lookup = null;
    if (error !== null) server.emit("error", error);
    else listenAt(server, plan, address);
  });
}

function listenAt(server: Server, plan: PortPlan, hostname: string): void {
  const { port } = plan;
  const found = tryListen({ hostname, port }, plan);
  if (typeof found !== "number") start(server, found);
  else failLater(server, nodeError.explained(found, "listen", { address: hostname, port }));
}

function listenPath(server: Server, plan: PathPlan): void {
  const { path, backlog } = plan;
  let address: SocketAddress | UnixAddress;
  try {
    address = parseAddress({ path }, 0);
  } catch {
    failLater(server, nodeError.explained(ERRNO.EINVAL, "listen", { address: path }));
    return;
  }
  const found = tryListen(address, { backlog, ipv6Only: false, reusePort: false });
  if (typeof found === "number") {
    failLater(server, nodeError.explained(found, "listen", { address: path }));
    return;
  }
  const mode = (plan.readableAll ? 0o444 : 0) | (plan.writableAll ? 0o222 : 0);
  if (mode !== 0 && !path.startsWith("\0")) chmodSync(path, 0o700 | mode);
  server._pipeName = path;
  start(server, found);
}

function start(server: Server, listener: Listener): void {
  const listening = new Listening(listener, (connection) => accept(server, connection));
  server._handle = listening;
  if (server._unref) listening.unref();
  nextTick(() => {
    if (server._handle === listening) server.emit("listening");
  });
}

function accept(server: Server, connection: Connection): void {
  const { maxConnections, blockList } = server;
  const full = maxConnections !== undefined && maxConnections !== null &&
    server._connections >= maxConnections;
  if (full || (blockList !== undefined && isBlocked(blockList, connection))) {
    drop(server, connection);
    return;
  }
  const { highWaterMark } = server;
  const socket = new Socket({
    allowHalfOpen: server.allowHalfOpen,
    pauseOnCreate: server.pauseOnConnect,
    ...highWaterMark === undefined ? {} : { highWaterMark },
    ...server.noDelay ? { noDelay: true } : {},
    ...server.keepAlive
      ? { keepAlive: true, keepAliveInitialDelay: server.keepAliveInitialDelay }
      : {},
    [CONNECTION]: connection,
  });
  server._connections++;
  socket.server = socket._server = server;
  server.emit("connection", socket);
}

function isBlocked(list: Blocker, { remoteAddress }: Connection): boolean {
  const name = socketName(remoteAddress);
  return name !== null && list.check(name.address, name.family === "IPv6" ? "ipv6" : "ipv4");
}

function drop(server: Server, connection: Connection): void {
  const data: Dropped = {};
  const local = socketName(connection.localAddress);
  const remote = socketName(connection.remoteAddress);
  if (local !== null) {
    data.localAddress = local.address;
    data.localPort = local.port;
    data.localFamily = local.family;
  }
  if (remote !== null) {
    data.remoteAddress = remote.address;
    data.remotePort = remote.port;
    data.remoteFamily = remote.family;
  }
  void connection.close();
  server.emit("drop", data);
}
