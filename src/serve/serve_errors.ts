/**
 * The errors of a server, and the line about one for the operator.
 *
 * @module
 */
import type { Host } from "../base/host.ts";
import { messageOf, NetworkError } from "../base/network_error.ts";
import { formatAddress } from "../net/address/address.ts";
import type { Connection } from "../net/connection/connection.ts";
import type { ServeOptions } from "./serve_options.ts";

function drainReason(): NetworkError {
  return new NetworkError("Cannot go on serving: the server is draining", {
    code: "Closed",
    operation: "serve",
  });
}

function idleError(
  connection: Connection,
  idleTimeoutMs: number,
  bytesDone: number,
): NetworkError {
  return new NetworkError(
    `Cannot go on serving ${peerName(connection)}: no byte moved for ${idleTimeoutMs} ms`,
    {
      code: "Timeout",
      operation: "serve",
      bytesDone,
    },
  );
}

/** Most peers of a unix socket have no name. A handler may have changed the addresses. */
function peerName(connection: Connection): string {
  try {
    const { remoteAddress, localAddress } = connection;
    const isUnnamed = "path" in remoteAddress && remoteAddress.path === "";
    return formatAddress(isUnnamed ? localAddress : remoteAddress);
  } catch {
    return "a connection whose address cannot be read";
  }
}

function errorLine(error: unknown, connection: Connection | null): string {
  const subject = connection === null
    ? "accepting a connection"
    : `serving ${peerName(connection)}`;
  return `uringnet: ${subject} failed: ${messageOf(error).replaceAll("\n", " ")}`;
}

/** Calls `onError`. A failure of the callback or its promise only goes to stderr. Never throws. */
function tell(
  host: Host,
  onError: ServeOptions["onError"],
  error: unknown,
  connection: Connection | null,
): void {
  const warn = (told: unknown) => host.warn(errorLine(told, connection));
  if (onError === undefined) return warn(error);
  try {
    const answer: unknown = onError(error, connection);
    if (answer instanceof Promise) answer.catch(warn);
  } catch (second) {
    warn(second);
  }
}

/**
 * Aborts a signal that handlers have. In Deno this reads members of the signal, which one of them
 * may have replaced: the others then end with the budget. Never throws.
 */
function abort(controller: AbortController, reason: unknown): void {
  try {
    controller.abort(reason);
  } catch {
    // The handler has spoiled its own end.
  }
}

/**
 * The functions of this file.
 * @internal
 */
export const serveErrors = { drainReason, idleError, errorLine, tell, abort };
