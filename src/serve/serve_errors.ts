/**
 * The errors of a server, and the line about one for the operator.
 *
 * @module
 */
import { messageOf, NetworkError } from "../base/network_error.ts";
import { formatAddress } from "../net/address/address.ts";
import type { Connection } from "../net/connection/connection.ts";

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

/** Most peers of a unix socket have no name. */
function peerName({ remoteAddress, localAddress }: Connection): string {
  const isUnnamed = "path" in remoteAddress && remoteAddress.path === "";
  return formatAddress(isUnnamed ? localAddress : remoteAddress);
}

function errorLine(error: unknown, connection: Connection | null): string {
  const subject = connection === null
    ? "accepting a connection"
    : `serving ${peerName(connection)}`;
  return `uringnet: ${subject} failed: ${messageOf(error).replaceAll("\n", " ")}`;
}

/**
 * The functions of this file.
 * @internal
 */
export const serveErrors = { drainReason, idleError, errorLine };
