/**
 * The options of a socket of `node:net`.
 *
 * @module
 */
import type { DuplexOptions } from "node:stream";
import { nodeError } from "./node_error.ts";
import { type OnRead, readOnRead } from "./on_read.ts";
import { probeDelay, type SocketState } from "./socket_state.ts";
import { type Blocker, validate } from "./validate.ts";

/** Internal: the option that hides a socket's handle. */
export const HIDES_HANDLE: unique symbol = Symbol("uringnet.hidesHandle");

export interface SocketOptions extends DuplexOptions {
  fd?: number;
  readable?: boolean;
  writable?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  onread?: OnRead | null;
  blockList?: Blocker;
  /** Internal: the handle of a socket that is connected from the beginning. */
  handle?: unknown;
  manualStart?: boolean;
  /** Internal: set by a server that pauses the sockets that it accepts. */
  pauseOnCreate?: boolean;
  [HIDES_HANDLE]?: boolean;
}

/** The options; a number stands for a descriptor. */
function of(given: SocketOptions | number | null | undefined): SocketOptions {
  return typeof given === "number" ? { fd: given } : given ?? {};
}

/** The options of the stream underneath. The socket handles the signal itself. */
function ofStream({ signal: _, ...options }: SocketOptions): DuplexOptions {
  return {
    ...options,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // The socket emits 'close' itself, once the descriptor is closed.
    emitClose: false,
    autoDestroy: true,
    // Most texts are short and ASCII, and are encoded directly into the send buffer.
    decodeStrings: false,
  };
}

/** Keeps the options that concern the connection. Returns the one that is the socket's own. */
function read(state: SocketState, options: SocketOptions): Blocker | undefined {
  for (const name of ["objectMode", "readableObjectMode", "writableObjectMode"] as const) {
    if (!options[name]) continue;
    throw nodeError.argumentValue(`options.${name}`, options[name], "is not supported");
  }
  const { onread, noDelay, keepAlive, keepAliveInitialDelay, blockList } = options;
  state.onread = readOnRead(onread);
  if (noDelay) state.noDelay = true;
  if (keepAliveInitialDelay !== undefined) {
    validate.number(keepAliveInitialDelay, "options.keepAliveInitialDelay");
  }
  if (keepAlive) {
    state.keepAlive = true;
    state.keepAliveSeconds = probeDelay(keepAliveInitialDelay);
  }
  return blockList === undefined ? undefined : validate.blockList(blockList, "options.blockList");
}

export const socketOptions = { of, ofStream, read };
