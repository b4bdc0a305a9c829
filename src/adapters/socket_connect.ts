/**
 * `socket.connect`: from options in any form to a connection, with Node's order of events.
 *
 *   connect() -> checks -> [lookup: 'lookup'] -> 'connectionAttempt' -> 'connect' -> 'ready'
 *
 * A wrong argument is thrown at once; every other failure destroys the socket.
 *
 * @module
 */
import { nextTick } from "node:process";
import { setImmediate } from "node:timers";
import { ERRNO } from "../base/errno.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import { parseAddress } from "../net/address/address.ts";
import { autoSelectFamily } from "./auto_select_family.ts";
import { Connector, type Target } from "./connector.ts";
import { type FoundAddress, type Lookup, lookUpHost } from "./look_up_host.ts";
import { nodeError } from "./node_error.ts";
import { runtimeNet } from "./runtime_net.ts";
import type { Callback } from "./socket_arguments.ts";
import { SocketHandle } from "./socket_handle.ts";
import { probeDelay, type SocketState } from "./socket_state.ts";
import { openDescriptor, type SocketStream, STATE } from "./socket_stream.ts";
import { validate } from "./validate.ts";

type Options = Record<string, unknown>;

/** The arguments of a connect by host, checked. */
interface Plan {
  host: string;
  port: number;
  localAddress: string | undefined;
  localPort: number;
  several: boolean;
  attemptMs: number;
}

function connect(socket: SocketStream, options: Options, callback: Callback | null): void {
  const { path } = options;
  if (typeof options.fd === "number") {
    // The descriptor is connected already, as in Bun's child processes.
    if (socket[STATE].handle?.connected) return;
    // Bun has received the descriptor from another process.
    if (options.fdIsRawSocket === true) return openDescriptor(socket, { fd: options.fd });
  }
  if (options.port === undefined && (path === undefined || path === null)) {
    throw nodeError.missing(["options", "port", "path"]);
  }
  if (socket[STATE].signal?.aborted) return;
  revive(socket);
  readOptions(socket, options);
  if (callback !== null) socket.once("connect", callback);
  socket._unrefTimer();
  if (path) {
    const name = validate.text(path, "options.path");
    begin(socket).hasPath = true;
    connectPath(socket, name);
  } else {
    const plan = read(options);
    begin(socket);
    connectHost(socket, options, plan);
  }
}

/**
 * Prepares a socket for another connection after it was destroyed or its peer has ended it, or for
 * the first one: as in Node, an end or a failed write before that does not count.
 */
function revive(socket: SocketStream): void {
  // Removes the own `write`, set at the end of the stream, which hides that of the class.
  delete (socket as { write?: unknown }).write;
  const state = socket[STATE];
  if (socket.destroyed) state.forget();
  else if (state.handle !== null) return;
  (socket as unknown as { _undestroy(): void })._undestroy();
}

function readOptions(socket: SocketStream, options: Options): void {
  const state = socket[STATE];
  if (options.blockList !== undefined) {
    socket.blockList = validate.blockList(options.blockList, "options.blockList");
  }
  if (options.noDelay) state.noDelay = true;
  if (options.keepAlive) {
    state.keepAlive = true;
    state.keepAliveSeconds = probeDelay(options.keepAliveInitialDelay);
  }
}

/** Checks the options of a connect by host. Throws Node's errors. */
function read(options: Options): Plan {
  const { localAddress, localPort, port } = options;
  if (localAddress && runtimeNet.isIP(localAddress as string) === 0) {
    throw nodeError.invalidIp(localAddress);
  }
  if (localPort) validate.number(localPort, "options.localPort");
  if (port !== undefined) {
    if (typeof port !== "number" && typeof port !== "string") {
      throw nodeError.argumentType("options.port", ["number", "string"], port);
    }
    validate.port(port, "Port");
  }
  const { autoSelectFamily: select, autoSelectFamilyAttemptTimeout: attemptMs } = options;
  const several = select === undefined || select === null
    ? autoSelectFamily.getDefault()
    : validate.flag(select, "options.autoSelectFamily");
  const timeoutMs = attemptMs === undefined || attemptMs === null
    ? autoSelectFamily.getAttemptTimeout()
    : validate.integer(attemptMs, "options.autoSelectFamilyAttemptTimeout", 1);
  return {
    host: validate.text(options.host || "localhost", "options.host"),
    port: Number(port ?? 0),
    localAddress: localAddress ? localAddress as string : undefined,
    localPort: Number(localPort ?? 0),
    several,
    attemptMs: autoSelectFamily.atLeast(timeoutMs),
  };
}

function connectPath(socket: SocketStream, path: string): void {
  let target: Target;
  try {
    target = { to: parseAddress({ path }, 1), name: path, family: undefined, from: null };
  } catch {
    // The path does not fit a socket address. Like libuv, this reports EINVAL at once.
    socket.destroy(nodeError.system(ERRNO.EINVAL, "connect", { address: path }));
    return;
  }
  tryTargets(socket, [target], null);
}

function connectHost(socket: SocketStream, options: Options, plan: Plan): void {
  const { host } = plan;
  const family = runtimeNet.isIP(host);
  if (family === 4 || family === 6) {
    const address = { address: host, family } as const;
    nextTick(() => {
      if (socket.connecting) tryTargets(socket, [target(plan, address)], null);
    });
    return;
  }
  const { lookup = null } = options;
  if (lookup !== null) validate.callback(lookup, "options.lookup");
  socket._host = host;
  const all = plan.several && options.family !== 4 && options.family !== 6 &&
    plan.localAddress === undefined;
  lookUpHost({
    host,
    port: plan.port,
    family: options.family,
    hints: options.hints,
    lookup: lookup as Lookup | null,
    all,
    told: (error, address, family) => void socket.emit("lookup", error, address, family, host),
    wanted: () => socket.connecting,
  }, (error, addresses) => {
    socket._unrefTimer();
    if (error !== null) {
      nextTick(() => socket.destroy(error));
      return;
    }
    const attemptMs = addresses.length > 1 ? plan.attemptMs : null;
    const targets = addresses.map((address) => target(plan, address));
    tryTargets(socket, targets, attemptMs);
  });
}

function target(plan: Plan, { address, family }: FoundAddress): Target {
  const { localAddress, localPort, port } = plan;
  const from = localAddress === undefined && localPort === 0 ? null : {
    hostname: localAddress ?? (family === 4 ? "0.0.0.0" : "::"),
    port: localPort,
  };
  return { to: { hostname: address, port }, name: address, family, from };
}

function begin(socket: SocketStream): SocketHandle {
  socket.connecting = true;
  const { handle } = socket[STATE];
  if (handle !== null) return handle;
  const made = new SocketHandle();
  socket._attach(made);
  return made;
}

function tryTargets(socket: SocketStream, targets: Target[], attemptMs: number | null): void {
  const state = socket[STATE];
  const { handle } = state;
  if (handle === null) return;
  if (handle.connecting !== null) {
    const { name, to } = targets[0];
    const port = "port" in to ? to.port : undefined;
    socket.destroy(nodeError.system(ERRNO.EALREADY, "connect", { address: name, port }));
    return;
  }
  if (handle.connected) {
    // As in Node, the connection stays, and a connect on it succeeds.
    setImmediate(() => {
      if (state.handle === handle) announce(socket);
    });
    return;
  }
  const tried: string[] | null = attemptMs === null ? null : [];
  if (tried !== null) socket.autoSelectFamilyAttemptedAddresses = tried;
  let starting = true;
  const connector = new Connector(socket, targets, attemptMs, {
    connected: (connection) => connected(socket, handle, connection),
    failed(error) {
      // A program that is still inside of connect() has no listener of "error" yet.
      if (starting) nextTick(() => socket.destroy(error));
      else socket.destroy(error);
    },
  }, tried);
  handle.connecting = connector;
  connector.start(handle.hasRef());
  starting = false;
}

function connected(socket: SocketStream, handle: SocketHandle, connection: SocketConnection): void {
  const state = socket[STATE];
  if (state.handle !== handle) {
    void connection.close();
    return;
  }
  handle.open(connection);
  if (state.typeOfService !== undefined) setTypeOfService(state);
  if (state.noDelay) handle.setNoDelay(true);
  if (state.keepAlive) handle.setKeepAlive(true, state.keepAliveSeconds ?? 0);
  announce(socket);
}

function announce(socket: SocketStream): void {
  socket.connecting = false;
  socket._unrefTimer();
  socket.emit("connect");
  socket.emit("ready");
  // Reads even without listeners, so that the end of the stream is noticed.
  if (socket.readable && !socket.isPaused()) socket.read(0);
}

function setTypeOfService({ handle, typeOfService }: SocketState): void {
  const result = handle?.setTypeOfService(typeOfService as number) ?? 0;
  if (result < 0) throw nodeError.system(-result, "setTypeOfService");
}

export const socketConnect = { connect, setTypeOfService };
